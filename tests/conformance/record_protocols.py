"""Records which callbacks of a protocol CPython's transports make, and in which order.

    python3 -W ignore tests/conformance/record_protocols.py > tests/conformance/protocols.jsonl

Each case is a script for one connection over TCP: what its protocol does in its callbacks, and what
is done to the transport and by the peer, step by step; each step is given time to take effect, and
has a log of its own: first what happens before any step, last what abort() makes of the rest.
protocols_test.ts does the same to ours and compares the logs. Pieces of data that come in a row are
logged as one, for the network may cut them as it likes.
"""

import asyncio
import json
import struct
import sys
from socket import SO_LINGER, SOL_SOCKET, socket

PAUSE = 0.05  # seconds in which nothing happens after a step has settled
BULK = 16 * 1024 * 1024  # bytes, more than the kernel takes from a sender whose peer does not read

CASES = {
    # The life of a connection
    "data, then EOF, then the end": {
        "steps": [["peer send", "abc"], ["peer send", "def"], ["peer eof"], ["peer read"]],
    },
    "the peer closes": {"steps": [["peer send", "abc"], ["peer close"]]},
    "the peer resets": {"steps": [["peer send", "abc"], ["peer reset"], ["ask"]]},
    "close() sends what was written": {"steps": [["peer read"], ["write", "bye"], ["close"], ["ask"]]},
    "close() twice": {"steps": [["close"], ["close"], ["ask"]]},
    "abort() drops what was written": {
        "steps": [["write bulk"], ["ask size"], ["abort"], ["ask"]],
    },
    "abort() twice": {"on": {"data": [["abort"], ["abort"]]}, "steps": [["peer send", "abc"], ["ask"]]},
    "close() waits for a peer that does not read": {
        "steps": [["write bulk"], ["close"], ["ask"], ["peer read"]],
    },
    "abort() ends a close() that waits": {"steps": [["write bulk"], ["close"], ["abort"], ["ask"]]},
    "data that comes after close() is dropped": {"steps": [["close"], ["peer send", "late"]]},
    "EOF that comes while close() waits": {"steps": [["write bulk"], ["close"], ["peer eof"], ["peer read"]]},
    # EOF
    "eofReceived() returning true keeps the connection half open": {
        "eof": True, "steps": [["peer eof"], ["ask"], ["write", "still"], ["close"], ["peer read"]],
    },
    "eofReceived() returning false closes, once all is sent": {
        "eof": False, "steps": [["write bulk"], ["peer eof"], ["ask"], ["peer read"]],
    },
    "writing in eofReceived() before it closes": {
        "on": {"eof": [["write", "answer"]]}, "steps": [["peer eof"], ["peer read"]],
    },
    "writeEof() half-closes, and reading goes on": {
        "steps": [["write", "abc"], ["writeEof"], ["peer read"], ["peer send", "def"], ["ask"], ["peer eof"]],
    },
    "writeEof() waits for what was written": {"steps": [["write bulk"], ["writeEof"], ["writeEof"], ["peer read"]]},
    "write() after writeEof()": {"steps": [["writeEof"], ["write", "no"], ["ask"]]},
    "writeEof() after close()": {"steps": [["write bulk"], ["close"], ["writeEof"], ["peer read"]]},
    "close() after writeEof()": {"steps": [["writeEof"], ["close"], ["ask"], ["peer read"]]},
    "both half-close": {"eof": True, "steps": [["writeEof"], ["peer eof"], ["ask"], ["close"]]},
    "writeEof() in connectionMade()": {
        "on": {"made": [["write", "hello"], ["writeEof"]]}, "steps": [["peer read"], ["peer eof"]],
    },
    # Reading, paused and resumed
    "pauseReading() holds data back, resumeReading() hands it out": {
        "steps": [["pauseReading"], ["ask reading"], ["peer send", "abc"], ["resumeReading"], ["ask reading"]],
    },
    "pauseReading() and resumeReading() twice": {
        "steps": [["pauseReading"], ["pauseReading"], ["peer send", "abc"], ["resumeReading"], ["resumeReading"], ["peer send", "d"]],
    },
    "pauseReading() in connectionMade()": {
        "on": {"made": [["pauseReading"]]}, "steps": [["peer send", "abc"], ["ask reading"], ["resumeReading"]],
    },
    "pauseReading() holds EOF back": {
        "steps": [["pauseReading"], ["peer send", "abc"], ["peer eof"], ["resumeReading"]],
    },
    "pauseReading() in dataReceived()": {
        "on": {"data": [["pauseReading"]]}, "steps": [["peer send", "abc"], ["peer send", "def"], ["peer eof"], ["resumeReading"], ["resumeReading"]],
    },
    "resumeReading() and pauseReading() after close()": {
        "steps": [["close"], ["pauseReading"], ["resumeReading"], ["ask reading"]],
    },
    "close() while reading is paused": {"steps": [["pauseReading"], ["peer send", "abc"], ["close"], ["ask"]]},
    "the peer closes while reading is paused": {"steps": [["pauseReading"], ["peer close"], ["ask"], ["resumeReading"]]},
    # Writing, paused and resumed
    "pauseWriting() above the high mark, resumeWriting() at the low one": {
        "steps": [["write bulk"], ["peer read"], ["close"]],
    },
    "pauseWriting() once": {"steps": [["write bulk"], ["write bulk"], ["write", "x"], ["peer read"], ["close"]]},
    "close() in pauseWriting()": {"on": {"pauseWriting": [["close"]]}, "steps": [["write bulk"], ["peer read"]]},
    "abort() in pauseWriting()": {"on": {"pauseWriting": [["abort"]]}, "steps": [["write bulk"], ["write", "x"]]},
    "write() in resumeWriting()": {"on": {"resumeWriting": [["write", "more"]]}, "steps": [["write bulk"], ["peer read"], ["close"]]},
    "the limits": {
        "steps": [["ask limits"], ["setLimits", 1000, None], ["ask limits"], ["setLimits", None, 500], ["ask limits"],
                  ["setLimits", None, None], ["ask limits"], ["setLimits", 0, None], ["ask limits"]],
    },
    "the peer goes while writing is paused": {"steps": [["write bulk"], ["peer reset"], ["ask"], ["write", "x"]]},
    # Callbacks that act
    "close() in connectionMade()": {"on": {"made": [["close"], ["ask"]]}, "steps": [["peer read"]]},
    "abort() in connectionMade()": {"on": {"made": [["abort"], ["ask"]]}, "steps": []},
    "write() in connectionMade()": {"on": {"made": [["write", "hello"]]}, "steps": [["peer read"], ["close"]]},
    "write() and close() in dataReceived()": {
        "on": {"data": [["write", "answer"], ["close"]]}, "steps": [["peer read"], ["peer send", "question"]],
    },
    "abort() in dataReceived()": {"on": {"data": [["abort"], ["ask"]]}, "steps": [["peer send", "abc"]]},
    "close() in eofReceived()": {"eof": True, "on": {"eof": [["close"]]}, "steps": [["peer eof"]]},
    "calls in connectionLost()": {
        "on": {"lost": [["ask"], ["close"], ["abort"]]}, "steps": [["close"]],
    },
    # Callbacks that throw
    "connectionMade() throws": {"throws": "made", "steps": [["peer send", "abc"], ["ask"], ["close"]]},
    "dataReceived() throws": {"throws": "data", "steps": [["peer send", "abc"], ["ask"]]},
    "eofReceived() throws": {"throws": "eof", "steps": [["peer eof"], ["ask"]]},
    "pauseWriting() throws": {"throws": "pauseWriting", "steps": [["write bulk"], ["ask"], ["peer read"], ["close"]]},
    "resumeWriting() throws": {"throws": "resumeWriting", "steps": [["write bulk"], ["peer read"], ["ask"], ["close"]]},
    "connectionLost() throws": {"throws": "lost", "steps": [["close"], ["ask"]]},
    # Other protocols
    "setProtocol() in mid-stream": {
        "steps": [["peer send", "abc"], ["setProtocol"], ["peer send", "def"], ["peer eof"]],
    },
    "setProtocol() in dataReceived()": {
        "on": {"data": [["setProtocol"]]}, "steps": [["peer send", "abc"], ["peer send", "def"], ["close"]],
    },
    "setProtocol() while reading is paused": {
        "steps": [["pauseReading"], ["peer send", "abc"], ["setProtocol"], ["resumeReading"], ["close"]],
    },
    "setProtocol() to one with buffers": {
        "steps": [["peer send", "abc"], ["setProtocol buffered"], ["peer send", "def"], ["peer eof"]],
    },
    "a protocol with a buffer of 4 bytes": {
        "buffered": 4, "steps": [["peer send", "abcdefghij"], ["peer eof"]],
    },
    "a protocol with buffers, paused": {
        "buffered": 64, "steps": [["pauseReading"], ["peer send", "abc"], ["resumeReading"], ["peer send", "def"], ["close"]],
    },
    "from a protocol with buffers to one without": {
        "buffered": 64, "steps": [["peer send", "abc"], ["setProtocol"], ["peer send", "def"], ["close"]],
    },
    "getBuffer() throws": {"buffered": 64, "throws": "getBuffer", "steps": [["peer send", "abc"], ["ask"]]},
    "getBuffer() gives an empty one": {"buffered": 0, "steps": [["peer send", "abc"], ["ask"]]},
    "bufferUpdated() throws": {"buffered": 64, "throws": "data", "steps": [["peer send", "abc"], ["ask"]]},
    "eofReceived() of a protocol with buffers keeps half open": {
        "buffered": 64, "eof": True, "steps": [["peer send", "abc"], ["peer eof"], ["write", "x"], ["close"], ["peer read"]],
    },
}


class Script:
    """Runs one case."""

    def __init__(self, name, case):
        self.name, self.case = name, case
        self.logs = []  # of each step that is over
        self.log = []  # of the step that is under way
        self.transport = None
        self.background = []
        self.seen_by_peer = []  # logged last, for nothing orders it against the callbacks
        self.read = 0  # bytes that the peer has read

    async def record(self):
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: self.protocol(""), "127.0.0.1", 0)
        self.peer = socket()
        self.peer.setblocking(False)
        await loop.sock_connect(self.peer, server.sockets[0].getsockname())
        await self.settled()
        server.close()
        for step in self.case["steps"]:
            await self.step(*step)
            await self.settled()
        if not self.transport.is_closing():
            self.transport.abort()
        await self.settled()
        self.peer.close()
        for task in self.background:
            task.cancel()
        return self.logs

    async def settled(self):
        seen = None
        while seen != (seen := (len(self.log), self.read, len(self.seen_by_peer))):
            await asyncio.sleep(PAUSE)
        self.logs.append(self.log + self.seen_by_peer)
        self.log, self.seen_by_peer = [], []

    def protocol(self, prefix, buffered=None):
        size = self.case.get("buffered") if prefix == "" else buffered
        return Plain(self, prefix) if size is None else Buffered(self, prefix, size)

    def called(self, prefix, name, detail=""):
        text = f"{prefix}{name}{detail}"
        last = self.log[-1] if self.log else ""
        if name == "data" and last.startswith(f"{prefix}data"):
            self.log[-1] = last + detail[1:]
        else:
            self.log.append(text)
        if prefix == "":
            for action in self.case.get("on", {}).get(name, []):
                self.act(*action)
            if self.case.get("throws") == name:
                raise ValueError(f"{name} throws")

    async def step(self, op, *args):
        loop = asyncio.get_running_loop()
        if op == "peer send":
            try:
                await loop.sock_sendall(self.peer, args[0].encode())
            except OSError:
                self.log.append("peer can't send")
        elif op == "peer eof":
            self.peer.shutdown(1)
        elif op == "peer close":
            self.peer.close()
        elif op == "peer reset":
            self.peer.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
            self.peer.close()
        elif op == "peer read":
            self.background.append(loop.create_task(self.read_all()))
        else:
            self.act(op, *args)

    async def read_all(self):
        """Reads to the end; bulk is told by its size."""
        loop, data = asyncio.get_running_loop(), bytearray()
        try:
            while piece := await loop.sock_recv(self.peer, 1 << 20):
                data += piece
                self.read += len(piece)
            end = "EOF"
        except ConnectionResetError:
            end = "reset"
        what = data.decode() if len(data) < 100 else f"{len(data)} bytes"
        self.seen_by_peer = [f"peer got {what}, {end}"]

    def act(self, op, *args):
        try:
            self.act_on(self.transport, op, *args)
        except Exception as error:
            self.log.append(f"{op} failed")

    def act_on(self, transport, op, *args):
        if op == "write":
            transport.write(args[0].encode())
        elif op == "write bulk":
            transport.write(bytes(BULK))
        elif op == "ask":
            self.log.append(f"closing: {json.dumps(transport.is_closing())}")
        elif op == "ask size":
            self.log.append(f"buffered: {json.dumps(transport.get_write_buffer_size() > 0)}")
        elif op == "ask reading":
            self.log.append(f"reading: {json.dumps(transport.is_reading())}")
        elif op == "ask limits":
            low, high = transport.get_write_buffer_limits()
            self.log.append(f"limits: {low} {high}")
        elif op == "setLimits":
            transport.set_write_buffer_limits(high=args[0], low=args[1])
        elif op == "setProtocol":
            transport.set_protocol(self.protocol("new "))
        elif op == "setProtocol buffered":
            transport.set_protocol(self.protocol("new ", 64))
        else:
            {
                "writeEof": transport.write_eof, "close": transport.close, "abort": transport.abort,
                "pauseReading": transport.pause_reading, "resumeReading": transport.resume_reading,
            }[op]()

    def on_exception(self, context):
        self.log.append(f"handler: {context['exception']}")


class Common:
    def __init__(self, script, prefix):
        self.script, self.prefix = script, prefix

    def connection_made(self, transport):
        self.script.transport = transport
        scripts[transport] = self.script
        self.script.called(self.prefix, "made")

    def connection_lost(self, error):
        kind = "null" if error is None else "an OSError" if isinstance(error, OSError) else str(error)
        self.script.called(self.prefix, "lost", f" {kind}")

    def eof_received(self):
        self.script.called(self.prefix, "eof")
        return self.script.case.get("eof")

    def pause_writing(self):
        self.script.called(self.prefix, "pauseWriting")

    def resume_writing(self):
        self.script.called(self.prefix, "resumeWriting")


class Plain(Common, asyncio.Protocol):
    def data_received(self, data):
        self.script.called(self.prefix, "data", f" {data.decode()}")


class Buffered(Common, asyncio.BufferedProtocol):
    def __init__(self, script, prefix, size):
        super().__init__(script, prefix)
        self.buffer = bytearray(size)

    def get_buffer(self, _size_hint):
        if self.script.case.get("throws") == "getBuffer":
            raise ValueError("getBuffer throws")
        return self.buffer

    def buffer_updated(self, n):
        self.script.called(self.prefix, "data", f" {self.buffer[:n].decode()}")


scripts = {}


def find_script(context):
    """The script whose callback failed: contexts name the transport, or the callback's handle."""
    if "transport" in context:
        return scripts[context["transport"]]
    owner = context["handle"]._callback.__self__
    return owner.script if isinstance(owner, Common) else scripts[owner]


async def main():
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: find_script(context).on_exception(context))
    recorded = {}
    for _ in range(2):
        logs = await asyncio.gather(*(Script(name, case).record() for name, case in CASES.items()))
        for name, log in zip(CASES, logs):
            assert recorded.setdefault(name, log) == log, (name, log, recorded[name])
    print(json.dumps({"python": sys.version.split()[0]}))
    for name, case in CASES.items():
        print(json.dumps({"name": name, "case": case, "logs": recorded[name]}))


if __name__ == "__main__":
    asyncio.run(main())
