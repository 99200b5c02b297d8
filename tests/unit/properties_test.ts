// What holds whatever the bytes, the cuts and the order of calls are, over the scripted carrier.
import { assert, assertEquals } from "@std/assert";
import { concat, equals } from "@std/bytes";
import fc from "fast-check";
import { IncompleteReadError, LimitOverrunError } from "../../net/errors.ts";
import type { StreamReader } from "../../net/stream_reader.ts";
import type { MemoryCarrier } from "../memory_carrier.ts";
import { memoryStreams, pattern, settled, turns } from "../support.ts";

const separators = [new Uint8Array([1, 1, 2]), new Uint8Array([3])];

/** Bytes of few kinds, so that separators and newlines are among them; some long. */
const content = fc.oneof(
  fc.array(fc.constantFrom(1, 2, 3, 10, 200), { maxLength: 400 }).map((list) =>
    new Uint8Array(list)
  ),
  fc.nat(200_000).map(pattern),
);

const readKind = fc.oneof(
  fc.record({
    op: fc.constantFrom("read", "into", "exactly"),
    n: fc.oneof(fc.nat(20), fc.nat(100_000)),
  }),
  fc.record({ op: fc.constantFrom("line", "until", "all", "aborted"), n: fc.nat(100_000) }),
);
type ReadKind = { op: string; n: number };

/** Where to cut what is sent, as parts of its length. */
const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 });

function cut(data: Uint8Array, parts: readonly number[]): Uint8Array[] {
  const at = [0, ...parts.map((part) => Math.floor(part * data.length)), data.length]
    .sort((a, b) => a - b);
  return at.slice(1).map((end, i) => data.subarray(at[i], end)).filter((piece) => piece.length > 0);
}

/** Does one read of whichever kind, and returns the bytes that it took off the stream. */
async function readSome(reader: StreamReader, { op, n }: ReadKind): Promise<Uint8Array> {
  try {
    switch (op) {
      case "read":
        return await reader.read(n + 1);
      case "into": {
        const target = new Uint8Array(n + 1);
        return target.subarray(0, await reader.readInto(target));
      }
      case "exactly":
        return await reader.readExactly(n);
      case "line":
        return await reader.readLine();
      case "until":
        return await reader.readUntil(separators);
      case "aborted": {
        const controller = new AbortController();
        const read = reader.read(n % 2 === 0 ? -1 : n, { signal: controller.signal });
        await settled(read);
        controller.abort(null);
        return await read.catch(() => new Uint8Array(0));
      }
      default:
        return await reader.read();
    }
  } catch (error) {
    if (error instanceof IncompleteReadError) return error.partial;
    if (error instanceof LimitOverrunError) return await reader.readExactly(error.consumed);
    throw error;
  }
}

/** Sends the pieces, each when a read waits for it or at once. */
async function feed(carrier: MemoryCarrier, pieces: readonly Uint8Array[], eager: boolean) {
  for (const piece of pieces) {
    carrier.send(piece);
    if (!eager) await turns(1);
  }
  carrier.end();
}

Deno.test("any mix of reads gives, put together, what was sent", async () => {
  await fc.assert(
    fc.asyncProperty(
      content,
      cuts,
      fc.array(readKind, { minLength: 1, maxLength: 30 }),
      fc.boolean(),
      async (data, parts, kinds, eager) => {
        // The limit is out of the way: a line that is over it is dropped on purpose.
        const { carrier, reader, writer } = memoryStreams({ limit: 1_000_000 });
        const feeding = feed(carrier, cut(data, parts), eager);
        const results: Uint8Array[] = [];
        for (const kind of kinds) results.push(await readSome(reader, kind));
        await feeding;
        results.push(await reader.read());
        assert(reader.atEof());
        assert(equals(concat(results), data));
        writer.close();
        await writer.waitClosed();
      },
    ),
    { numRuns: 300 },
  );
});

Deno.test("readUntil() with a small limit leaves all that it can't return", async () => {
  await fc.assert(
    fc.asyncProperty(content, cuts, fc.integer({ min: 1, max: 50 }), async (data, parts, limit) => {
      const { carrier, reader, writer } = memoryStreams({ limit });
      const feeding = feed(carrier, cut(data, parts), true);
      const results: Uint8Array[] = [];
      for (let i = 0; i < 200 && !reader.atEof(); i++) {
        results.push(await readSome(reader, { op: "until", n: 0 }));
      }
      results.push(await reader.read());
      await feeding;
      assert(equals(concat(results), data));
      writer.close();
      await writer.waitClosed();
    }),
    { numRuns: 200 },
  );
});

const writeStep = fc.oneof(
  fc.record({ op: fc.constantFrom("write", "lines"), n: fc.oneof(fc.nat(50), fc.nat(100_000)) }),
  fc.record({ op: fc.constantFrom("drain", "turn"), n: fc.constant(0) }),
);
const ending = fc.constantFrom("close", "eof", "abort", "break");

Deno.test("the peer gets a prefix of what was written, and all of it after a clean close", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(writeStep, { maxLength: 20 }),
      fc.array(fc.oneof(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 100_000 })), {
        maxLength: 20,
      }),
      fc.integer({ min: 1, max: 100_000 }),
      ending,
      async (steps, credits, maxWrite, end) => {
        const { carrier, writer } = memoryStreams();
        carrier.credit = 0;
        carrier.maxWrite = maxWrite;
        const written: Uint8Array[] = [];
        // The peer takes some at each step, and all in the end.
        const next = () => carrier.allow(credits.shift() ?? Infinity);
        for (const { op, n } of steps) {
          const data = pattern(n);
          if (op === "write") writer.write(data);
          else if (op === "lines") {
            writer.writeLines([data.subarray(0, n >> 1), data.subarray(n >> 1)]);
          }
          if (op === "write" || op === "lines") written.push(data.slice());
          data.fill(0);
          if (op === "turn") await turns(1);
          if (op === "drain") {
            const drained = writer.drain();
            while (!await settled(drained)) next();
          }
          next();
        }
        const closed = writer.waitClosed();
        if (end === "eof") writer.writeEof();
        if (end === "close" || end === "eof") writer.close();
        else if (end === "abort") writer.transport.abort();
        else carrier.failReads(new Deno.errors.ConnectionReset("reset"));
        carrier.allow();
        await closed.catch(() => {});
        const all = concat(written);
        const { received } = carrier;
        assert(equals(received, all.subarray(0, received.length)));
        if (end === "close" || end === "eof") assertEquals(received.length, all.length);
        assert(carrier.closed);
      },
    ),
    { numRuns: 300 },
  );
});
