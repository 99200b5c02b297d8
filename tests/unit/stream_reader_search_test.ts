import { Buffer } from "node:buffer";
import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { IncompleteReadError, LimitOverrunError } from "../../net/errors.ts";
import type { Separator } from "../../net/separators.ts";
import { StreamReader } from "../../net/stream_reader.ts";
import { bytes, memoryStreams, settled, text } from "../support.ts";

function fed(limit: number, ...pieces: string[]): StreamReader {
  const reader = new StreamReader({ limit });
  for (const piece of pieces) reader.feedData(bytes(piece));
  return reader;
}

Deno.test("readLine() returns a line with its newline, and what is left at EOF", async () => {
  const reader = fed(100, "one\n\ntw", "o\r\nthree");
  reader.feedEof();
  const lines = [];
  for (let i = 0; i < 5; i++) lines.push(text(await reader.readLine()));
  assertEquals(lines, ["one\n", "\n", "two\r\n", "three", ""]);
});

Deno.test("readLine() takes a line of exactly the limit", async () => {
  const reader = fed(5, "12345\nrest");
  assertEquals(text(await reader.readLine()), "12345\n");
});

Deno.test("readLine() drops a line over the limit, when its end has come", async () => {
  const reader = fed(5, "123456\nnext\n");
  await assertRejects(() => reader.readLine(), RangeError, "limit of 5");
  assertEquals(text(await reader.readLine()), "next\n");
});

Deno.test("readLine() drops all that has come of a line over the limit; its rest is a line", async () => {
  const reader = fed(5, "123456");
  await assertRejects(() => reader.readLine(), RangeError, "limit of 5");
  reader.feedData(bytes("78\nnext\n"));
  assertEquals(text(await reader.readLine()), "78\n");
  assertEquals(text(await reader.readLine()), "next\n");
});

Deno.test("readLine() minds the limit at EOF and while it waits", async () => {
  const ended = fed(5, "123456");
  ended.feedEof();
  await assertRejects(() => ended.readLine(), RangeError, "limit of 5");
  assertEquals(await ended.readLine(), new Uint8Array(0));
  const waiting = fed(5, "1234");
  const line = waiting.readLine();
  assert(!await settled(line));
  waiting.feedData(bytes("56"));
  await assertRejects(() => line, RangeError, "limit of 5");
});

Deno.test("readUntil() finds separators of any length, split over feeds", async () => {
  for (const separator of ["\n", "--", "\r\n\r\n", "aab", "a".repeat(50)]) {
    for (let cut = 1; cut < separator.length + 3; cut++) {
      const reader = new StreamReader();
      const data = `xa${separator}`;
      reader.feedData(bytes(data.slice(0, cut)));
      const read = reader.readUntil(separator);
      await settled(read);
      for (const byte of data.slice(cut)) {
        reader.feedData(bytes(byte));
        await Promise.resolve();
      }
      reader.feedData(bytes("tail"));
      const at = data.indexOf(separator) + separator.length;
      assertEquals(text(await read), data.slice(0, at));
    }
  }
});

Deno.test("readUntil() backs up inside a match", async () => {
  const reader = fed(100, "aa");
  const read = reader.readUntil("aab");
  await settled(read);
  reader.feedData(bytes("ab."));
  assertEquals(text(await read), "aaab");
});

Deno.test("readUntil() takes the separator that ends first, and the longest that ends there", async () => {
  const both = fed(100, "one\r\ntwo\n");
  assertEquals(text(await both.readUntil(["\n", "\r\n"])), "one\r\n");
  const overlapping = fed(100, "xabcd");
  assertEquals(text(await overlapping.readUntil([bytes("abcd"), "bc"])), "xabc");
  // Of "abc" and "bc", which end together, the longer decides what counts for the limit.
  const limited = fed(1, "xabc");
  assertEquals(text(await limited.readUntil(["bc", "abc"])), "xabc");
});

Deno.test("readUntil() leaves the buffer as it was over the limit, and says how far it looked", async () => {
  const found = fed(5, "123456--rest");
  const error = await assertRejects(() => found.readUntil("--"), LimitOverrunError);
  assert(error instanceof RangeError);
  assertEquals(error.consumed, 6);
  assertEquals(text(await found.readExactly(12)), "123456--rest");
  assertEquals(text(await fed(5, "12345--").readUntil("--")), "12345--");

  // Not found: what can't belong to the separator is over the limit.
  const missing = fed(5, "1234567");
  const overrun = await assertRejects(() => missing.readUntil("--"), LimitOverrunError);
  assertEquals(overrun.consumed, 6);
  missing.feedEof();
  await assertRejects(() => missing.readUntil("--"), LimitOverrunError);
  assertEquals(text(await missing.read()), "1234567");
  const fits = fed(5, "123456");
  fits.feedEof();
  await assertRejects(() => fits.readUntil("--"), IncompleteReadError);
});

Deno.test("readUntil() throws what was left when EOF comes first, and empties the buffer", async () => {
  const reader = fed(100, "left");
  const read = reader.readUntil();
  reader.feedEof();
  const error = await assertRejects(() => read, IncompleteReadError);
  assertEquals([text(error.partial), error.expected], ["left", null]);
  assert(reader.atEof());
  const empty = await assertRejects(() => reader.readUntil(), IncompleteReadError);
  assertEquals(empty.partial.length, 0);
});

Deno.test("readUntil() looks for what it was called with, whatever becomes of the array", async () => {
  const reader = new StreamReader();
  const separator = Buffer.from("\r\n");
  const piece = reader.readUntil(separator);
  separator.write("XX");
  reader.feedData(bytes("aXXb\r\n"));
  assertEquals(text(await piece), "aXXb\r\n");
});

Deno.test("readUntil() refuses what is no separator", async () => {
  const reader = fed(100, "data\n");
  const wrong: [unknown, typeof RangeError | typeof TypeError][] = [
    ["", RangeError],
    [new Uint8Array(0), RangeError],
    [[], RangeError],
    [["\n", ""], RangeError],
    [5, TypeError],
    [null, TypeError],
    [["\n", 5], TypeError],
  ];
  for (const [separator, kind] of wrong) {
    await assertRejects(() => reader.readUntil(separator as Separator), kind);
  }
  assertEquals(text(await reader.readUntil()), "data\n");
});

Deno.test("with a raised limit, too, short lines of a fast peer share memory of at most 64 KiB", async () => {
  const { carrier, reader, writer } = memoryStreams({ limit: 2 ** 24 });
  for (let batch = 0; batch < 20; batch++) {
    carrier.send("0123456\n".repeat(8_000));
    const [first, second] = [await reader.readLine(), await reader.readUntil("\n")];
    assertStrictEquals(first.buffer, second.buffer, "each was copied");
    assert(first.buffer.byteLength <= 65_536);
    for (let i = 2; i < 8_000; i++) await reader.readLine();
  }
  writer.close();
  await writer.waitClosed();
});

Deno.test("no newline is missed behind a batch that fills the index, whatever was searched before", async () => {
  const reader = fed(100);
  // Newlines lie in the scanner's memory behind whatever it searches next.
  for (let i = 0; i < 9; i++) {
    reader.feedData(bytes("\n".repeat(4_096)));
    for (let j = 0; j < 4_096; j++) await reader.readLine();
  }
  for (let step = 0; step < 48; step++) {
    const [count, tail] = [254 + step % 3, step >> 1];
    reader.feedData(bytes("aaa\n".repeat(count) + "x".repeat(tail)));
    for (let i = 0; i < count; i++) assertEquals(text(await reader.readLine()), "aaa\n");
    const line = reader.readLine();
    await Promise.resolve();
    reader.feedData(bytes("\nnext\n"));
    assertEquals(text(await line), "x".repeat(tail) + "\n");
    assertEquals(text(await reader.readLine()), "next\n");
  }
});

type Search = (reader: StreamReader) => Promise<Uint8Array>;

/** How long a search in 16 MiB takes, in pieces of 4 KiB, each looked at or not, in ms. */
async function timeOf(search: Search, looked: boolean): Promise<number> {
  const size = 16 * 2 ** 20;
  const reader = new StreamReader({ limit: 2 * size });
  const piece = new Uint8Array(4_096).fill(97);
  const start = performance.now();
  const waiting = looked ? search(reader) : null;
  for (let fed = 0; fed < size; fed += piece.length) {
    reader.feedData(piece);
    await Promise.resolve();
  }
  reader.feedData(bytes("\r\n"));
  assertEquals((await (waiting ?? search(reader))).length, size + 2);
  return performance.now() - start;
}

const searches: Record<string, Search> = {
  "readLine()": (reader) => reader.readLine(),
  "readUntil()": (reader) => reader.readUntil("\r\n"),
};
for (const [name, search] of Object.entries(searches)) {
  Deno.test(`${name} resumes where it stopped: 16 MiB in small pieces cost linear time`, async () => {
    let [once, often] = [Infinity, Infinity];
    // The fastest of three: what else runs on the machine only adds.
    for (let i = 0; i < 3; i++) {
      once = Math.min(once, await timeOf(search, false));
      often = Math.min(often, await timeOf(search, true));
    }
    // A search from the start each time would look at 2,048 times as many bytes.
    assert(often < 10 * once, `searched once it took ${once} ms, searched often ${often} ms`);
  });
}

Deno.test("readUntil() that waits finds nothing in bytes that another read took", async () => {
  const reader = fed(100, "\r\n\r");
  const head = reader.readUntil("\r\n\r\n");
  assertEquals(text(await reader.readExactly(3)), "\r\n\r");
  reader.feedData(bytes("\nrest\r\n\r\n"));
  assertEquals(text(await head), "\nrest\r\n\r\n");
});

Deno.test("readUntil() that waits misses nothing when another read takes bytes before it", async () => {
  for (const take of ["readExactly", "readInto"] as const) {
    const reader = fed(100, "0123456789");
    const head = reader.readUntil("END");
    if (take === "readInto") await reader.readInto(new Uint8Array(8));
    else await reader.readExactly(8);
    reader.feedData(bytes("END, then much more"));
    assertEquals(text(await head), "89END");
  }
});
