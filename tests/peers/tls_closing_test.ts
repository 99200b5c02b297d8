import {
  getEventLoop,
  openConnection,
  Protocol,
  SSLError,
  startServer,
  type StreamReader,
  type StreamWriter,
  type Transport,
} from "@asyncio/streams";
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import { connect } from "node:net";
import type { Carrier } from "../../net/carrier.ts";
import { DuplexCarrier } from "../../net/duplex_carrier.ts";
import { openTls } from "../../net/tls/open_tls.ts";
import { planUpgrade } from "../../net/tls/plan.ts";
import { pattern, settled, turns } from "../support.ts";
import { certificates } from "./certificates.ts";
import { test } from "./open_sockets.ts";

const { authority, foreignAuthority, good } = await certificates();
const context = { cert: good.cert, key: good.key };

/** What a server's handler got, one line a connection. */
async function echoServer(lines: string[], wrap?: PromiseWithResolvers<void>) {
  return await startServer(
    async (reader, writer) => {
      await using _ = writer;
      if (wrap !== undefined) {
        await wrap.promise;
        await writer.startTls(context);
      }
      const line = await reader.readLine();
      lines.push(new TextDecoder().decode(line));
      writer.write(line);
    },
    "127.0.0.1",
    0,
    wrap === undefined ? { ssl: context } : {},
  );
}

/** A server that waits for the hello of a client that it has accepted. */
async function handshakeUnderWay(lines: string[]) {
  const server = await echoServer(lines);
  const { port } = server.sockets[0]!.addr as Deno.NetAddr;
  const conn = await Deno.connect({ hostname: "127.0.0.1", port });
  while (server.connections === 0) await turns(1);
  return { server, conn };
}

for (const how of ["waitClosed", "shutdown"] as const) {
  test(`${how}() of a server waits for a handshake under way, and for its handler`, async () => {
    const lines: string[] = [];
    const { server, conn } = await handshakeUnderWay(lines);
    server.close();
    const ended = how === "waitClosed" ? server.waitClosed() : server.shutdown({ timeout: 10_000 });
    const ssl = { caCerts: [authority.cert] };
    const [reader, writer] = await openConnection({ sock: conn, ssl, serverHostname: "localhost" });
    await using _ = writer;
    writer.write("late\n");
    assertEquals((await reader.readLine()).length, 5);
    await ended;
    assertEquals(lines, ["late\n"]);
  });
}

test("closeClients() ends a handshake under way, and no handler begins", async () => {
  const lines: string[] = [];
  const { server, conn } = await handshakeUnderWay(lines);
  using _ = conn;
  server.close();
  server.closeClients();
  await server.waitClosed();
  assertEquals(await conn.read(new Uint8Array(1)), null);
  assertEquals([server.connections, lines], [0, []]);
});

test("close() while a silent peer lets an upgrade wait ends it at once, and a read with EOF", async () => {
  const never = Promise.withResolvers<void>();
  await using server = await echoServer([], never);
  const { port } = server.sockets[0]!.addr as Deno.NetAddr;
  const [reader, writer] = await openConnection("127.0.0.1", port);
  const upgrade = writer.startTls({ caCerts: [authority.cert] }, { serverHostname: "localhost" });
  const line = reader.readLine();
  writer.close();
  await assertRejects(() => upgrade, Deno.errors.ConnectionAborted);
  assertEquals((await line).length, 0);
  await writer.waitClosed();
  never.resolve();
  server.abortClients();
});

test("what was written before close() still goes out over TLS that is about to begin", async () => {
  const lines: string[] = [];
  const ready = Promise.withResolvers<void>();
  await using server = await echoServer(lines, ready);
  const { port } = server.sockets[0]!.addr as Deno.NetAddr;
  const [, writer] = await openConnection("127.0.0.1", port);
  const upgrade = writer.startTls({ caCerts: [authority.cert] }, { serverHostname: "localhost" });
  writer.write("secret\n");
  writer.close();
  ready.resolve();
  await upgrade;
  await writer.waitClosed();
  await server.shutdown({ timeout: 10_000 });
  assertEquals(lines, ["secret\n"]);
});

test("await using does not hide why an upgrade failed in a SuppressedError", async () => {
  const ready = Promise.withResolvers<void>();
  ready.resolve();
  await using server = await echoServer([], ready);
  const { port } = server.sockets[0]!.addr as Deno.NetAddr;
  const ssl = { caCerts: [foreignAuthority.cert] };
  const error = await assertRejects(async () => {
    const [, writer] = await openConnection("127.0.0.1", port);
    await using _ = writer;
    await writer.startTls(ssl, { serverHostname: "localhost" });
  });
  assertInstanceOf(error, SSLError);
  assert(error.reason === "UNKNOWN_AUTHORITY");
});

test("an answer that comes before a reset is read over TLS, too", async () => {
  for (let i = 0; i < 10; i++) {
    await using server = await startServer(
      async (reader, writer) => {
        await reader.readExactly(100_000);
        writer.write("413 too large\n");
        await writer.drain();
        await turns(1);
        writer.transport.abort(); // With unread input: the system resets the connection.
      },
      "127.0.0.1",
      0,
      { ssl: context },
    );
    const { port } = server.sockets[0]!.addr as Deno.NetAddr;
    const ssl = { caCerts: [authority.cert] };
    const [reader, writer] = await openConnection("127.0.0.1", port, {
      ssl,
      serverHostname: "localhost",
    });
    writer.write(new Uint8Array(5_000_000));
    await writer.drain().catch(() => {});
    assertEquals(new TextDecoder().decode(await reader.readLine()), "413 too large\n");
    writer.transport.abort();
  }
});

// A peer that ends its own direction without a TLS goodbye, and may read on.

/** More than the system's buffers hold. */
const data = pattern(16 * 1024 * 1024);

/** A client of TLS that can cut its own direction, or the connection. */
async function cuttingClient(port: number) {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const inner = new DuplexCarrier(socket, { localAddr: null, remoteAddr: null });
  const plan = planUpgrade({ caCerts: [authority.cert] }, false, { serverHostname: "localhost" });
  const carrier = await openTls(inner, plan);
  return { socket, carrier, cut: () => inner.closeWrite() };
}

/** Reads to the TLS goodbye: without one it fails. */
async function readToGoodbye(carrier: Carrier): Promise<Uint8Array> {
  const all = new Uint8Array(data.length * 2);
  let length = 0;
  for (let n; (n = await carrier.read(all.subarray(length))) !== null;) length += n;
  return all.subarray(0, length);
}

/** A server whose handler has written `data` to a client that did not read yet, and waits. */
async function writtenTo() {
  const accepted = Promise.withResolvers<[StreamReader, StreamWriter]>();
  const server = await startServer((...streams) => accepted.resolve(streams), "127.0.0.1", 0, {
    ssl: context,
  });
  const { port } = server.sockets[0]!.addr as Deno.NetAddr;
  const client = await cuttingClient(port);
  const [reader, writer] = await accepted.promise;
  writer.write(data);
  return { server, client, reader, writer };
}

test("a peer that ends without goodbye and reads on gets what was written before", async () => {
  const { server, client, reader, writer } = await writtenTo();
  await using _ = server;
  const drained = writer.drain();
  const read = reader.read();
  await client.cut();
  const error = await assertRejects(() => read, Deno.errors.UnexpectedEof, "no TLS goodbye");
  const same = async (promise: Promise<unknown>) =>
    assertStrictEquals(await assertRejects(() => promise), error);
  await same(reader.readLine());
  await same(writer.drain());
  assert(writer.isClosing());
  const ended = writer.waitClosed();
  assertEquals([await settled(drained), await settled(ended)], [false, false]);
  writer.write("dropped");
  assertEquals(await readToGoodbye(client.carrier), data);
  await same(ended);
  await same(drained);
  client.carrier.close();
});

test("a read that nobody waits for finds the end without goodbye, and all is sent", async () => {
  const { server, client, writer } = await writtenTo();
  await using _ = server;
  const ended = writer.waitClosed(); // It reads ahead.
  await client.cut();
  assertEquals(await readToGoodbye(client.carrier), data);
  await assertRejects(() => ended, Deno.errors.UnexpectedEof, "no TLS goodbye");
  client.carrier.close();
});

test("close() behind an end without goodbye still sends all", async () => {
  const { server, client, reader, writer } = await writtenTo();
  await using _ = server;
  const read = reader.read();
  await client.cut();
  await assertRejects(() => read, Deno.errors.UnexpectedEof);
  writer.close();
  assertEquals(await readToGoodbye(client.carrier), data);
  await assertRejects(() => writer.waitClosed(), Deno.errors.UnexpectedEof);
  client.carrier.close();
});

test("abort() ends the wait for a peer that ended without goodbye and reads nothing", async () => {
  const { server, client, reader, writer } = await writtenTo();
  await using _ = server;
  const read = reader.read();
  await client.cut();
  await assertRejects(() => read, Deno.errors.UnexpectedEof);
  const ended = writer.waitClosed();
  assertEquals(await settled(ended), false);
  writer.transport.abort();
  await ended;
  client.carrier.close();
});

test("a peer that resets after its end without goodbye leaves that end as the reason", async () => {
  const { server, client, reader, writer } = await writtenTo();
  await using _ = server;
  const read = reader.read();
  await client.cut();
  const error = await assertRejects(() => read, Deno.errors.UnexpectedEof);
  client.socket.resetAndDestroy();
  assertStrictEquals(await assertRejects(() => writer.waitClosed()), error);
  assertEquals(writer.transport.getWriteBufferSize(), 0);
  client.carrier.close();
});

test("a reset loses the connection at once, whatever is left to send", async () => {
  const { server, client, reader, writer } = await writtenTo();
  await using _ = server;
  const read = reader.read();
  client.socket.resetAndDestroy();
  await assertRejects(() => read, Deno.errors.ConnectionReset);
  await assertRejects(() => writer.waitClosed(), Deno.errors.ConnectionReset);
  assertEquals(writer.transport.getWriteBufferSize(), 0);
  client.carrier.close();
});

test("sendfile() to a peer that ends without goodbye says so", async () => {
  const { server, client, writer } = await writtenTo();
  await using _ = server;
  const begun = Promise.withResolvers<void>();
  const endless = {
    read(buffer: Uint8Array) {
      begun.resolve();
      return Promise.resolve(buffer.length);
    },
    seek: () => Promise.resolve(0),
  } as unknown as Deno.FsFile;
  const sent = getEventLoop().sendfile(writer.transport as Transport, endless);
  await begun.promise;
  await turns(1);
  const ended = writer.waitClosed();
  await client.cut();
  const [error] = await Promise.all([
    assertRejects(() => sent, Deno.errors.UnexpectedEof),
    assertRejects(() => ended, Deno.errors.UnexpectedEof),
    readToGoodbye(client.carrier),
  ]);
  assertStrictEquals(await assertRejects(() => writer.drain()), error);
  client.carrier.close();
});

test("a protocol's peer that ends without goodbye gets what was written before, too", async () => {
  const calls: string[] = [];
  const lost = Promise.withResolvers<Error | null>();
  class Sending extends Protocol {
    override connectionMade(transport: Transport): void {
      transport.write(data);
    }
    override pauseWriting(): void {
      calls.push("pause");
    }
    override resumeWriting(): void {
      calls.push("resume");
    }
    override eofReceived(): void {
      calls.push("eof");
    }
    override connectionLost(error: Error | null): void {
      lost.resolve(error);
    }
  }
  const loop = getEventLoop();
  await using server = await loop.createServer(() => new Sending(), "127.0.0.1", 0, {
    ssl: context,
  });
  const { port } = server.sockets[0]!.addr as Deno.NetAddr;
  const { carrier, cut } = await cuttingClient(port);
  await cut();
  assertEquals(await settled(lost.promise), false);
  assertEquals(await readToGoodbye(carrier), data);
  const error = await lost.promise;
  assertInstanceOf(error, Deno.errors.UnexpectedEof);
  assertEquals(calls, ["pause"]);
  carrier.close();
});
