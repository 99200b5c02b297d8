import { openConnection, SSLError, startServer } from "@asyncio/streams";
import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { turns } from "../support.ts";
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
