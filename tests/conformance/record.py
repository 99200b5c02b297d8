#!/usr/bin/env python3
"""Records what CPython's own asyncio.StreamReader does with random step lists.

    python3 record.py --seed 1 --count 3200 > reader.jsonl

The first line tells where the recording comes from. Every other line is one step list, as JSON:
[limit, step, step, ...]. A step is a string of tokens with spaces between them: what is done within
one turn of the loop, then what could be seen once the loop had nothing left to do.

    +ab     feed_data(b"ab")             l      readline()
    $       feed_eof()                   x5     readexactly(5)
    !e1     set_exception(e1)            r      read()           r5   read(5)
    c0      cancel the first read        u      readuntil()      u|ab readuntil(b"ab")
    ~r5     a read cancelled before      t|a|b  readuntil((b"a", b"b"))
            it could start

    0=ab    the first read gave b"ab"    0>7    LimitOverrunError, consumed 7
    0?5:ab  IncompleteReadError,         0v     ValueError
            expected 5, partial b"ab"    0r     refused: another read waits (RuntimeError)
    0?:ab   the same, expected None      0c     CancelledError
    @       at_eof() has become true     0!e1   e1 itself
    *e1     exception() has become e1

A byte is written as the character of its number; six or more of one in a row as a{17}. Reads are
counted from 0 in each list. What a turn's reads meet is what was done in it before them, and in
their order, as asyncio's tasks would have it.

CPython 3.8 to 3.13 give the same answers wherever all of them can be asked; only 3.13 takes a tuple
of separators, so older ones are not asked for that, and a seed gives other lists there.
"""
import argparse
import asyncio
import json
import random
import re
import sys

TUPLES = sys.version_info >= (3, 13)
RUN_OF_SIX = re.compile(r"(.)\1{5,}", re.DOTALL)


class KnownBug(Exception):
    """The step led into a bug of CPython's that nobody should copy: it must not be recorded."""


def packed(data):
    """Bytes in the recording's notation."""
    return RUN_OF_SIX.sub(lambda m: "%s{%d}" % (m[1], len(m[0])), data.decode("latin-1"))


def unpacked(text):
    """The bytes that packed() wrote as `text`."""
    runs = re.sub(r"(.)\{(\d+)\}", lambda m: m[1] * int(m[2]), text, flags=re.DOTALL)
    return runs.encode("latin-1")


def is_refused(token):
    """Whether it is a read with bad arguments."""
    if token[0] in "ut":
        separators = token.split("|")[1:]
        return "" in separators or token == "t"
    return token.startswith("x-")


class Read:
    """A read under way, as asyncio's users start one: a task."""

    def __init__(self, run, token):
        self.run = run
        self.told = False
        early = token.startswith("~")
        self.kind = token[1] if early else token[0]
        self.argument = token[2:] if early else token[1:]
        self.coroutine = None
        self.torn = False
        self.task = run.loop.create_task(self._watched())
        if early:
            self.task.cancel()

    def _call(self):
        reader, argument = self.run.reader, self.argument
        if self.kind == "l":
            return reader.readline()
        if self.kind == "x":
            return reader.readexactly(int(argument))
        if self.kind == "r":
            return reader.read(int(argument)) if argument else reader.read()
        if self.kind == "t":
            return reader.readuntil(self._separators())
        return reader.readuntil(*self._separators())

    def _separators(self):
        return tuple(unpacked(part) for part in self.argument.split("|")[1:])

    async def _watched(self):
        reader = self.run.reader
        before = len(reader._buffer)
        stale = [read for read in self.run.reads if read is not self and read.searched()]
        self.coroutine = self._call()
        try:
            return await self.coroutine
        except RuntimeError:
            # read(-1) takes what is there before it finds that another read waits.
            if len(reader._buffer) < before:
                self.run.known_bug = "bytes lost by a refused read(-1)"
            raise
        except asyncio.LimitOverrunError as error:
            self._check_tie(error.consumed)
            raise
        except OSError:
            # It takes `limit` bytes before it finds the exception. Nobody can read the rest any
            # more, but at_eof() knows of it.
            if self.torn and reader._buffer:
                self.run.known_bug = "read(-1) stopped halfway by an exception"
            raise
        finally:
            # Bytes taken from under a search that waits: it goes on where it stopped, as if they
            # were still there, and misses a separator.
            if stale and before > 0 and len(reader._buffer) < before:
                self.run.known_bug = "bytes taken from under a search"

    def _check_tie(self, consumed):
        """Of separators that end at one place CPython takes the shortest for the match, we the
        longest, as our issue has it. It shows only where the limit lies between their starts."""
        if self.kind != "t":
            return
        buffer = bytes(self.run.reader._buffer)
        for short in self._separators():
            end = consumed + len(short)
            for other in self._separators():
                if buffer.startswith(short, consumed) and len(other) > len(short):
                    if buffer.endswith(other, 0, end):
                        self.run.known_bug = "separators that end at one place"

    def frame_locals(self):
        """What the read has at hand while it waits."""
        coroutine = self.coroutine
        if self.kind == "l":
            coroutine = getattr(coroutine, "cr_await", None)
        frame = getattr(coroutine, "cr_frame", None)
        return frame.f_locals if frame is not None else {}

    def waits(self):
        """Whether it has started and not ended."""
        return self.coroutine is not None and not self.task.done()

    def searched(self):
        """Whether it is a search that waits and that has bytes behind it."""
        return self.kind in "lut" and self.frame_locals().get("offset", 0) > 0

    def cancel(self):
        # What read(-1) has gathered by now would be lost.
        if self.kind == "r" and self.frame_locals().get("blocks"):
            self.run.known_bug = "a cancelled read(-1) that had gathered bytes"
        # asyncio cancels a read even if it has been rejected by now: a settled promise stays so.
        if self.waits() and self.run.reader.exception() is not None:
            self.run.known_bug = "a read cancelled right after set_exception()"
        self.task.cancel()

    def outcome(self):
        try:
            return "=" + packed(self.task.result())
        except asyncio.IncompleteReadError as error:
            expected = "" if error.expected is None else error.expected
            return "?%s:%s" % (expected, packed(error.partial))
        except asyncio.LimitOverrunError as error:
            return ">%d" % error.consumed
        except ValueError:
            return "v"
        except RuntimeError:
            return "r"
        except asyncio.CancelledError:
            return "c"
        except Exception as error:
            return "!" + self.run.name_of(error)


class Run:
    """A step list on a reader of its own."""

    def __init__(self, loop, limit):
        self.loop = loop
        self.limit = limit
        self.reader = asyncio.StreamReader(limit=limit, loop=loop)
        self.reads = []
        self.recorded = []
        self.exceptions = {}
        self.known_bug = None
        self._at_eof = False
        self._exception = None

    def name_of(self, error):
        for name, exception in self.exceptions.items():
            if exception is error:
                return name
        raise AssertionError("an error nobody has asked for") from error

    def pending(self):
        return [i for i, read in enumerate(self.reads) if not read.task.done()]

    async def step(self, step):
        """Does one step and records what came of it.

        Raises KnownBug, with the run spoilt, where that is a bug of CPython's."""
        reading = False
        for token in step.split(" "):
            if token[0] in "~lrxut":
                self.reads.append(Read(self, token))
                # One with bad arguments ends where it starts: it's all the same when that is.
                reading = reading or not is_refused(token)
                continue
            if reading:
                # A task starts a little later than it is made; the read was called before this.
                await self._quiet()
                reading = False
            self._act(token)
        await self._quiet()
        seen = self._seen()
        if self.known_bug:
            raise KnownBug(self.known_bug)
        self.recorded.append(" ".join([step] + seen))

    def _act(self, token):
        kind, argument = token[0], token[1:]
        if kind == "+":
            self.reader.feed_data(unpacked(argument))
        elif kind == "$":
            self.reader.feed_eof()
        elif kind == "!":
            self.exceptions[argument] = OSError(argument)
            for read in self.reads:
                read.torn = "blocks" in read.frame_locals() and len(self.reader._buffer) > 0
            self.reader.set_exception(self.exceptions[argument])
        elif kind == "c":
            self.reads[int(argument)].cancel()

    async def _quiet(self):
        for _ in range(4):
            await asyncio.sleep(0)
        # set_exception() behind feed_data() in one turn leaves a read that needs more than that
        # hanging, until more comes.
        if self.reader.exception() is not None and self.pending():
            self.known_bug = "a read that hangs although there is an exception"

    def _seen(self):
        seen = []
        for i, read in enumerate(self.reads):
            if read.task.done() and not read.told:
                read.told = True
                seen.append(str(i) + read.outcome())
        if self.reader.at_eof() and not self._at_eof:
            self._at_eof = True
            seen.append("@")
        if self.reader.exception() is not self._exception:
            self._exception = self.reader.exception()
            seen.append("*" + self.name_of(self._exception))
        return seen

    async def end(self):
        for read in self.reads:
            read.task.cancel()
        await asyncio.gather(*(read.task for read in self.reads), return_exceptions=True)


class Author:
    """Thinks up step lists, with a view to where readers go wrong."""

    # Separators, as indices into the alphabet: most overlap themselves or one another.
    PATTERNS = (
        "0 1 2 00 01 12 21 22 11 000 010 001 011 100 0101 0010 0001 1101 0110 2222 0000".split()
    )
    ALPHABETS = ["ab\n"] * 6 + ["a\n\r", "\r\nx", "\x00\xff\n", "\n\x0b\x8a"]

    def __init__(self, rng):
        self.rng = rng
        self.alphabet = rng.choice(self.ALPHABETS)
        self.limit = rng.choice(
            [rng.randint(1, 4), rng.randint(1, 8), rng.randint(3, 20), 65536]
        )
        # Few separators a list: reads that follow one another then meet one another's remains.
        self.patterns = [self._pattern() for _ in range(rng.randint(1, 3))]
        self.size = rng.choice([1, 2, 3, 3, 5, 8])

    def _pattern(self):
        return "".join(self.alphabet[int(i)] for i in self.rng.choice(self.PATTERNS))

    def step(self, run):
        """The next step of `run`: one action mostly, else several in one turn."""
        count = self.rng.choice([1, 1, 1, 1, 1, 1, 2, 2, 3, 4])
        eof = run.reader._eof
        reads = len(run.reads)
        pending = run.pending()
        exceptions = len(run.exceptions)
        if pending and not eof and self.rng.random() < 0.04:
            # A turn in which all comes at once.
            tokens = ["+" + packed(self._data(run)), "$", "!e%d" % (exceptions + 1)]
            return " ".join(self.rng.choice([tokens, tokens[::2] + tokens[1:2], tokens[1:]]))
        tokens = []
        for _ in range(count):
            token = self._token(run, eof, pending, exceptions)
            eof = eof or token == "$"
            exceptions += token[0] == "!"
            if token[0] in "~lrxut":
                if not is_refused(token):
                    pending = pending + [reads]
                reads += 1
            tokens.append(token)
        return " ".join(tokens)

    def _token(self, run, eof, pending, exceptions):
        dice = self.rng.random()
        if pending:
            if dice < 0.10:
                return "c%d" % self.rng.choice(pending)
            if dice < 0.13:
                return "!e%d" % (exceptions + 1)
            if dice < 0.22:
                return "$"
            if dice < 0.38:
                return self._read(run)
        else:
            if dice < 0.02:
                return "!e%d" % (exceptions + 1)
            if dice < 0.08:
                return "$"
            if dice < 0.60:
                return self._read(run)
        # feed_data() behind feed_eof() is a failed assertion, an empty one too: not a behaviour.
        return self._read(run) if eof else "+" + packed(self._data(run))

    def _read(self, run):
        token = self._plain_read(run)
        # asyncio's task would never look at its arguments; a call of ours refuses them first.
        early = self.rng.random() < 0.03 and not is_refused(token)
        return "~" + token if early else token

    def _plain_read(self, run):
        buffered = len(run.reader._buffer)
        near = [0, 1, 2, 3, 5, max(0, buffered - 1), buffered, buffered + 1, buffered + 2]
        dice = self.rng.random()
        if dice < 0.28:
            return "l"
        if dice < 0.45:
            return "x%d" % self.rng.choice(near + near + [-2])
        if dice < 0.60:
            return "r%d" % self.rng.choice(near + near + [run.limit])
        if dice < 0.64:
            return self.rng.choice(["r", "r-1", "r-7"])
        if dice < 0.68:
            return "u"
        if TUPLES and dice < 0.80:
            separators = [self._separator() for _ in range(self.rng.choice([1, 2, 2, 3, 3]))]
            if self.rng.random() < 0.04:
                separators = self.rng.choice([[], [""], separators + [""]])
            return "|".join(["t"] + separators)
        return "u|" + ("" if self.rng.random() < 0.03 else self._separator())

    def _separator(self):
        pattern = self.rng.choice(self.patterns)
        return pattern if self.rng.random() < 0.8 else self._pattern()

    def _data(self, run):
        dice = self.rng.random()
        if dice < 0.06:
            return b""
        if dice < 0.30:
            # All that is buffered comes to about the limit, then perhaps a separator's part.
            size = min(run.limit, 40) + self.rng.randint(-1, 2) - len(run.reader._buffer)
            fill = self.alphabet[self.rng.choice([0, 0, 1])] * max(0, size)
            separator = self._separator()
            text = fill + separator[self.rng.randint(0, 1) : self.rng.randint(0, len(separator))]
        elif dice < 0.45:
            # A separator's part after a little of something.
            separator = self._separator()
            text = self._random(1) + separator[: self.rng.randint(1, len(separator))]
        elif dice < 0.48:
            text = self.alphabet[0] * self.rng.choice([60, 255, 256, 300]) + self._random(3)
        else:
            text = self._random(self.size)
        return text.encode("latin-1")

    def _random(self, size):
        return "".join(self.rng.choice(self.alphabet) for _ in range(self.rng.randint(1, size)))

    @staticmethod
    def last_steps(run):
        """What shows all that is left: pending reads away, the end, two reads of the rest."""
        steps = []
        for i in run.pending():
            if not run.reads[i].frame_locals().get("blocks"):
                steps.append("c%d" % i)
        return steps + ([] if run.reader._eof else ["$"]) + ["r"]


async def record(loop, rng):
    """One step list and what it did, as a line of the recording."""
    author = Author(rng)
    run = Run(loop, author.limit)
    steps = []

    async def attempt(step):
        nonlocal run
        try:
            await run.step(step)
            steps.append(step)
        except KnownBug:
            # As if the step had never been thought of.
            await run.end()
            run = Run(loop, author.limit)
            for earlier in steps:
                await run.step(earlier)

    for _ in range(rng.randint(3, 9)):
        await attempt(author.step(run))
        # Little happens after an exception, or once all is read.
        if (run.exceptions or run.reader.at_eof()) and rng.random() < 0.4:
            break
    for step in author.last_steps(run):
        await attempt(step)
    await run.end()
    return json.dumps([run.limit] + run.recorded, ensure_ascii=False, separators=(",", ":"))


async def record_all(seed, count):
    loop = asyncio.get_running_loop()
    out = open(sys.stdout.fileno(), "w", encoding="utf-8", newline="\n", closefd=False)
    python = ".".join(map(str, sys.version_info[:3]))
    print(json.dumps({"python": python, "seed": seed, "lists": count}), file=out)
    rng = random.Random(seed)
    for _ in range(count):
        print(await record(loop, rng), file=out)
    out.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=3200)
    options = parser.parse_args()
    asyncio.run(record_all(options.seed, options.count))


if __name__ == "__main__":
    main()
