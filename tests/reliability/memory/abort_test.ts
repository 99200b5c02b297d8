// Every wait of every public method, aborted at each of its steps, one after the other: the wait ends
// at once with the signal's reason, no byte is lost, and no listener stays on the signal.
import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { concat } from "@std/bytes/concat";
import { getRunningLoop, run, sleep } from "../../../event_loop.ts";
import type { StreamReader } from "../../../net/stream_reader.ts";
import type { WaitOptions } from "../../../net/wait_options.ts";
import { nextTurn } from "../../../net/turn.ts";
import { Server } from "../../../server.ts";
import { startServer } from "../../../streams.ts";
import { FakeListener } from "../../fake_listener.ts";
import { memoryStreams, pattern, Sink, text } from "../../support.ts";
import { atEveryStep, attempt, test } from "../support.ts";

const reads: Record<string, (reader: StreamReader, options: WaitOptions) => Promise<Uint8Array>> = {
  "read(n)": (reader, options) => reader.read(5, options),
  "read()": (reader, options) => reader.read(-1, options),
  "readLine()": (reader, options) => reader.readLine(options),
  "readExactly()": (reader, options) => reader.readExactly(9, options),
  "readUntil()": (reader, options) => reader.readUntil(["END", "\n\n"], options),
  "readInto()": (reader, options) => readInto(reader, 5, options),
  "readInto() of a long array": (reader, options) => readInto(reader, 65_536, options),
};

async function readInto(reader: StreamReader, length: number, options: WaitOptions) {
  const target = new Uint8Array(length);
  return target.subarray(0, await reader.readInto(target, options));
}

const pieces = ["one", " t", "wo\n", "\n thr", "ee EN", "D four"];

for (const [name, read] of Object.entries(reads)) {
  test(`${name}, aborted at every step, loses no byte`, async () => {
    await atEveryStep(async (step) => {
      const { carrier, reader, writer, sink } = memoryStreams();
      const script = [...pieces.map((piece) => () => carrier.send(piece)), () => carrier.end()];
      const result = await attempt((options) => read(reader, options), step, script);
      for (const act of script.splice(0)) act();
      const rest = await reader.read();
      assertEquals(text(concat([result.value ?? new Uint8Array(0), rest])), pieces.join(""));
      await writer[Symbol.asyncDispose]();
      assertEquals([carrier.closed, sink.contexts], [true, []]);
      return result;
    });
  });
}

test("a cancelled readable, at every step, loses no byte", async () => {
  await atEveryStep(async (step) => {
    const { carrier, reader, writer } = memoryStreams();
    const script = [...pieces.map((piece) => () => carrier.send(piece)), () => carrier.end()];
    const got: Uint8Array[] = [];
    const result = await attempt(
      async ({ signal }) => {
        const stream = reader.readable.getReader();
        const cancelled = Promise.withResolvers<never>();
        signal!.addEventListener("abort", () => {
          stream.cancel(signal!.reason);
          cancelled.reject(signal!.reason);
        }, { once: true });
        const all = (async () => {
          for (;;) {
            const { done, value } = await stream.read();
            if (done) return;
            got.push(value);
          }
        })();
        await Promise.race([all, cancelled.promise]);
      },
      step,
      script,
      { listeners: 1 },
    );
    for (const act of script.splice(0)) act();
    got.push(await reader.read());
    assertEquals(text(concat(got)), pieces.join(""));
    await writer[Symbol.asyncDispose]();
    return result;
  });
});

const LOTS = 300_000;

const waits: Record<
  string,
  (
    streams: ReturnType<typeof memoryStreams>,
    options: WaitOptions,
  ) => Promise<void>
> = {
  "drain()": ({ writer }, options) => writer.drain(options),
  "waitClosed()": ({ writer }, options) => writer.waitClosed(options),
};

for (const [name, wait] of Object.entries(waits)) {
  test(`${name}, aborted at every step, loses no byte, and the connection ends`, async () => {
    await atEveryStep(async (step) => {
      const streams = memoryStreams();
      const { carrier, writer, sink } = streams;
      carrier.credit = 0;
      writer.write(pattern(LOTS));
      if (name === "waitClosed()") {
        writer.close();
        carrier.end(); // Or closing would wait for that, for thousands of steps.
      }
      const script = Array.from({ length: 7 }, () => () => carrier.allow(50_000));
      const result = await attempt((options) => wait(streams, options), step, script);
      for (const act of script.splice(0)) act();
      await writer[Symbol.asyncDispose]();
      assertEquals(carrier.received, pattern(LOTS));
      assertEquals([carrier.closed, sink.contexts], [true, []]);
      return result;
    });
  });
}

// By its own abort(): the signal of a pipeTo() waits, as the standard has it, for the write under way.
test("an aborted writable, at every step, sends a prefix and closes", async () => {
  const chunks = [pattern(100_000), pattern(LOTS)];
  await atEveryStep(async (step) => {
    const { carrier, writer } = memoryStreams();
    carrier.credit = 0;
    const script = Array.from({ length: 8 }, () => () => carrier.allow(50_000));
    const result = await attempt(
      async ({ signal }) => {
        const stream = writer.writable.getWriter();
        signal.addEventListener("abort", () => stream.abort(signal.reason));
        for (const chunk of chunks) stream.write(chunk).catch(() => {});
        stream.close().catch(() => {});
        await stream.closed;
      },
      step,
      script,
      { listeners: 1 },
    );
    await writer.waitClosed();
    assert(carrier.closed);
    assertEquals(carrier.received, concat(chunks).subarray(0, carrier.received.length));
    if (!result.aborted) assertEquals(carrier.received.length, 400_000);
    return result;
  });
});

/** A server whose one client is scripted, and whose handler reads to the end. */
async function scriptedServer() {
  const listener = new FakeListener();
  const server = await startServer(
    async (reader, writer) => {
      await using _ = writer;
      await reader.read();
    },
    { sock: listener },
  );
  const carrier = listener.connect();
  return { server, listener, carrier };
}

test("Server.serveForever(), aborted at every step, closes the server", async () => {
  await atEveryStep(async (step) => {
    const { server, listener, carrier } = await scriptedServer();
    const script = [() => {}, () => {}, () => server.close()];
    const result = await attempt((options) => server.serveForever(options), step, script);
    assert(listener.closed);
    carrier.end();
    await server.waitClosed();
    assertEquals(server.connections, 0);
    return result;
  });
});

test("Server.waitClosed(), aborted at every step, leaves the server as it is", async () => {
  await atEveryStep(async (step) => {
    const { server, carrier } = await scriptedServer();
    const script = [() => {}, () => server.close(), () => {}, () => carrier.end()];
    const result = await attempt((options) => server.waitClosed(options), step, script);
    if (step < 3) assert(server.isServing());
    for (const act of script.splice(0)) act();
    await server.waitClosed();
    assertEquals(server.connections, 0);
    return result;
  });
});

test("Server.serveForever() with a server made by hand ends likewise", async () => {
  const sink = new Sink();
  const loop = Object.assign(sink, {}) as unknown as ConstructorParameters<
    typeof Server
  >[0]["loop"];
  const listener = new FakeListener();
  const server = new Server({ loop, listeners: [listener], connected: () => {} });
  const reason = new Error("enough");
  const serving = server.serveForever({ signal: AbortSignal.abort(reason) });
  assertStrictEquals(await serving.catch((error) => error), reason);
  await server.waitClosed();
  assert(listener.closed);
});

test("sleep(), aborted at every step, leaves no timer", async () => {
  await atEveryStep(async (step) =>
    await attempt((options) => sleep(1, "awake", options), step, [], { patience: 10_000 })
  );
});

test("run(), aborted at every step, cancels what it runs and closes its loop", async () => {
  await atEveryStep(async (step) => {
    let finished = false;
    const main = async (signal: AbortSignal) => {
      for (let i = 0; i < 5; i++) {
        await nextTurn();
        signal.throwIfAborted();
      }
      finished = true;
    };
    const result = await attempt((options) => run(main, options), step, []);
    assert(result.aborted || finished);
    assert(!getRunningLoop().isRunning());
    return result;
  });
});
