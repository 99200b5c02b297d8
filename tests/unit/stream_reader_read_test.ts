import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { StreamReader } from "../../net/stream_reader.ts";
import { IncompleteReadError } from "../../net/errors.ts";
import { MemoryCarrier } from "../memory_carrier.ts";
import { bytes, memoryStreams, settled, text, turns } from "../support.ts";

function fed(...pieces: string[]): StreamReader {
  const reader = new StreamReader();
  for (const piece of pieces) reader.feedData(bytes(piece));
  return reader;
}

Deno.test("read() returns at most n bytes of what has come", async () => {
  const reader = fed("abc", "def");
  assertEquals(text(await reader.read(2)), "ab");
  assertEquals(text(await reader.read(100)), "cdef");
});

Deno.test("read() waits for at least one byte", async () => {
  const reader = new StreamReader();
  const read = reader.read(10);
  reader.feedData(new Uint8Array(0));
  assert(!await settled(read), "an empty feed is no byte");
  reader.feedData(bytes("x"));
  assertEquals(text(await read), "x");
});

Deno.test("read() is empty at EOF, again and again", async () => {
  const reader = new StreamReader();
  const read = reader.read(10);
  reader.feedEof();
  reader.feedEof();
  assertEquals(await read, new Uint8Array(0));
  assertEquals(await reader.read(10), new Uint8Array(0));
  assertEquals(await reader.read(), new Uint8Array(0));
  assertEquals(await reader.readLine(), new Uint8Array(0));
});

Deno.test("read() without a count reads to EOF, beyond any limit", async () => {
  const reader = new StreamReader({ limit: 2 });
  reader.feedData(bytes("much more "));
  const read = reader.read();
  reader.feedData(bytes("than two "));
  assert(!await settled(read));
  reader.feedData(bytes("bytes"));
  reader.feedEof();
  assertEquals(text(await read), "much more than two bytes");
  assert(reader.atEof());
});

Deno.test("read(0) and readExactly(0) are empty at once, even while another read waits", async () => {
  const reader = new StreamReader();
  const waiting = reader.read(1);
  assertEquals(await reader.read(0), new Uint8Array(0));
  assertEquals(await reader.readExactly(0), new Uint8Array(0));
  reader.feedData(bytes("a"));
  assertEquals(text(await waiting), "a");
});

Deno.test("readExactly() waits for all of its bytes, beyond any limit", async () => {
  const reader = new StreamReader({ limit: 1 });
  reader.feedData(bytes("12345"));
  const read = reader.readExactly(10);
  reader.feedData(bytes("6789"));
  assert(!await settled(read));
  reader.feedData(bytes("0rest"));
  assertEquals(text(await read), "1234567890");
  assertEquals(text(await reader.readExactly(4)), "rest");
});

Deno.test("readExactly() throws what had come when EOF comes first, and empties the buffer", async () => {
  const reader = fed("abc");
  const read = reader.readExactly(4);
  reader.feedEof();
  const error = await assertRejects(() => read, IncompleteReadError);
  assertEquals([text(error.partial), error.expected], ["abc", 4]);
  assert(error instanceof Deno.errors.UnexpectedEof);
  assert(reader.atEof());
  assertEquals(await reader.read(), new Uint8Array(0));
});

Deno.test("read() and readExactly() refuse what is no count, without a byte being lost", async () => {
  const reader = fed("abc");
  reader.setException(new Error("later")); // Arguments are looked at first.
  for (const n of [1.5, NaN, Infinity, "1", null]) {
    await assertRejects(() => reader.read(n as number), TypeError, "integer");
    await assertRejects(() => reader.readExactly(n as number), TypeError, "integer");
  }
  await assertRejects(() => reader.read("5" as unknown as number), TypeError, 'not "5"');
  await assertRejects(() => reader.readExactly(-1), RangeError, "negative");
  await assertRejects(() => reader.read(0), Error, "later");
});

Deno.test("StreamReader() refuses a limit that is none", () => {
  for (const limit of [0, -1, NaN]) {
    assertThrowsLimit(limit, RangeError);
  }
  assertThrowsLimit("1" as unknown as number, TypeError);
});

function assertThrowsLimit(limit: number, kind: typeof RangeError | typeof TypeError): void {
  try {
    new StreamReader({ limit });
  } catch (error) {
    assert(error instanceof kind);
    return;
  }
  throw new Error(`${limit} was taken`);
}

Deno.test("a second read that needs data is refused, and the first goes on", async () => {
  const reader = new StreamReader();
  const first = reader.readLine();
  const kinds = [
    () => reader.read(1),
    () => reader.read(),
    () => reader.readExactly(1),
    () => reader.readLine(),
    () => reader.readUntil("x"),
  ];
  for (const second of kinds) await assertRejects(second, Error, "another read is waiting");
  reader.feedData(bytes("line\n"));
  assertEquals(text(await first), "line\n");
});

Deno.test("a read to EOF holds the reader, though bytes have come", async () => {
  const reader = fed("gathered");
  const all = reader.read();
  await assertRejects(() => reader.read(3), Error, "another read is waiting");
  await assertRejects(() => reader.read(), Error, "another read is waiting");
  reader.feedData(bytes(", all of it"));
  reader.feedEof();
  assertEquals(text(await all), "gathered, all of it");
});

Deno.test("a read that takes bytes from under a search makes it miss nothing", async () => {
  const reader = fed("0123456789");
  const search = reader.readUntil("END");
  assertEquals(text(await reader.read(8)), "01234567");
  reader.feedData(bytes("EN"));
  await settled(search);
  reader.feedData(bytes("D."));
  assertEquals(text(await search), "89END");
  assertEquals(text(await reader.read(1)), ".");
});

Deno.test("the read that waits comes first when bytes are fed and another read is called", async () => {
  const reader = new StreamReader();
  const first = reader.read(1);
  reader.feedData(bytes("ab"));
  const second = reader.read(1);
  assertEquals([text(await first), text(await second)], ["a", "b"]);
});

Deno.test("setException() rejects the read that waits and all later ones, with that object", async () => {
  const reader = new StreamReader();
  const error = new Error("broken");
  const waiting = reader.readLine();
  reader.setException(error);
  assertStrictEquals(await assertRejects(() => waiting), error);
  reader.feedData(bytes("late\n"));
  for (const read of [reader.read(0), reader.readLine(), reader.read(), reader.readExactly(0)]) {
    assertStrictEquals(await assertRejects(() => read), error);
  }
  assertStrictEquals(reader.exception(), error);
  assert(!reader.atEof());
});

Deno.test("setException() in the turn of a feed leaves the answer to the read that waits", async () => {
  const reader = new StreamReader();
  const line = reader.readLine();
  reader.feedData(bytes("whole\n"));
  reader.setException(new Error("broken"));
  assertEquals(text(await line), "whole\n");
  const half = new StreamReader();
  const waiting = half.readLine();
  half.feedData(bytes("half"));
  half.setException(new Error("broken"));
  await assertRejects(() => waiting, Error, "broken");
});

Deno.test("a lost connection counts once what had come is read", async () => {
  const { carrier, reader } = memoryStreams();
  carrier.send("one\ntwo");
  const error = new Deno.errors.ConnectionReset("reset");
  carrier.failReads(error);
  assertEquals(text(await reader.readLine()), "one\n");
  assertStrictEquals(await assertRejects(() => reader.readLine()), error);
  assertEquals(text(await reader.read(10)), "two");
  assertStrictEquals(await assertRejects(() => reader.read(10)), error);
  assertStrictEquals(reader.exception(), error);
});

Deno.test("read() to EOF keeps what had come when the connection is lost", async () => {
  const { carrier, reader } = memoryStreams();
  const error = new Deno.errors.ConnectionReset("reset");
  carrier.send("gathered, ");
  const all = reader.read();
  assert(!await settled(all));
  carrier.send("then lost");
  carrier.failReads(error);
  assertStrictEquals(await assertRejects(() => all), error);
  assertStrictEquals(await assertRejects(() => reader.read()), error);
  assertEquals(text(await reader.read(100)), "gathered, then lost");
});

Deno.test("results are never changed by what comes later", async () => {
  const { carrier, reader } = memoryStreams();
  const lines: Uint8Array[] = [];
  const expected: string[] = [];
  for (let round = 0; round < 500; round++) {
    let batch = "";
    for (let i = 0; i < round % 23; i++) {
      const line = `${round}.${i} ${"x".repeat((round * 7 + i) % 200)}\n`;
      expected.push(line);
      batch += line;
    }
    const cut = (round * 31) % (batch.length + 1);
    for (const piece of [batch.slice(0, cut), batch.slice(cut)]) if (piece) carrier.send(piece);
    while (lines.length < expected.length) lines.push(await reader.readLine());
  }
  assert(lines.length > 5_000);
  assertEquals(lines.map(text), expected);
  await closeAll(reader, carrier);
});

/** Ends the stream, so that nothing waits. */
async function closeAll(reader: StreamReader, carrier: { end(): void }): Promise<void> {
  carrier.end();
  await reader.read();
}

Deno.test("a connection of somebody else's that throws in place of rejecting is lost, and told so", async () => {
  class Throwing extends MemoryCarrier {
    override read(): Promise<number | null> {
      throw new TypeError("not implemented");
    }
  }
  const { reader, writer } = memoryStreams({}, new Throwing());
  await assertRejects(() => reader.readLine(), TypeError, "not implemented");
  await assertRejects(() => writer.waitClosed(), TypeError, "not implemented");
});

Deno.test("a read that is begun early and that nobody looks at ends no process", async () => {
  const { carrier, reader } = memoryStreams();
  reader.readLine();
  carrier.failReads(new Deno.errors.ConnectionReset("reset"));
  await turns();
  reader.readExactly(5); // The connection is lost already.
  const cut = memoryStreams();
  cut.reader.readExactly(5);
  cut.carrier.end();
  await turns();
  assert(cut.reader.atEof());
});
