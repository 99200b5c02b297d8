// Peers that mean harm: what they can make a server hold is bounded by what it allowed them.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { IncompleteReadError, LimitOverrunError } from "../../../net/errors.ts";
import { getIntake, type StreamReader } from "../../../net/stream_reader.ts";
import { openConnection, startServer } from "../../../streams.ts";
import { bytes, text, turns } from "../../support.ts";
import { connectedPair, manyLoopbacks, Peer, portOf, Reports, test, until } from "../support.ts";

const MIB = 1_048_576;
/** The largest chunk that is read at once for lines, in bytes. */
const CHUNK = 65_536;

function buffered(reader: StreamReader): number {
  return getIntake(reader).length;
}

/** How much memory array buffers take, in bytes. */
function external(): number {
  return Deno.memoryUsage().external;
}

test("a line without end holds no more than its limit and one chunk", async () => {
  const limit = 1_000;
  await using pair = await connectedPair({ limit });
  const { reader, peer } = pair;
  const sending = peer.send(new Uint8Array(16 * MIB).fill(65)).then(() => peer.end());
  let most = 0;
  let refused = 0;
  for (;;) {
    try {
      if ((await reader.readLine()).length <= limit && reader.atEof()) break;
    } catch (error) {
      assert(error instanceof RangeError);
      refused++;
    }
    most = Math.max(most, buffered(reader));
  }
  await sending;
  assert(refused > 100, `refused ${refused} times`);
  assert(most <= limit + CHUNK, `${most} bytes were held`);
});

test("a frame without separator is held up to its limit and one chunk, and the peer waits", async () => {
  const limit = 100_000;
  await using pair = await connectedPair({ limit });
  const { reader, peer } = pair;
  const sending = peer.send(new Uint8Array(16 * MIB).fill(65)).catch(() => "reset");
  for (let i = 0; i < 3; i++) {
    await assertRejects(() => reader.readUntil("\r\n"), LimitOverrunError);
    assert(buffered(reader) <= limit + 4 * CHUNK, `${buffered(reader)} bytes were held`);
  }
  await peer.reset();
  await sending;
});

for (const promised of [2 ** 31, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
  test(`a length prefix of ${promised} costs the memory of the bytes that came`, async () => {
    await using pair = await connectedPair();
    const { reader, peer } = pair;
    const before = external();
    const frame = reader.readExactly(promised);
    for (let i = 0; i < 10; i++) {
      await peer.send(new Uint8Array(10_000));
      await turns();
    }
    await until(() => buffered(reader) === 100_000);
    const grown = external() - before;
    assert(grown < 4 * MIB, `${grown} bytes for 100,000 that came`);
    peer.end();
    const error = await assertRejects(() => frame, IncompleteReadError);
    assertEquals([error.partial.length, error.expected], [100_000, promised]);
  });
}

test("separators that overlap themselves are found whatever the cuts are", async () => {
  await using pair = await connectedPair();
  const { reader, peer } = pair;
  const pieces = Array.fromAsync({ length: 3 }, () => reader.readUntil("\r\n\r\n"));
  for (const byte of bytes("a\r\n\r\r\n\r\nb\r\r\n\r\n\r\n\r\n")) {
    await peer.send(new Uint8Array([byte]));
    await turns(1);
  }
  assertEquals((await pieces).map(text), ["a\r\n\r\r\n\r\n", "b\r\r\n\r\n", "\r\n\r\n"]);
});

test("a client that sends and never reads stops its echo, and holds a bounded buffer", async () => {
  using reports = new Reports();
  let size = 0;
  let stalled = 0;
  await using server = await startServer(
    async (reader, writer) => {
      for await (const line of reader) {
        writer.write(line);
        const drained = writer.drain();
        size = Math.max(size, writer.transport.getWriteBufferSize());
        stalled++;
        await drained;
        stalled--;
      }
    },
    "127.0.0.1",
    0,
  );
  using peer = await Deno.connect({ hostname: "127.0.0.1", port: portOf(server) });
  const line = new Uint8Array(1_000).fill(65);
  line[999] = 10;
  const lines = new Uint8Array(64_000);
  for (let at = 0; at < lines.length; at += line.length) lines.set(line, at);
  let sent = 0;
  let last = performance.now();
  const flood = (async () => {
    for (;;) {
      sent += await peer.write(lines);
      last = performance.now();
    }
  })();
  await until(() => stalled === 1 && performance.now() - last > 300);
  assert(sent < 64 * MIB);
  assert(size <= CHUNK + 1_000, `${size} bytes were held`);
  server.abortClients();
  await assertRejects(() => flood);
  const { exception } = await reports.first(); // That of the handler.
  assert(exception instanceof Deno.errors.ConnectionReset);
});

test("waitClosed() with nobody reading takes in no more than a buffer's worth", async () => {
  await using pair = await connectedPair();
  const { reader, writer, peer } = pair;
  const controller = new AbortController();
  const closed = writer.waitClosed({ signal: controller.signal });
  const sending = peer.send(new Uint8Array(16 * MIB)).catch(() => "reset");
  await until(() => buffered(reader) >= CHUNK);
  await turns(20);
  assert(buffered(reader) <= 2 * CHUNK, `${buffered(reader)} bytes were held`);
  controller.abort(new Error("enough"));
  await assertRejects(() => closed, Error, "enough");
  await peer.reset();
  await sending;
});

test("maxConnections: what is beyond waits outside, and comes in when one leaves", async () => {
  let most = 0;
  await using server = await startServer(
    async (reader, writer) => {
      await using _ = writer;
      most = Math.max(most, server.connections);
      for await (const line of reader) writer.write(line);
    },
    "127.0.0.1",
    0,
    { maxConnections: 2 },
  );
  const clients = await Promise.all(
    Array.from({ length: 6 }, () => openConnection("127.0.0.1", portOf(server))),
  );
  const answers = clients.map(async ([reader, writer], i) => {
    await using _ = writer;
    writer.write(`${i}\n`);
    return text(await reader.readLine());
  });
  assertEquals(await Promise.all(answers), ["0\n", "1\n", "2\n", "3\n", "4\n", "5\n"]);
  assertEquals(most, 2);
});

test("maxConnections holds though several listeners accept in one turn", async () => {
  let most = 0;
  await using server = await startServer(
    async (reader, writer) => {
      await using _ = writer;
      most = Math.max(most, server.connections);
      await reader.read();
    },
    ["127.0.0.1", "127.0.0.2", "127.0.0.3"],
    0,
    { maxConnections: 1 },
  );
  const addresses = server.sockets.map(({ addr }) => addr as Deno.NetAddr & { transport: "tcp" });
  for (let round = 0; round < 20; round++) {
    const peers = await Promise.all(addresses.map((address) => Deno.connect(address)));
    await until(() => server.connections > 0);
    await turns();
    for (const peer of peers) peer.close();
    await until(() => server.connections === 0);
  }
  assertEquals(most, 1);
}, { ignore: !manyLoopbacks });

test("a handler that fails costs its own connection only", async () => {
  using reports = new Reports();
  await using server = await startServer(
    async (reader, writer) => {
      const line = text(await reader.readLine());
      if (line === "fail\n") throw new Error("on purpose");
      writer.write(line);
      writer.close();
    },
    "127.0.0.1",
    0,
  );
  await using bad = await Peer.connect(portOf(server));
  await bad.send("fail\n");
  assertEquals((await reports.first()).exception, reports.contexts[0]!.exception);
  assertEquals(await bad.readAll(), 0);
  const [reader, writer] = await openConnection("127.0.0.1", portOf(server));
  await using _ = writer;
  writer.write("ok\n");
  assertEquals(text(await reader.readLine()), "ok\n");
  assertEquals(reports.contexts.length, 1);
});
