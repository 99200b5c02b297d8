"""A reader fed by hand: prints records a second for each kind of read, as JSON."""
import asyncio
import json
import sys
import time

BLOCK = 65_536
LINE = b"x" * 63 + b"\n"
FRAME = (100).to_bytes(4, "big") + b"x" * 100
RECORD = b"x" * 60 + b"\r\n\r\n"


async def lines(reader, n):
    for _ in range(n):
        await reader.readline()


async def frames(reader, n):
    for _ in range(n):
        header = await reader.readexactly(4)
        await reader.readexactly(int.from_bytes(header, "big"))


async def read_until(reader, n):
    for _ in range(n):
        await reader.readuntil(b"\r\n\r\n")


KINDS = {"lines": (LINE, lines), "frames": (FRAME, frames), "readUntil": (RECORD, read_until)}


async def main(seconds):
    rates = {}
    for kind, (record, read) in KINDS.items():
        reader = asyncio.StreamReader()
        count = BLOCK // len(record)
        block = record * count
        reads = 0
        start = time.perf_counter()
        while time.perf_counter() < start + seconds:
            reader.feed_data(block)
            await read(reader, count)
            reads += count
        rates[kind] = reads / (time.perf_counter() - start)
    print(json.dumps(rates))


asyncio.run(main(float(sys.argv[1])))
