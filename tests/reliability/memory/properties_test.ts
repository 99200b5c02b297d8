// Two ends that do what they like, and both come to an end; a peer that breaks off and floods.
import { assert, assertEquals } from "@std/assert";
import { concat, equals } from "@std/bytes";
import fc from "fast-check";
import type { StreamReader } from "../../../net/stream_reader.ts";
import { getIntake } from "../../../net/stream_reader.ts";
import type { StreamWriter } from "../../../net/stream_writer.ts";
import { MemoryCarrier } from "../../memory_carrier.ts";
import { memoryStreams, pattern, turns } from "../../support.ts";
import { test } from "../support.ts";

/** A carrier whose peer is another one: what goes into one comes out of the other. */
class Joined extends MemoryCarrier {
  other!: Joined;

  override write(data: Uint8Array): Promise<number> {
    // As sockets do: an end that is gone is noticed by the next write.
    if (this.other.closed) this.failWrites(new Deno.errors.BrokenPipe("the peer is gone"));
    else this.other.send(data);
    return super.write(data);
  }

  override closeWrite(): Promise<void> {
    this.other.end();
    return super.closeWrite();
  }

  override close(): void {
    super.close();
    if (!this.other.closed) this.other.end();
  }
}

const step = fc.oneof(
  fc.record({ op: fc.constant("write"), n: fc.oneof(fc.nat(50), fc.nat(200_000)) }),
  fc.record({
    op: fc.constantFrom("read", "into", "directly", "line", "exactly", "drain", "turn"),
    n: fc.nat(100_000),
  }),
);
const ending = fc.constantFrom("close", "eof", "abort");

interface End {
  readonly sent: Uint8Array[];
  readonly got: Uint8Array[];
  /** A `readInto()` that waits. */
  direct: Promise<void> | null;
}

/** Waits for a few turns, then gives up: both ends may be waiting for each other. */
async function patiently<T>(wait: (options: { signal: AbortSignal }) => Promise<T>) {
  const controller = new AbortController();
  const waiting = wait({ signal: controller.signal });
  waiting.catch(() => {});
  await turns(3);
  controller.abort(null);
  return await waiting.catch((reason) => {
    if (reason !== null) throw reason;
    return null;
  });
}

/** Does one step of an end's life. */
async function act(
  reader: StreamReader,
  writer: StreamWriter,
  { op, n }: { op: string; n: number },
  log: End,
): Promise<void> {
  const { sent, got } = log;
  if (log.direct !== null && op !== "write" && op !== "drain") return await turns(1);
  const read = async (wait: (options: { signal: AbortSignal }) => Promise<Uint8Array>) => {
    got.push(await patiently(wait) ?? new Uint8Array(0));
  };
  switch (op) {
    case "write":
      writer.write(pattern(n));
      return void sent.push(pattern(n));
    case "read":
      return await read((options) => reader.read(n + 1, options));
    case "into":
      return await read(async (options) => {
        const target = new Uint8Array(n + 1);
        return target.subarray(0, await reader.readInto(target, options));
      });
    case "directly": {
      // Without a signal, so that the carrier stores in it: it waits until something comes.
      const target = new Uint8Array(16_384 + n);
      log.direct = reader.readInto(target).then((length) => {
        got.push(target.slice(0, length));
        target.fill(1); // Nobody stores in it any more, nor reads it.
        log.direct = null;
      });
      log.direct.catch(() => {});
      return await turns(3);
    }
    case "line":
      return await read((options) => reader.readLine(options));
    case "exactly":
      return await read((options) => reader.readExactly(Math.min(n, 100), options));
    case "drain":
      return void await patiently((options) => writer.drain(options));
    default:
      return await turns(1);
  }
}

/** One side's whole life: its steps, its end, and what is left to read. */
async function live(
  { reader, writer }: { reader: StreamReader; writer: StreamWriter },
  steps: readonly { op: string; n: number }[],
  end: string,
  log: End,
): Promise<void> {
  try {
    for (const one of steps) await act(reader, writer, one, log);
  } catch (error) {
    // The other end has left in the middle, or a line was over the limit, which drops bytes.
    if (!(error instanceof Error)) throw error;
    writer.transport.abort();
  }
  if (end === "abort") writer.transport.abort();
  if (end === "eof") {
    if (!writer.isClosing()) writer.writeEof();
    try {
      await log.direct;
      for (;;) {
        const data = await reader.read(65_536);
        if (data.length === 0) break;
        log.got.push(data);
      }
    } catch {
      // The other end broke off.
    }
  }
  writer.close();
  await writer.waitClosed().catch(() => {});
  await log.direct?.catch(() => {});
}

test("two ends that read, write and end in any order both end", async () => {
  const side = fc.record({ steps: fc.array(step, { maxLength: 12 }), end: ending });
  await fc.assert(
    fc.asyncProperty(side, side, async (one, two) => {
      const [left, right] = [new Joined(), new Joined()];
      left.other = right;
      right.other = left;
      const ends = [left, right].map((carrier) => memoryStreams({ limit: 1_000_000 }, carrier));
      const logs: End[] = [0, 1].map(() => ({ sent: [], got: [], direct: null }));
      await Promise.all(
        [one, two].map(({ steps, end }, i) => live(ends[i]!, steps, end, logs[i]!)),
      );
      assert(left.closed && right.closed);
      for (const i of [0, 1]) {
        const sent = concat(logs[1 - i]!.sent);
        const got = concat(logs[i]!.got);
        assert(equals(got, sent.subarray(0, got.length)), "what was read was not sent");
      }
      for (const { sink } of ends) assertEquals(sink.contexts, []);
    }),
    { numRuns: 300 },
  );
}, { limit: 60_000 });

test("a peer that stopped reading, and floods, is not taken in without end", async () => {
  const { carrier, reader, writer } = memoryStreams();
  carrier.failWrites(new Deno.errors.BrokenPipe("the peer reads no more"));
  const block = new Uint8Array(65_536);
  let sent = 0;
  // As much as is taken is there again at once.
  const read = carrier.read.bind(carrier);
  carrier.read = (buffer) => {
    if (sent < 1_024 * block.length) carrier.send(block);
    sent += block.length;
    return read(buffer);
  };
  writer.write("hello?\n");
  let error: unknown = null;
  await writer.waitClosed().catch((reason) => error = reason);
  assert(error instanceof Deno.errors.BrokenPipe);
  const { length } = getIntake(reader);
  assert(length <= 16 * 1_048_576, `${length} bytes were taken in`);
});
