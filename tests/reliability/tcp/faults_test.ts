// Connections that break, halves that end, peers that don't take part: over real TCP.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { nextTurn } from "../../../net/turn.ts";
import type { StreamWriter } from "../../../net/stream_writer.ts";
import { openConnection, startServer } from "../../../streams.ts";
import { pattern, text } from "../../support.ts";
import { connectedPair, Peer, portOf, Reports, test, until } from "../support.ts";

const MIB = 1_048_576;

/** Writes for as long as the connection takes it; ends by an exception only. */
function writeForever(writer: StreamWriter): Promise<never> {
  const block = new Uint8Array(65_536);
  const writing = (async () => {
    for (;;) {
      writer.write(block);
      await writer.drain();
    }
  })();
  writing.catch(() => {}); // A test that fails earlier shall say why.
  return writing;
}

test("RST in mid-line: the read rejects, what came stays readable, others are served", async () => {
  using reports = new Reports();
  await using pair = await connectedPair();
  const { reader, writer, peer, server } = pair;
  const line = reader.readLine();
  await peer.send("half a li");
  await until(() => server.connections === 1);
  await peer.reset();
  await assertRejects(() => line, Deno.errors.ConnectionReset);
  assertEquals(text(await reader.read(100)), "half a li");
  await assertRejects(() => reader.read(100), Deno.errors.ConnectionReset);
  await assertRejects(() => writer.drain(), Deno.errors.ConnectionReset);
  await assertRejects(() => writer.waitClosed(), Deno.errors.ConnectionReset);
  assertEquals(server.connections, 0);
  await using _next = await Peer.connect(portOf(server));
  await until(() => server.connections === 1);
  assertEquals(reports.contexts, []);
  server.abortClients();
});

test("RST during read() to EOF: what came stays readable", async () => {
  await using pair = await connectedPair();
  const { reader, peer } = pair;
  const all = reader.read();
  await peer.send("some bytes");
  await nextTurn();
  await peer.reset();
  await assertRejects(() => all, Deno.errors.ConnectionReset);
  assertEquals(text(await reader.read(100)), "some bytes");
  await assertRejects(() => reader.read(100), Deno.errors.ConnectionReset);
});

test("RST while we write: drain() says so, later writes are dropped, nothing stays open", async () => {
  using reports = new Reports();
  await using pair = await connectedPair();
  const { writer, peer, server } = pair;
  const writing = writeForever(writer);
  await peer.readSome();
  await peer.reset();
  const error = await assertRejects(() => writing);
  assert(error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe);
  writer.write("dropped");
  await assertRejects(() => writer.drain());
  await assertRejects(() => writer.waitClosed());
  assertEquals(writer.transport.getWriteBufferSize(), 0);
  assertEquals(server.connections, 0);
  assertEquals(reports.contexts, []);
});

test("RST before accept: the clients behind are served, nobody is alarmed", async () => {
  using reports = new Reports();
  await using server = await startServer(
    async (reader, writer) => {
      try {
        writer.write(await reader.readLine());
      } catch {
        // One of those that left.
      }
      writer.close();
    },
    "127.0.0.1",
    0,
    { startServing: false, keepAlive: true },
  );
  for (let i = 0; i < 20; i++) {
    const peer = await Peer.connect(portOf(server));
    await peer.reset();
  }
  const [reader, writer] = await openConnection("127.0.0.1", portOf(server));
  await using _ = writer;
  writer.write("still there?\n");
  await server.startServing();
  assertEquals(text(await reader.readLine()), "still there?\n");
  await until(() => server.connections === 0);
  assertEquals(reports.contexts, []);
});

test("writeEof() to a peer that has reset ends the connection, and waitClosed()", async () => {
  await using pair = await connectedPair();
  const { writer, peer, server } = pair;
  await peer.reset();
  writer.writeEof();
  await assertRejects(() => writer.waitClosed());
  assertEquals(server.connections, 0);
});

test("the peer half-closes: our half goes on, and all of it arrives", async () => {
  await using pair = await connectedPair();
  const { reader, writer, peer, server } = pair;
  await peer.send("request");
  peer.end();
  assertEquals(text(await reader.read()), "request");
  assert(!writer.isClosing());
  writer.write(pattern(4 * MIB));
  writer.close();
  assertEquals(await peer.readAll(), 4 * MIB);
  await writer.waitClosed();
  assertEquals(server.connections, 0);
});

test("we half-close: the peer's half goes on, and all of it arrives", async () => {
  await using pair = await connectedPair();
  const { reader, writer, peer, server } = pair;
  writer.write("over to you");
  writer.writeEof();
  assertEquals(await peer.readAll(), 11);
  const all = reader.read();
  await peer.send(pattern(4 * MIB));
  peer.end();
  assertEquals(await all, pattern(4 * MIB));
  await writer[Symbol.asyncDispose]();
  assertEquals(server.connections, 0);
});

test("a peer that never reads: writes are bounded, drain() waits, abort() frees at once", async () => {
  await using pair = await connectedPair();
  const { writer, server } = pair;
  const { transport } = writer;
  const writing = writeForever(writer);
  let size = -1;
  // Until the system's buffers are full.
  while (transport.getWriteBufferSize() !== size || size === 0) {
    size = transport.getWriteBufferSize();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const { low, high } = transport.getWriteBufferLimits();
  assert(size > low, `drain() waits though only ${size} bytes are buffered`);
  assert(size <= high + 65_536, `${size} bytes are buffered`);
  const reason = new Error("enough");
  await assertRejects(() => writer.drain({ signal: AbortSignal.abort(reason) }), Error, "enough");
  const closed = writer.waitClosed();
  transport.abort();
  await assertRejects(() => writing, Deno.errors.ConnectionReset);
  await closed;
  assertEquals(transport.getWriteBufferSize(), 0);
  assertEquals(server.connections, 0);
});

test("a peer that never writes: a read ends by its signal, and by close()", async () => {
  await using pair = await connectedPair();
  const { reader, writer, server } = pair;
  const controller = new AbortController();
  const line = reader.readLine({ signal: controller.signal });
  controller.abort(new Error("too slow"));
  await assertRejects(() => line, Error, "too slow");
  const next = reader.readLine();
  writer.close();
  assertEquals(text(await next), "");
  await writer.waitClosed();
  assertEquals(server.connections, 0);
});

test("a peer that sends a byte at a time: lines arrive whole", async () => {
  await using pair = await connectedPair();
  const { reader, peer } = pair;
  const lines = Array.fromAsync(reader, text);
  for (const char of "one\ntwo\nthree") {
    await peer.send(char);
    await nextTurn();
  }
  peer.end();
  assertEquals(await lines, ["one\n", "two\n", "three"]);
});

test("an answer is received though its sender closed with the request unread", async () => {
  await using pair = await connectedPair();
  const { reader, writer, peer } = pair;
  await peer.send("PUT\n");
  const body = peer.send(pattern(MIB)).catch(() => {});
  assertEquals(text(await reader.readLine()), "PUT\n");
  writer.write("413 too large\n");
  writer.close();
  const answer = peer.readAll();
  await body;
  peer.end();
  assertEquals(await answer, 14);
  await writer.waitClosed();
});

test("a peer that goes on sending for ever holds a close() up for a moment only", async () => {
  let sent = 0;
  const ahead = Promise.withResolvers<void>();
  await using server = await startServer(
    async (reader, writer) => {
      await using _ = writer;
      await reader.readExactly(MIB);
      await ahead.promise;
    },
    "127.0.0.1",
    0,
  );
  using peer = await Deno.connect({ hostname: "127.0.0.1", port: portOf(server) });
  const started = performance.now();
  await assertRejects(async () => {
    for (;;) {
      sent += await peer.write(new Uint8Array(65_536));
      // More than a read takes beyond what was asked for: there is something unread to close on.
      if (sent > MIB + 300_000) ahead.resolve();
    }
  });
  const took = performance.now() - started;
  assert(took > 1_000, `no patience: closed after ${took} ms`);
  server.close();
  await server.waitClosed();
  assertEquals(server.connections, 0);
});
