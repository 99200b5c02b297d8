import { Buffer } from "node:buffer";
import { assert, assertEquals } from "@std/assert";
import { concat, equals } from "@std/bytes";
import fc from "fast-check";
import { ReadBuffer } from "../../net/read_buffer.ts";
import { bytes, pattern, text } from "../support.ts";

const NEWLINE = 10;

/** What a read buffer is: a list of bytes. Each step is done to both. */
class Model {
  content = new Uint8Array(0);
  counter = 0;
  readonly taken: { result: Uint8Array; expected: Uint8Array }[] = [];

  /** Bytes that were never there before, nearly. */
  fresh(n: number): Uint8Array<ArrayBuffer> {
    return Uint8Array.from({ length: n }, () => this.counter++ % 251);
  }
}

type Step = { op: string; n: number };

const steps = fc.array(
  fc.record({
    op: fc.constantFrom(
      "append",
      "adopt",
      "prepend",
      "read",
      "bulk",
      "appendWhileLent",
      "take",
      "move",
      "skip",
    ),
    n: fc.oneof(fc.nat(40), fc.nat(3_000), fc.constantFrom(0, 256, 4_096, 65_536, 150_000)),
  }),
  { maxLength: 40 },
);

function step(buffer: ReadBuffer, model: Model, { op, n }: Step): void {
  switch (op) {
    case "append": {
      const data = model.fresh(n);
      buffer.append(data);
      model.content = concat([model.content, data]);
      data.fill(255); // The caller's own again.
      break;
    }
    case "adopt": {
      const data = model.fresh(n);
      buffer.adopt(data);
      model.content = concat([model.content, data]);
      break;
    }
    case "prepend": {
      const data = model.fresh(Math.min(n, 5_000));
      buffer.prepend(data);
      model.content = concat([data, model.content]);
      break;
    }
    case "read":
    case "bulk":
    case "appendWhileLent": {
      const space = buffer.space(op === "bulk" ? Infinity : 65_536);
      assert(space.length > 0);
      if (op === "appendWhileLent") step(buffer, model, { op: "append", n: n % 1_000 });
      const data = model.fresh(Math.min(n, space.length));
      space.set(data);
      buffer.filled(data.length);
      model.content = concat([model.content, data]);
      break;
    }
    case "move": {
      const target = new Uint8Array(n);
      const count = buffer.moveTo(target);
      assertEquals(count, Math.min(n, model.content.length));
      assert(equals(target.subarray(0, count), model.content.subarray(0, count)));
      model.content = model.content.subarray(count);
      break;
    }
    case "take": {
      const count = Math.min(n, model.content.length);
      model.taken.push({
        result: buffer.take(count),
        expected: model.content.subarray(0, count),
      });
      model.content = model.content.subarray(count);
      break;
    }
    case "skip": {
      const count = Math.min(n, model.content.length);
      buffer.skip(count);
      model.content = model.content.subarray(count);
    }
  }
}

Deno.test("ReadBuffer is a queue of bytes, and never changes what it gave out", () => {
  fc.assert(
    fc.property(steps, (list) => {
      const buffer = new ReadBuffer();
      const model = new Model();
      for (const one of list) {
        step(buffer, model, one);
        assertEquals(buffer.length, model.content.length);
        // From anywhere, and then from where a search before it did not begin.
        for (const from of [Math.min(one.n, buffer.length), 0]) {
          assertEquals(buffer.indexOfNewline(from), model.content.indexOf(NEWLINE, from));
        }
      }
      assert(equals(buffer.take(buffer.length), model.content));
      // At the very end: later reads have had every chance to overwrite them.
      for (const { result, expected } of model.taken) {
        assert(equals(result, expected));
      }
    }),
    { numRuns: 300 },
  );
});

/** The match that ends first, and of those that end there the longest: looked for at every end. */
function naiveFind(data: string, separators: readonly string[], from: number) {
  for (let end = from; end <= data.length; end++) {
    const ending = separators
      .filter((one) => end - one.length >= from && data.startsWith(one, end - one.length))
      .sort((a, b) => b.length - a.length);
    if (ending[0] !== undefined) return { start: end - ending[0].length, end };
  }
  return null;
}

Deno.test("ReadBuffer.find() agrees with a search at every place", () => {
  const letters = fc.string({ unit: fc.constantFrom("a", "b"), maxLength: 30 });
  const separator = fc.string({ unit: fc.constantFrom("a", "b"), minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(
      letters,
      letters,
      fc.array(separator, { minLength: 1, maxLength: 4 }),
      fc.nat(10),
      (skipped, data, separators, from) => {
        const buffer = new ReadBuffer();
        buffer.append(bytes(skipped + data));
        buffer.skip(skipped.length); // So that matches lie at every alignment.
        const start = Math.min(from, data.length);
        const found = buffer.find(separators.map(bytes), start);
        assertEquals(found, naiveFind(data, separators, start));
      },
    ),
    { numRuns: 3_000 },
  );
});

/** Lines of these lengths, `bytes` in all, of anything else than newlines. */
function lines(lengths: readonly number[], bytes: number): Uint8Array<ArrayBuffer> {
  const data = new Uint8Array(bytes).fill(11);
  for (let at = -1, i = 0; (at += lengths[i % lengths.length]!) < bytes; i++) data[at] = NEWLINE;
  return data;
}

Deno.test("ReadBuffer.indexOfNewline() finds each line of any length, however it comes", () => {
  // Short lines fill the index before all is searched; pieces just over 1 KiB are searched by it.
  const length = fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 20_000 }));
  const piece = fc.oneof(
    fc.integer({ min: 1_024, max: 1_100 }),
    fc.integer({ min: 1, max: 30_000 }),
  );
  fc.assert(
    fc.property(
      fc.array(length, { minLength: 1, maxLength: 5 }),
      fc.array(piece, { minLength: 1, maxLength: 5 }),
      fc.nat(40),
      (lengths, pieces, skipped) => {
        const buffer = new ReadBuffer();
        buffer.append(new Uint8Array(skipped));
        buffer.skip(skipped); // So that lines begin at every alignment.
        const data = lines(lengths, 60_000);
        let [came, read] = [0, 0];
        for (let i = 0; came < data.length; i++) {
          const more = data.subarray(came, came + pieces[i % pieces.length]!);
          buffer.append(more);
          const searched = came - read;
          came += more.length;
          for (let from = searched, at; (at = buffer.indexOfNewline(from)) !== -1; from = 0) {
            assertEquals(read + at, data.indexOf(NEWLINE, read));
            buffer.skip(at + 1);
            read += at + 1;
          }
          assertEquals(data.subarray(read, came).indexOf(NEWLINE), -1);
        }
      },
    ),
    { numRuns: 500 },
  );
});

Deno.test("ReadBuffer.find() with newlines agrees, too, whatever was looked for before", () => {
  const many = fc.string({ unit: fc.constantFrom("\r", "\n", "a"), maxLength: 300 });
  const search = fc.record({
    separators: fc.subarray(["\n", "\r\n", "\n\n", "\r\n\r\n", "a\n", "\ra", "a\ra\n"], {
      minLength: 1,
    }),
    from: fc.oneof(fc.nat(20), fc.nat(4_000)),
    skip: fc.oneof(fc.nat(20), fc.nat(1_000)),
  });
  fc.assert(
    fc.property(
      fc.array(fc.tuple(many, fc.integer({ min: 1, max: 12 })), { minLength: 1, maxLength: 4 }),
      fc.array(search, { maxLength: 8 }),
      (parts, searches) => {
        let data = parts.map(([part, times]) => part.repeat(times)).join(".".repeat(700));
        const buffer = new ReadBuffer();
        buffer.append(bytes(data));
        for (const { separators, from, skip } of searches) {
          const start = Math.min(from, data.length);
          assertEquals(
            buffer.find(separators.map(bytes), start),
            naiveFind(data, separators, start),
          );
          const count = Math.min(skip, data.length);
          buffer.skip(count);
          data = data.slice(count);
        }
      },
    ),
    { numRuns: 300 },
  );
});

Deno.test("ReadBuffer.find() backs up inside a match", () => {
  const buffer = new ReadBuffer();
  buffer.append(bytes("aaab"));
  assertEquals(buffer.find([bytes("aab")], 0), { start: 1, end: 4 });
});

Deno.test("ReadBuffer.find() takes what ends first, not what begins first", () => {
  const buffer = new ReadBuffer();
  buffer.append(bytes("..a\ra\n"));
  assertEquals(buffer.find([bytes("\ra"), bytes("a\ra\n")], 0), { start: 3, end: 5 });
});

Deno.test("ReadBuffer.space() starts small and grows with what comes", () => {
  const buffer = new ReadBuffer();
  assert(buffer.space(65_536).length <= 4_096);
  buffer.filled(0);
  for (let i = 0; i < 10; i++) {
    const { length } = buffer.space(Infinity);
    buffer.filled(length);
    buffer.skip(length);
  }
  assert(buffer.space(Infinity).length >= 131_072);
  buffer.filled(1);
  buffer.skip(1);
  for (let i = 0; i < 20; i++) {
    buffer.space(65_536);
    buffer.filled(1);
    buffer.skip(1);
  }
  assert(buffer.space(65_536).length <= 4_096, "it shrinks when reads are small again");
});

Deno.test("ReadBuffer.take() lets a small result keep no more than 64 KiB alive", () => {
  const buffer = new ReadBuffer();
  buffer.append(pattern(1_000_000));
  assert(buffer.take(10).buffer.byteLength <= 65_536);
  const small = new ReadBuffer();
  small.append(bytes("one\ntwo\n"));
  const [one, two] = [small.take(4), small.take(4)];
  assertEquals([text(one), text(two)], ["one\n", "two\n"]);
});

Deno.test("ReadBuffer.take() copies out of large chunks, whose memory is used again", () => {
  const buffer = new ReadBuffer();
  for (let size = 0; size < 262_144;) {
    size = buffer.space(Infinity).length;
    buffer.filled(size);
    buffer.skip(size);
  }
  const memory = buffer.space(Infinity).buffer;
  const read = (byte: number, n: number) => {
    buffer.space(Infinity).fill(byte, 0, n);
    buffer.filled(n);
    return buffer.take(n);
  };
  const copies = [1, 2, 3, 4].map((byte) => read(byte, 65_536));
  assertEquals(buffer.space(Infinity).buffer, memory);
  const view = read(5, 140_000);
  assertEquals(view.buffer, memory);
  const after = read(6, 1_000);
  for (const [i, taken] of [...copies, view, after].entries()) {
    assert(taken.every((byte) => byte === i + 1));
  }
  assert(buffer.space(65_536).buffer.byteLength <= 65_536, "lines get views again");
});

Deno.test("ReadBuffer.lentBytes() gives what came to somebody else", () => {
  const buffer = new ReadBuffer();
  buffer.append(bytes("mine"));
  buffer.space(100).set(bytes("theirs"));
  const theirs = buffer.lentBytes(6);
  buffer.append(bytes(" and more"));
  assertEquals(text(theirs), "theirs");
  assertEquals(text(buffer.take(buffer.length)), "mine and more");
});

Deno.test("ReadBuffer.adopt() keeps many bytes where they are, and copies what it can't keep", () => {
  const buffer = new ReadBuffer();
  const many = pattern(65_536);
  buffer.adopt(many);
  assertEquals(buffer.take(65_536).buffer, many.buffer);
  for (const piece of [many.subarray(0, 8_192), many.subarray(4_096), many.slice(0, 5_001)]) {
    buffer.adopt(piece);
    const taken = buffer.take(buffer.length);
    assert(taken.buffer !== piece.buffer);
    assert(equals(taken, piece));
  }
});

Deno.test("ReadBuffer.adopt() keeps what it gave out of a Buffer, whose slices are views", () => {
  const buffer = new ReadBuffer();
  const memory = new ArrayBuffer(81_920);
  buffer.adopt(Buffer.from(memory).fill("A") as unknown as Uint8Array<ArrayBuffer>);
  const head = buffer.take(10);
  assertEquals(Object.getPrototypeOf(head), Uint8Array.prototype);
  buffer.moveTo(new Uint8Array(memory.byteLength));
  buffer.append(bytes("B".repeat(100)));
  assertEquals(text(head), "A".repeat(10));
});

Deno.test("ReadBuffer.take() of nothing gives memory of its own: it may be transferred", () => {
  const [first, second] = [new ReadBuffer(), new ReadBuffer()];
  structuredClone(null, { transfer: [first.take(0).buffer] });
  assertEquals([first.take(0).length, second.take(0).length], [0, 0]);
});
