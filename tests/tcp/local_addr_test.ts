import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  openConnection,
  startServer,
  type StreamReader,
  type StreamWriter,
} from "@asyncio/streams";

const bytes = (text: string) => new TextEncoder().encode(text);

/** Streams from `hostname` to a server that hands its own ends over. */
async function pair(hostname: string) {
  const accepted = Promise.withResolvers<[StreamReader, StreamWriter]>();
  const server = await startServer((...ends) => accepted.resolve(ends), "127.0.0.1", 0);
  const { port } = server.sockets[0]!.addr as Deno.NetAddr;
  const client = await openConnection("127.0.0.1", port, { localAddr: { hostname } });
  return { server, client, accepted: await accepted.promise };
}

Deno.test("localAddr is the address that the peer sees", async () => {
  const { server, client: [, writer], accepted: [, peer] } = await pair("127.0.0.2");
  const local = writer.getExtraInfo("sockname") as Deno.NetAddr;
  assertEquals(local.hostname, "127.0.0.2");
  assertEquals({ ...peer.getExtraInfo("peername")! }, { ...local });
  assertEquals({ ...peer.getExtraInfo("sockname")! }, { ...writer.getExtraInfo("peername")! });
  await using _server = server;
  await using _peer = peer;
  await using _writer = writer;
});

Deno.test("localAddr.port is the port that the peer sees", async () => {
  const free = Deno.listen({ hostname: "127.0.0.3", port: 0 });
  const { port: local } = free.addr;
  free.close();
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const [, writer] = await openConnection("127.0.0.1", listener.addr.port, {
    localAddr: { hostname: "127.0.0.3", port: local },
  });
  const conn = await listener.accept();
  assertEquals(conn.remoteAddr.port, local);
  listener.close();
  conn.close();
  writer.transport.abort();
  await writer.waitClosed();
});

Deno.test("a connection with a localAddr echoes, half-closes and ends like any other", async () => {
  const { server, client: [reader, writer], accepted: [theirs, peer] } = await pair("127.0.0.2");
  const big = new Uint8Array(1 << 20).map((_, i) => i * 7);
  const sent = (async () => {
    writer.write(big);
    await writer.drain();
    writer.writeEof();
  })();
  assertEquals(await theirs.read(), big);
  await sent;
  peer.write("bye\n");
  peer.close();
  assertEquals(await reader.read(), bytes("bye\n"));
  writer.close();
  await Promise.all([writer.waitClosed(), peer.waitClosed()]);
  server.close();
  await server.waitClosed();
});

Deno.test("a peer that stops reading holds a writer with a localAddr back", async () => {
  const { server, client: [, writer], accepted: [theirs, peer] } = await pair("127.0.0.2");
  const total = 8 << 20;
  let drained = 0;
  const sender = (async () => {
    for (const piece = new Uint8Array(65_536); drained < total; drained += piece.length) {
      writer.write(piece);
      await writer.drain();
    }
    writer.close();
  })();
  await theirs.readExactly(1);
  const seen = drained;
  assert(seen < total, `${seen} bytes were taken`);
  let received = 1;
  for (let n; (n = (await theirs.read(1 << 20)).length) > 0;) received += n;
  assertEquals(received, total);
  await sender;
  peer.close();
  await Promise.all([writer.waitClosed(), peer.waitClosed()]);
  server.close();
  await server.waitClosed();
});

Deno.test("with a localAddr a write to a peer that has left is BrokenPipe or ConnectionReset", async () => {
  const { server, client: [reader, writer], accepted: [, peer] } = await pair("127.0.0.2");
  writer.write(new Uint8Array(32 << 20));
  const drained = assertRejects(() => writer.drain());
  peer.transport.abort();
  await peer.waitClosed();
  const kinds = [Deno.errors.BrokenPipe, Deno.errors.ConnectionReset];
  const isKind = (error: unknown) =>
    assert(kinds.some((kind) => error instanceof kind), `${error}`);
  isKind(await drained);
  isKind(await assertRejects(() => writer.waitClosed()));
  await reader.read().catch(isKind);
  server.close();
  await server.waitClosed();
});

Deno.test("with a localAddr a refused connection is ConnectionRefused, and says which", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  await assertRejects(
    () => openConnection("127.0.0.1", port, { localAddr: { hostname: "127.0.0.2" } }),
    Deno.errors.ConnectionRefused,
    `127.0.0.1:${port}`,
  );
});

Deno.test("a localAddr that is taken is AddrInUse", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  await assertRejects(
    () => openConnection("127.0.0.1", port, { localAddr: { hostname: "127.0.0.1", port } }),
    Deno.errors.AddrInUse,
    String(port),
  );
  listener.close();
});

Deno.test("a localAddr that is no address, or of another family, is refused at the call", async () => {
  const open = (hostname: string, family: 0 | 4 | 6) =>
    openConnection("127.0.0.1", 9, { localAddr: { hostname }, family });
  await assertRejects(() => open("localhost", 0), RangeError, "localAddr.hostname");
  await assertRejects(() => open("127.0.0.2", 6), RangeError, "127.0.0.2");
  await assertRejects(() => open("", 0), RangeError, "localAddr.hostname");
});

Deno.test("an aborted signal ends the attempt to connect from a localAddr", async () => {
  const controller = new AbortController();
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const opening = openConnection("127.0.0.1", listener.addr.port, {
    localAddr: { hostname: "127.0.0.2" },
    signal: controller.signal,
  });
  const reason = new Error("changed my mind");
  controller.abort(reason);
  assertEquals(await assertRejects(() => opening), reason);
  listener.close();
});

Deno.test({
  name: "without the permission to use its localAddr, a connection is NotCapable",
  permissions: { net: ["127.0.0.1"] },
  async fn() {
    await assertRejects(
      () => openConnection("127.0.0.1", 9, { localAddr: { hostname: "127.0.0.2" } }),
      Deno.errors.NotCapable,
      "127.0.0.2",
    );
  },
});
