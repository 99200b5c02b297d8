"""Records in which order CPython's event loop calls things.

    python3 -W ignore tests/conformance/record_loop.py > tests/conformance/loop.jsonl

Each case is a small program: lists of actions for its callbacks and its tasks. Some were written by
hand, the others are made up from a seed; replay_loop.ts runs the very same ones and compares what
they log. A program runs twice, to see what stop() leaves for the next run.
"""

import argparse
import asyncio
import json
import random
import selectors
import sys

BATCHES = 14  # after that many batches a run is stopped
SLOT = 0.012  # seconds between the timers' slots
SPAN = 0.001  # seconds by which a wait for timers takes longer, so that all of a slot are due
LONGEST = 60  # entries in a log; programs that go on, some of them growing without end, are left out
NAMES = {"callbacks": "abcde", "futures": "FG", "tasks": "TUV"}

# What the pages on the event loop, futures, transports, protocols and policies document, for the
# README's table: of classes, all public names.
CLASSES = {
    "loop": [asyncio.AbstractEventLoop],
    "server": [asyncio.Server],
    "handle": [asyncio.Handle, asyncio.TimerHandle],
    "future": [asyncio.Future],
    "task": [asyncio.Task],
    "transport": [
        asyncio.BaseTransport, asyncio.ReadTransport, asyncio.WriteTransport, asyncio.Transport,
        asyncio.DatagramTransport, asyncio.SubprocessTransport,
    ],
    "protocol": [
        asyncio.BaseProtocol, asyncio.Protocol, asyncio.BufferedProtocol, asyncio.DatagramProtocol,
        asyncio.SubprocessProtocol,
    ],
}
MODULE = """
    run Runner get_running_loop get_event_loop set_event_loop new_event_loop sleep
    isfuture ensure_future wrap_future Future Task Handle TimerHandle Server
    AbstractEventLoop BaseEventLoop SelectorEventLoop
    CancelledError InvalidStateError SendfileNotAvailableError TimeoutError
    get_event_loop_policy set_event_loop_policy AbstractEventLoopPolicy DefaultEventLoopPolicy
    BaseTransport ReadTransport WriteTransport Transport DatagramTransport SubprocessTransport
    BaseProtocol Protocol BufferedProtocol DatagramProtocol SubprocessProtocol StreamReaderProtocol
""".split()

# Documented for other versions or platforms than this one's.
ELSEWHERE = """
    EventLoop ProactorEventLoop AbstractChildWatcher get_child_watcher set_child_watcher
""".split()

HAND_WRITTEN = {
    "callSoon is FIFO, and what a batch adds waits for the next": {
        "main": [["soon", "a"], ["soon", "b"], ["soon", "c"]],
        "a": [["soon", "d"]], "d": [["soon", "e"]],
    },
    "callLater(0) comes after what is ready": {
        "main": [["later0", "a"], ["soon", "b"], ["later0", "c"], ["soon", "d"]],
    },
    "timers run in order of time, then of calling": {
        "main": [["at", 2, "a"], ["at", 1, "b"], ["at", 2, "c"], ["at", 1, "d"], ["soon", "e"]],
        "b": [["soon", "e"]],
    },
    "stop() lets the batch finish": {
        "main": [["soon", "a"], ["soon", "b"], ["soon", "c"]],
        "a": [["soon", "d"]], "b": [["stop"]], "c": [["soon", "e"]],
    },
    "stop() before the run lets one batch through": {
        "before": [["soon", "a"], ["stop"]], "a": [["soon", "b"]],
        "main": [],
    },
    "a callback that throws does not stop the others": {
        "main": [["soon", "a"], ["soon", "b"]], "a": [["raise"]],
    },
    "a cancelled handle is not called": {
        "main": [["soon", "a"], ["soon", "b"], ["at", 1, "c"]], "a": [["cancel", "b"], ["cancel", "c"]],
    },
    "done callbacks and awaits of one future take turns in order": {
        "main": [["future", "F"], ["onDone", "F", "a"], ["task", "T"], ["soon", "b"]],
        "T": [["await", "F"], ["log", "after"], ["soon", "c"]],
        "b": [["onDone", "F", "d"], ["set", "F"], ["soon", "e"]],
    },
    "a done callback can be taken back": {
        "main": [["future", "F"], ["onDone", "F", "a"], ["onDone", "F", "b"], ["onDone", "F", "a"],
                 ["offDone", "F", "a"], ["set", "F"], ["onDone", "F", "c"]],
    },
    "a task starts in the next batch and ends in the one after its last await": {
        "main": [["task", "T"], ["soon", "a"]],
        "T": [["sleep0"], ["sleep0"]], "a": [["soon", "b"]], "b": [["soon", "c"]],
        "c": [["soon", "d"]],
    },
    "a task cancelled before it starts never runs": {
        "main": [["task", "T"], ["cancelTask", "T"], ["soon", "a"]], "T": [["log", "ran"]],
    },
    "tasks awaiting tasks": {
        "main": [["task", "T"], ["task", "U"], ["task", "V"]],
        "T": [["awaitTask", "U"]], "U": [["awaitTask", "V"], ["fail"]], "V": [["sleep0"]],
    },
    "a future is done but once": {
        "main": [["future", "F"], ["set", "F"], ["set", "F"], ["fail", "F"], ["cancelFuture", "F"]],
    },
}


class SlotLoop(asyncio.SelectorEventLoop):
    """Time goes on only when there is nothing else to do, whatever the machine is busy with."""

    def __init__(self):
        loop, self.now = self, 0.0

        class Selector(selectors.DefaultSelector):
            def select(self, timeout=None):
                if timeout:
                    loop.now += timeout + SPAN
                return super().select(0)

        super().__init__(Selector())

    def time(self):
        # It goes on a little, as every clock does: CPython's heap keeps no order among equal times.
        self.now += 1e-9
        return self.now


class Interpreter:
    """Runs one program. Anything that is not there yet is passed over, as in replay_loop.ts."""

    def __init__(self, program):
        self.program = program
        self.log = []
        self.handles, self.futures, self.tasks, self.started = {}, {}, {}, set()
        self.done_callbacks = {
            name: (lambda future, name=name: self.on_done(name, future))
            for name in NAMES["callbacks"]
        }
        self.timers = 0

    def record(self):
        self.loop = SlotLoop()
        self.loop.set_exception_handler(self.on_exception)
        self.actions("before")
        self.loop.call_soon(self.call, "main")
        for run in (1, 2):
            self.log.append(f"run {run}")
            if any(action[0] == "at" for action in sum(self.program.values(), [])):
                guard = self.loop.call_at(run * 4 * SLOT, self.loop.stop)
            else:
                guard = self.loop.call_soon(self.count_down, BATCHES)
            self.loop.run_forever()
            guard.cancel()
        for task in self.tasks.values():  # keeps CPython's complaints out of the terminal
            task._log_destroy_pending = False
        self.loop.close()
        return self.log

    def count_down(self, left):
        if left == 0:
            self.loop.stop()
        else:
            self.loop.call_soon(self.count_down, left - 1)

    def on_exception(self, _loop, context):
        if "handle" in context:
            self.log.append(f"handler: {context['exception']}")

    def call(self, name):
        self.log.append(name)
        self.actions(name)

    def on_done(self, name, future):
        self.log.append(f"{name}({outcome(future)})")
        self.actions(name)

    def actions(self, name):
        if len(self.log) > LONGEST:
            return
        for action in self.program.get(name, []):
            self.act(*action)

    async def body(self, name):
        self.started.add(name)
        self.log.append(f"{name} starts")
        for step in self.program.get(name, []):
            match step:
                case ["sleep0"]:
                    await asyncio.sleep(0)
                    self.log.append(f"{name} wakes")
                case ["await", future] if future in self.futures:
                    await self.wait(name, future, self.futures[future])
                case ["awaitTask", task] if task in self.tasks:
                    await self.wait(name, task, self.tasks[task])
                case ["fail"]:
                    raise ValueError(f"{name} failed")
                case ["await" | "awaitTask", _]:
                    pass
                case _:
                    self.act(*step)

    async def wait(self, name, other, awaitable):
        try:
            await awaitable
        except asyncio.CancelledError:
            self.log.append(f"{name} got cancellation of {other}")
        except ValueError as error:
            self.log.append(f"{name} got error of {other}: {error}")
        else:
            self.log.append(f"{name} got {other}")

    def act(self, op, *args):
        match [op, *args]:
            case ["log", text]:
                self.log.append(text)
            case ["soon", name]:
                self.handles[name] = self.loop.call_soon(self.call, name)
            case ["later0", name]:
                self.handles[name] = self.loop.call_later(0, self.call, name)
            case ["at", slot, name]:
                # CPython leaves the order of equal times open; a nanosecond settles it.
                self.timers += 1
                when = slot * SLOT + self.timers * 1e-9
                self.handles[name] = self.loop.call_at(when, self.call, name)
            case ["cancel", name] if name in self.handles:
                self.handles[name].cancel()
            case ["stop"]:
                self.loop.stop()
            case ["raise"]:
                raise ValueError("raised")
            case ["future", name]:
                self.futures.setdefault(name, self.loop.create_future())
            case ["task", name] if name not in self.tasks:
                task = self.tasks[name] = self.loop.create_task(self.body(name))
                task.add_done_callback(lambda task: self.log.append(f"{name} ended: {outcome(task)}"))
            case ["cancelTask", name] if name in self.tasks and name not in self.started:
                self.log.append(f"cancel {name}: {self.tasks[name].cancel()}")
            case [_, name, *rest] if name in self.futures:
                self.act_on_future(op, name, self.futures[name], *rest)

    def act_on_future(self, op, name, future, *args):
        try:
            match op:
                case "set":
                    future.set_result(name)
                case "fail":
                    future.set_exception(ValueError(f"{name} failed"))
                case "cancelFuture":
                    self.log.append(f"cancel {name}: {future.cancel()}")
                case "onDone":
                    future.add_done_callback(self.done_callbacks[args[0]])
                case "offDone":
                    count = future.remove_done_callback(self.done_callbacks[args[0]])
                    self.log.append(f"removed {count}")
        except asyncio.InvalidStateError:
            self.log.append(f"{op} {name}: InvalidStateError")


def outcome(future):
    if future.cancelled():
        return "cancelled"
    return "failed" if future.exception() else "result"


def make_up(rng):
    """A program of a few callbacks and tasks with a few actions each."""

    def action(in_task, timers):
        callback = rng.choice(NAMES["callbacks"])
        future = rng.choice(NAMES["futures"])
        task = rng.choice(NAMES["tasks"])
        choices = [
            (6, ["soon", callback]), (2, ["later0", callback]), (1, ["cancel", callback]),
            (1, ["stop"]), (1, ["raise"]), (3, ["future", future]), (3, ["set", future]),
            (1, ["fail", future]), (1, ["cancelFuture", future]), (3, ["onDone", future, callback]),
            (1, ["offDone", future, callback]), (3, ["task", task]), (1, ["cancelTask", task]),
        ]
        if in_task:
            choices += [(5, ["await", future]), (3, ["awaitTask", task]), (4, ["sleep0"]), (1, ["fail"])]
        if timers:
            choices += [(4, ["at", rng.choice([1, 2, 3]), callback])]
        return rng.choices([c for _, c in choices], [weight for weight, _ in choices])[0]

    timers = rng.random() < 0.12
    program = {"main": [action(False, timers) for _ in range(rng.randint(3, 7))]}
    for name in NAMES["callbacks"]:
        program[name] = [action(False, timers) for _ in range(rng.randint(0, 2))]
    for name in NAMES["tasks"]:
        steps = [action(True, timers) for _ in range(rng.randint(1, 5))]
        program[name] = [step for step in steps if step != ["awaitTask", name]]
    if rng.random() < 0.2:
        program["before"] = [action(False, timers) for _ in range(rng.randint(1, 3))]
    for name in ("before", "main"):  # what throws here would end the recording itself
        program[name] = [step for step in program.get(name, []) if step != ["raise"]]
    return {name: actions for name, actions in program.items() if actions}


def documented_names():
    missing = [name for name in MODULE if not hasattr(asyncio, name)]
    assert not missing, missing
    names = [f"asyncio.{name}" for name in MODULE + ELSEWHERE]
    for owner, classes in CLASSES.items():
        public = dict.fromkeys(n for c in classes for n in vars(c) if not n.startswith("_"))
        names += [f"{owner}.{name}" for name in public]
    return names + ["loop.slow_callback_duration"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--count", type=int, default=300, help="how many programs to make up")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    programs = dict(HAND_WRITTEN)
    programs |= {f"made up {n}": make_up(rng) for n in range(1, options.count + 1)}
    print(json.dumps({"python": sys.version.split()[0], "names": documented_names()}))
    for name, program in programs.items():
        log = Interpreter(program).record()
        if len(log) <= LONGEST and log == Interpreter(program).record():
            print(json.dumps({"name": name, "program": program, "log": log}))


if __name__ == "__main__":
    main()
