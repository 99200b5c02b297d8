"""CPython as the other end of TLS tests: python3 tls_peer.py MODE FOLDER [ARGUMENT…]

FOLDER holds the certificates. A server prints its port, a client is given one; everybody prints
"ok" in the end.
"""

import asyncio
import contextlib
import hashlib
import socket
import ssl
import sys

SIZE = 16 * 1024 * 1024
PIECE = 60_000

mode, folder, *arguments = sys.argv[1:]


def server_context():
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(f"{folder}/good.pem", f"{folder}/good.key")
    return context


def client_context():
    return ssl.create_default_context(cafile=f"{folder}/authority.pem")


def limit(context, version):
    context.maximum_version = ssl.TLSVersion[version.replace(".", "_")]
    return context


def pieces():
    for at in range(0, SIZE, PIECE):
        yield bytes((at + i * 7) & 255 for i in range(256)) * 256


def payload():
    return b"".join(pieces())[:SIZE]


async def send_and_check(reader, writer):
    """Sends SIZE bytes, and checks that they come back."""
    data = payload()

    async def send():
        for at in range(0, SIZE, PIECE):
            writer.write(data[at : at + PIECE])
            await writer.drain()

    sending = asyncio.create_task(send())
    back = await reader.readexactly(SIZE)
    await sending
    assert hashlib.sha256(back).digest() == hashlib.sha256(data).digest()
    writer.close()
    await writer.wait_closed()


async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
    await writer.wait_closed()


async def flood(reader, writer):
    """Sends without end while it takes SIZE bytes in, and prints their checksum."""

    async def send():
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while not writer.is_closing():
                writer.write(bytes(PIECE))
                await writer.drain()
                # Over TLS a lost connection may neither be closing nor make drain() wait or raise.
                await asyncio.sleep(0)

    sending = asyncio.create_task(send())
    data = await reader.read(-1)
    print(len(data), hashlib.sha256(data).hexdigest(), flush=True)
    writer.close()
    await sending


async def offer_tls(reader, writer):
    """The server's side of a protocol with STARTTLS."""
    assert await reader.readline() == b"STARTTLS\n"
    writer.write(b"go ahead\n")
    await writer.start_tls(server_context())
    await echo(reader, writer)


async def ask_for_tls(reader, writer):
    """The client's side of it."""
    writer.write(b"STARTTLS\n")
    assert await reader.readline() == b"go ahead\n"
    await writer.start_tls(client_context(), server_hostname="localhost")
    await send_and_check(reader, writer)


async def serve(handler, context):
    done = asyncio.get_running_loop().create_future()

    async def once(reader, writer):
        try:
            await handler(reader, writer)
            done.set_result(None)
        except BaseException as error:
            done.set_exception(error)

    server = await asyncio.start_server(once, "127.0.0.1", 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await done
    server.close()


async def connect(handler, context):
    hostname = "localhost" if context else None
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", int(arguments[0]), ssl=context, server_hostname=hostname
    )
    await handler(reader, writer)


def refused(connection, context, **options):
    """Talks until it is refused, and prints how."""
    try:
        with context.wrap_socket(connection, **options) as secured:
            print(f"let in, heard {secured.recv(1)}", flush=True)
    except ssl.SSLError as error:
        print(error, flush=True)


def refused_server(version, cert, key):
    context = limit(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), version)
    context.load_cert_chain(cert, key)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        refused(listener.accept()[0], context, server_side=True)


def refused_client(version, port, *cert_and_key):
    context = limit(client_context(), version)
    if cert_and_key:
        context.load_cert_chain(*cert_and_key)
    refused(
        socket.create_connection(("127.0.0.1", int(port))), context, server_hostname="localhost"
    )


MODES = {
    "server": lambda: serve(echo, server_context()),
    "client": lambda port: connect(send_and_check, client_context()),
    "flooding-server": lambda version: serve(flood, limit(server_context(), version)),
    "flooding-client": lambda port, version: connect(flood, limit(client_context(), version)),
    "upgrading-server": lambda: serve(offer_tls, None),
    "upgrading-client": lambda port: connect(ask_for_tls, None),
}
BLOCKING_MODES = {"refused-server": refused_server, "refused-client": refused_client}
if mode in BLOCKING_MODES:
    BLOCKING_MODES[mode](*arguments)
else:
    asyncio.run(asyncio.wait_for(MODES[mode](*arguments), 60))
print("ok")
