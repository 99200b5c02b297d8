"""Records when CPython's event loop calls the readers and writers of a socket.

    python3 tests/conformance/record_sockets.py > tests/conformance/sockets.jsonl

Each case is a small program: lists of actions for its callbacks, around one watched socket whose
peer is played by the program, too. sockets_test.ts has replay_sockets.ts run the very same ones and compares what they
log. A program runs twice, to see what stop() leaves for the next run.
"""

import argparse
import asyncio
import json
import platform
import random
import socket

BATCHES = 10  # after that many batches a run is stopped
LONGEST = 400  # lines of a log: some programs multiply their callbacks
SENDS = 100  # of a program: a peer that sends without end fills the socket, and waits for ever
NAMES = "abcde"

HAND_WRITTEN = {
    "a reader is called in each batch while there is data": {
        "main": [["reader", "a"], ["peerSend", 3], ["soon", "b"]],
        "a": [["recv", 1]], "b": [["soon", "c"]],
    },
    "what is sent in a batch is read in the next, behind what was soon": {
        "main": [["reader", "a"], ["soon", "b"]],
        "b": [["peerSend", 1], ["soon", "c"], ["later0", "d"]], "a": [["recv", 1], ["soon", "e"]],
    },
    "a reader comes before a writer, and can take it back": {
        "main": [["writer", "b"], ["reader", "a"], ["peerSend", 2]],
        "a": [["recv", 1], ["soon", "c"]], "c": [["noWriter"]],
    },
    "a writer is called in each batch": {
        "main": [["writer", "a"], ["soon", "b"]], "b": [["soon", "c"]], "c": [["noWriter"]],
    },
    "the end of the peer makes a reader ready for good": {
        "main": [["reader", "a"], ["peerSend", 1], ["peerClose"]],
        "a": [["recv", 1]],
    },
    "a reader replaced by itself in its own call": {
        "main": [["reader", "a"], ["peerSend", 2]],
        "a": [["recv", 1], ["reader", "b"]], "b": [["recv", 1], ["reader", "a"]],
    },
    "a reader that raises is called again": {
        "main": [["reader", "a"], ["peerSend", 1], ["soon", "b"]],
        "a": [["raise"]], "b": [["soon", "c"]], "c": [["noReader"]],
    },
    "taken back in the batch in which it was ready": {
        "main": [["reader", "a"], ["writer", "b"], ["peerSend", 1]],
        "a": [["noWriter"], ["noReader"], ["noReader"]],
    },
    "what was ready when the loop stopped": {
        "main": [["reader", "a"], ["peerSend", 2], ["stop"]], "a": [["recv", 1], ["stop"]],
    },
}


class Interpreter:
    """Runs one program, as replay_sockets.ts does."""

    def __init__(self, program):
        self.program = program
        self.log = []
        self.sends = 0

    @property
    def bounded(self):
        """Whether the program ran as it is; otherwise its log means nothing."""
        return len(self.log) < LONGEST and self.sends <= SENDS

    def record(self):
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(lambda _loop, context: self.log.append("raised"))
        self.socket, self.peer = socket.socketpair()
        self.socket.setblocking(False)
        self.loop.call_soon(self.call, "main")
        for run in (1, 2):
            self.log.append(f"run {run}")
            guard = self.loop.call_soon(self.count_down, BATCHES)
            self.loop.run_forever()
            guard.cancel()
        self.loop.remove_reader(self.socket)
        self.loop.remove_writer(self.socket)
        self.loop.close()
        self.socket.close()
        self.peer.close()
        return self.log

    def count_down(self, left):
        if left == 0:
            self.loop.stop()
        else:
            self.loop.call_soon(self.count_down, left - 1)

    def call(self, name):
        self.log.append(name)
        if len(self.log) > LONGEST:
            return
        for action in self.program.get(name, []):
            self.act(*action)

    def act(self, op, *args):
        match [op, *args]:
            case ["soon", name]:
                self.loop.call_soon(self.call, name)
            case ["later0", name]:
                self.loop.call_later(0, self.call, name)
            case ["reader", name]:
                self.loop.add_reader(self.socket, self.call, name)
            case ["writer", name]:
                self.loop.add_writer(self.socket, self.call, name)
            case ["noReader"]:
                self.log.append(f"noReader {self.loop.remove_reader(self.socket)}")
            case ["noWriter"]:
                self.log.append(f"noWriter {self.loop.remove_writer(self.socket)}")
            case ["peerSend", n]:
                if self.peer.fileno() != -1 and self.sends <= SENDS:
                    self.sends += 1
                    self.peer.send(b"x" * n)
            case ["peerClose"]:
                self.peer.close()
            case ["recv", n]:
                try:
                    self.log.append(f"recv {len(self.socket.recv(n))}")
                except BlockingIOError:
                    self.log.append("recv would block")
            case ["stop"]:
                self.loop.stop()
            case ["raise"]:
                raise ValueError("raised")


def make_up(rng):
    """A program of a few callbacks with a few actions each."""

    def action():
        name = rng.choice(NAMES)
        choices = [
            (5, ["soon", name]), (2, ["later0", name]), (5, ["reader", name]), (2, ["writer", name]),
            (1, ["noReader"]), (2, ["noWriter"]), (5, ["peerSend", rng.randint(1, 3)]),
            (1, ["peerClose"]), (5, ["recv", rng.randint(1, 3)]), (1, ["stop"]), (1, ["raise"]),
        ]
        return rng.choices([c for _, c in choices], [weight for weight, _ in choices])[0]

    program = {"main": [action() for _ in range(rng.randint(3, 6))]}
    program |= {name: [action() for _ in range(rng.randint(0, 2))] for name in NAMES}
    return program


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--count", type=int, default=200, help="how many programs to make up")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    programs = HAND_WRITTEN | {f"made up {n}": make_up(rng) for n in range(1, options.count + 1)}
    print(json.dumps({"python": platform.python_version()}))
    for name, program in programs.items():
        interpreter = Interpreter(program)
        log = interpreter.record()
        if interpreter.bounded:
            print(json.dumps({"name": name, "program": program, "log": log}))


main()
