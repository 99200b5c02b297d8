"""asyncio's streams, on its own loop or on uvloop: `asyncio_server.py <loop> <kind>`.

It prints its port.
"""
import asyncio
import resource
import ssl
import sys

BLOCK = 262_144


async def echo_bytes(reader, writer):
    while data := await reader.read(BLOCK):
        writer.write(data)
        await writer.drain()


async def echo_lines(reader, writer):
    while line := await reader.readline():
        writer.write(line)
        await writer.drain()


async def echo_frames(reader, writer):
    while True:
        header = await reader.readexactly(4)
        body = await reader.readexactly(int.from_bytes(header, "big"))
        writer.write(header)
        writer.write(body)
        await writer.drain()


ECHOES = {"bytes": echo_bytes, "lines": echo_lines, "frames": echo_frames, "tls": echo_bytes}


async def main(kind):
    echo = ECHOES[kind]

    async def handle(reader, writer):
        try:
            await echo(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # The load goes as it likes.
        writer.close()

    context = None
    if kind == "tls":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*sys.argv[3:])
    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if sys.argv[1] == "uvloop":
        import uvloop

        uvloop.install()
    asyncio.run(main(sys.argv[2]))
