// Peers that break off, dawdle, flood or talk nonsense around TLS.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { once } from "node:events";
import { createServer } from "node:net";
import {
  createDefaultContext,
  SSLError,
  type StreamReader,
  type StreamWriter,
} from "@asyncio/streams";
import { openConnection, startServer } from "../../../streams.ts";
import { certificates } from "../../peers/certificates.ts";
import { closingAll } from "../../peers/open_sockets.ts";
import { pattern, text } from "../../support.ts";
import * as support from "../support.ts";
import { attempt, type CaseOptions, Peer, portOf, Reports, until } from "../support.ts";

const { authority, good } = await certificates();
const serverContext = createDefaultContext({ certFile: good.certFile, keyFile: good.keyFile });
const clientContext = createDefaultContext({ caCerts: [authority.cert] });
const MIB = 1_048_576;

function test(name: string, body: () => Promise<void>, options?: CaseOptions): void {
  support.test(name, () => closingAll(body), options);
}

async function echo(reader: StreamReader, writer: StreamWriter): Promise<void> {
  await using _ = writer;
  for await (const line of reader) {
    writer.write(line);
    await writer.drain();
  }
}

function startTlsServer(handler = echo, sslHandshakeTimeout?: number) {
  return startServer(handler, "127.0.0.1", 0, { ssl: serverContext, sslHandshakeTimeout });
}

function connectTls(port: number) {
  return openConnection("127.0.0.1", port, { ssl: clientContext, serverHostname: "localhost" });
}

/** Checks that an honest client is served. */
async function serves(port: number): Promise<void> {
  const [reader, writer] = await connectTls(port);
  await using _ = writer;
  writer.write("hello\n");
  assertEquals(text(await reader.readLine()), "hello\n");
}

/** The first bytes that a TLS client of ours sends. */
async function clientHello(): Promise<Uint8Array> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const connecting = connectTls((listener.addr as Deno.NetAddr).port);
  connecting.catch(() => {});
  using conn = await listener.accept();
  const buffer = new Uint8Array(4_096);
  const n = await conn.read(buffer);
  conn.close = () => {};
  await conn.closeWrite();
  await assertRejects(() => connecting);
  return buffer.slice(0, n!);
}

const nonsense: Record<string, Uint8Array> = {
  "plaintext": new TextEncoder().encode("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
  "noise": pattern(4_096),
  "zeros": new Uint8Array(100_000),
  "a record that promises more than it may": new Uint8Array([22, 3, 1, 255, 255, ...pattern(60)]),
  "a record without content, again and again": new Uint8Array(5_000).map((_, i) =>
    [22, 3, 3, 0, 0][i % 5]!
  ),
};

for (const [name, bytes] of Object.entries(nonsense)) {
  test(`${name} on a TLS port is dropped and reported, and others are served`, async () => {
    using reports = new Reports();
    const server = await startTlsServer(echo, 500);
    await using peer = await Peer.connect(portOf(server));
    await peer.send(bytes).catch(() => {});
    await reports.first();
    await until(() => server.connections === 0);
    await serves(portOf(server));
    assertEquals(reports.contexts.length, 1);
    await server[Symbol.asyncDispose]();
  });
}

for (const how of ["RST", "FIN", "noise"] as const) {
  test(`${how} at any point of a handshake costs that connection only`, async () => {
    using _reports = new Reports();
    const hello = await clientHello();
    const server = await startTlsServer(echo, 2_000);
    for (let cut = 0; cut <= hello.length; cut += 37) {
      await using peer = await Peer.connect(portOf(server));
      await peer.send(hello.subarray(0, cut));
      if (how === "noise") await peer.send(pattern(300)).catch(() => {});
      if (how === "RST") await peer.reset();
      else peer.end();
    }
    await until(() => server.connections === 0);
    await serves(portOf(server));
    await server[Symbol.asyncDispose]();
  });
}

test("RST from the server during a handshake is the client's error, and leaves nothing open", async () => {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => socket.resetAndDestroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const error = await assertRejects(() => connectTls(port));
  assert(error instanceof Deno.errors.ConnectionReset || error instanceof SSLError, `${error}`);
  server.close();
  await once(server, "close");
});

test("RST in mid-line over TLS: the read rejects, and so does waitClosed()", async () => {
  using _reports = new Reports();
  const outcome = Promise.withResolvers<unknown[]>();
  const server = await startTlsServer(async (reader, writer) => {
    const line = await reader.readLine().catch((error) => error);
    const closed = await writer.waitClosed().catch((error) => error);
    outcome.resolve([line, closed]);
  });
  const [, writer] = await connectTls(portOf(server));
  writer.write("half a li");
  await writer.drain();
  await until(() => writer.transport.getWriteBufferSize() === 0);
  writer.transport.abort(); // No goodbye.
  const [line, closed] = await outcome.promise;
  assert(line instanceof Error, `the line was ${line}`);
  assert(closed instanceof Error);
  assertEquals(server.connections, 0);
  await server[Symbol.asyncDispose]();
});

test("a flood over TLS that nobody reads waits outside", async () => {
  using _reports = new Reports();
  const release = Promise.withResolvers<void>();
  const server = await startTlsServer(async (reader, writer) => {
    await reader.readExactly(1);
    await release.promise;
    writer.transport.abort();
  });
  const [, writer] = await connectTls(portOf(server));
  const before = Deno.memoryUsage().external;
  const block = new Uint8Array(65_536);
  let sent = 0;
  let last = performance.now();
  const flood = (async () => {
    for (;;) {
      writer.write(block);
      await writer.drain();
      sent += block.length;
      last = performance.now();
    }
  })();
  flood.catch(() => {});
  await until(() => sent > 0 && performance.now() - last > 300);
  const grown = Deno.memoryUsage().external - before;
  assert(grown < 32 * MIB, `${grown} bytes more for ${sent} that were sent`);
  assert(sent < 64 * MIB, `${sent} bytes were taken in`);
  release.resolve();
  await assertRejects(() => flood);
  await writer.waitClosed().catch(() => {});
  await server[Symbol.asyncDispose]();
});

test("a peer that never reads, over TLS: drain() waits, abort() frees at once", async () => {
  using _reports = new Reports();
  const streams = Promise.withResolvers<StreamWriter>();
  const server = await startTlsServer((_reader, writer) => {
    streams.resolve(writer);
    return Promise.resolve();
  });
  const [, client] = await connectTls(portOf(server));
  const writer = await streams.promise;
  let size = -1;
  const writing = (async () => {
    for (;;) {
      writer.write(new Uint8Array(65_536));
      await writer.drain();
    }
  })();
  writing.catch(() => {});
  while (writer.transport.getWriteBufferSize() !== size || size === 0) {
    size = writer.transport.getWriteBufferSize();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert(size <= 2 * 65_536, `${size} bytes are buffered`);
  writer.transport.abort();
  await assertRejects(() => writing);
  await writer.waitClosed();
  assertEquals(server.connections, 0);
  client.transport.abort();
  await client.waitClosed().catch(() => {});
  await server[Symbol.asyncDispose]();
});

test("handshakes that dawdle are dropped at their time, whatever they drip", async () => {
  using _reports = new Reports();
  const hello = await clientHello();
  const server = await startTlsServer(echo, 300);
  const peers = await Promise.all(
    Array.from({ length: 30 }, () => Peer.connect(portOf(server))),
  );
  await until(() => server.connections === 30);
  let at = 0;
  const drip = setInterval(() => {
    for (const peer of peers) peer.send(hello.subarray(at, at + 1)).catch(() => {});
    at++;
  }, 20);
  await serves(portOf(server));
  await until(() => server.connections === 0);
  clearInterval(drip);
  assert(at < hello.length);
  for (const peer of peers) await peer[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

test("openConnection() with ssl, aborted at every step, leaves nothing open", async () => {
  using _reports = new Reports();
  const server = await startTlsServer();
  const options = { ssl: clientContext, serverHostname: "localhost" };
  // Each of the first steps, then fewer.
  for (let step = 0;; step += 1 + Math.floor(step / 20)) {
    const { aborted, value } = await attempt(
      ({ signal }) => openConnection("127.0.0.1", portOf(server), { ...options, signal }),
      step,
      [],
      { patience: 1_000_000, listeners: null },
    );
    if (aborted) continue;
    await value![1][Symbol.asyncDispose]();
    assert(step > 0, "there was nothing to abort");
    break;
  }
  await until(() => server.connections === 0);
  await serves(portOf(server));
  await server[Symbol.asyncDispose]();
});

test("TLS clients of every kind side by side: all are served, nothing is left", async () => {
  using _reports = new Reports();
  const server = await startTlsServer();
  const port = portOf(server);
  const kinds: ((streams: [StreamReader, StreamWriter]) => Promise<void>)[] = [
    async ([reader, writer]) => {
      const lines = Array.from({ length: 200 }, (_, i) => `line ${i}\n`);
      writer.writeLines(lines);
      for (const line of lines) assertEquals(text(await reader.readLine()), line);
      await writer[Symbol.asyncDispose]();
    },
    async ([reader, writer]) => {
      for (const char of "slow\n") {
        writer.write(char);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      assertEquals(text(await reader.readLine()), "slow\n");
      await writer[Symbol.asyncDispose]();
    },
    async ([, writer]) => {
      writer.write("a".repeat(100_000));
      writer.transport.abort();
      await writer.waitClosed();
    },
  ];
  await Promise.all(Array.from({ length: 30 }, async (_, i) => {
    for (let round = 0; round < 3; round++) {
      await kinds[(i + round) % kinds.length]!(await connectTls(port));
    }
  }));
  await until(() => server.connections === 0);
  await server[Symbol.asyncDispose]();
}, { limit: 60_000 });
