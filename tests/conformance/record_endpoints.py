"""Records in which order CPython calls the protocols of child processes and of datagram endpoints.

    python3 -W ignore tests/conformance/record_endpoints.py > tests/conformance/endpoints.json

Each case names what a protocol does when it is called; the tests in tests/system do the very same and
compare what is called. A case is kept only if CPython does the same several times over.
"""

import asyncio
import json
import signal
import socket
import sys

REPEATS = 12

# What is piped, the shell's command, and what is done on which call.
CHILDREN = {
    "output, then exit": ("1", "echo hello; exec 1>&-; sleep 0.05", {}),
    "nothing is piped": ("", "exit 7", {}),
    "pipes end one after the other": (
        "12", "echo a; exec 1>&-; sleep 0.05; echo b >&2; exec 2>&-; sleep 0.05; exit 1", {}),
    "a conversation": (
        "01", "cat", {"made": [["write", "hello"]], "data 1 hello": [["writeEof"]]}),
    "the input's pipe is closed": (
        "01", "cat; echo end; exec 1>&-; sleep 0.05", {"made": [["closePipe", 0]]}),
    "terminated": ("", "exec sleep 10", {"made": [["signal", "SIGTERM"]]}),
    "killed": ("1", "exec sleep 10", {"made": [["signal", "SIGKILL"]]}),
    "ends itself by a signal": (
        "1", "echo last; exec 1>&-; sleep 0.05; kill -USR1 $$", {}),
    "a signal that the child handles": (
        "1", "trap 'echo got it; exit 4' INT; echo ready; while :; do sleep 0.01; done",
        {"data 1 ready\n": [["signal", "SIGINT"]]}),
    "close()": ("012", "exec sleep 10", {"made": [["close"]]}),
    "close() twice, after output": (
        "1", "echo hello; exec sleep 10", {"data 1 hello\n": [["close"], ["close"]]}),
    "a grandchild keeps the pipe": ("1", "(sleep 0.1; echo late) & exit 3", {}),
    "a callback that throws": (
        "1", "echo a; sleep 0.05; echo b; exec 1>&-; sleep 0.05", {"data 1 a\n": [["raise"]]}),
    "a child that reads late": (
        "0", "sleep 0.05; exec head -c 1000000 > /dev/null", {"made": [["writeMuch"]]}),
    "exits with its input open": ("0", "sleep 0.05", {}),
    "killed with unread input": (
        "0", "exec sleep 10", {"made": [["writeMuch"], ["signal", "SIGKILL"]]}),
}

DATAGRAMS = {
    "received in order": {"made": [["peer", "x"], ["peer", "y"]], "datagram y": [["close"]]},
    "sent in order, then close()": {
        "made": [["send", "a"], ["send", "b"], ["close"]]},
    "an answer to each": {
        "made": [["peer", "x"]], "datagram x": [["send", "got x"], ["peer", "y"]],
        "datagram y": [["send", "got y"], ["close"], ["close"]]},
    "nothing is received after close()": {
        "made": [["peer", "x"], ["peer", "y"]], "datagram x": [["close"]]},
    "a callback that throws": {
        "made": [["peer", "x"], ["peer", "y"]], "datagram x": [["raise"]],
        "datagram y": [["close"]]},
    "connectionMade throws": {
        "made": [["peer", "x"], ["raise"]], "datagram x": [["close"]]},
    "too large": {
        "made": [["sendMuch"], ["send", "b"], ["peer", "x"]], "datagram x": [["close"]]},
    "abort()": {"made": [["peer", "x"]], "datagram x": [["abort"], ["abort"]]},
}


class Recorder:
    """Logs what is called, and does what the case says."""

    def __init__(self, actions):
        self.actions = actions
        self.log = []
        self.lost = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().set_exception_handler(
            lambda loop, context: self.log.append(f"handler: {context['exception']}"))

    def called(self, event):
        self.log.append(event)
        for action in self.actions.get(event, []):
            self.act(*action)

    def connection_made(self, transport):
        self.transport = transport
        self.called("made")

    def connection_lost(self, error):
        self.called(f"end {kind(error)}")
        self.lost.set_result(None)


class Child(Recorder, asyncio.SubprocessProtocol):
    def pipe_data_received(self, fd, data):
        self.called(f"data {fd} {data.decode()}")

    def pipe_connection_lost(self, fd, error):
        self.called(f"lost {fd} {kind(error)}")

    def process_exited(self):
        self.called(f"exited {self.transport.get_returncode()}")

    def pause_writing(self):
        self.called("pause")

    def resume_writing(self):
        self.called("resume")

    def act(self, op, *args):
        match op, *args:
            case "write", text:
                self.transport.get_pipe_transport(0).write(text.encode())
            case ["writeMuch"]:
                self.transport.get_pipe_transport(0).write(b"x" * 1_000_000)
            case ["writeEof"]:
                self.transport.get_pipe_transport(0).write_eof()
            case "closePipe", fd:
                self.transport.get_pipe_transport(fd).close()
            case "signal", name:
                self.transport.send_signal(getattr(signal, name))
            case ["close"]:
                self.transport.close()
            case ["raise"]:
                raise ValueError("raised")


class Datagram(Recorder, asyncio.DatagramProtocol):
    def __init__(self, actions, peer):
        super().__init__(actions)
        self.peer = peer

    def datagram_received(self, data, addr):
        self.called(f"datagram {data.decode()}")

    def error_received(self, error):
        self.called("error")

    def act(self, op, *args):
        match op, *args:
            case "send", text:
                self.transport.sendto(text.encode(), self.peer.getsockname())
            case ["sendMuch"]:
                self.transport.sendto(b"x" * 70_000, self.peer.getsockname())
            case "peer", text:
                self.peer.sendto(text.encode(), self.transport.get_extra_info("sockname"))
            case ["close"]:
                self.transport.close()
            case ["abort"]:
                self.transport.abort()
            case ["raise"]:
                raise ValueError("raised")


def kind(error):
    return "null" if error is None else "error"


async def run_child(pipes, command, actions):
    stdio = [asyncio.subprocess.PIPE if str(fd) in pipes else asyncio.subprocess.DEVNULL
             for fd in range(3)]
    loop = asyncio.get_running_loop()
    _, child = await loop.subprocess_shell(
        lambda: Child(actions), command, stdin=stdio[0], stdout=stdio[1], stderr=stdio[2])
    await child.lost
    return {"log": child.log}


async def run_datagram(actions):
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(0.1)
        _, endpoint = await loop.create_datagram_endpoint(
            lambda: Datagram(actions, peer), local_addr=("127.0.0.1", 0))
        await endpoint.lost
        received = []
        try:
            while True:
                received.append(peer.recv(1000).decode())
        except TimeoutError:
            return {"log": endpoint.log, "peer": received}


def record(name, run, *args):
    results = [asyncio.run(run(*args)) for _ in range(REPEATS)]
    if all(result == results[0] for result in results):
        return results[0]
    print(f"left out, for CPython is of several minds: {name}", *results, sep="\n  ", file=sys.stderr)
    return None


def main():
    children, datagrams = [], []
    for name, (pipes, command, actions) in CHILDREN.items():
        if result := record(name, run_child, pipes, command, actions):
            children.append(
                {"name": name, "pipes": pipes, "command": command, "actions": actions, **result})
    for name, actions in DATAGRAMS.items():
        if result := record(name, run_datagram, actions):
            datagrams.append({"name": name, "actions": actions, **result})
    recording = {"python": sys.version.split()[0], "children": children, "datagrams": datagrams}
    print(json.dumps(recording, indent=1))


if __name__ == "__main__":
    main()
