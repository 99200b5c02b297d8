import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { getEventLoop, openConnection, Socket, startServer } from "@asyncio/streams";
import { bytes, pattern, settled, text } from "../support.ts";
import { connectBare } from "./support.ts";

const loop = getEventLoop();
const loopback: Deno.NetAddr = { transport: "tcp", hostname: "127.0.0.1", port: 0 };

/** A socket that listens on a free port. */
function listening(): Socket {
  const socket = new Socket();
  socket.bind(loopback);
  socket.listen();
  return socket;
}

/** Two sockets, connected over TCP. */
async function connected(): Promise<[Socket, Socket]> {
  using server = listening();
  const client = new Socket();
  await loop.sockConnect(client, server.localAddr);
  const [accepted] = await loop.sockAccept(server);
  return [client, accepted];
}

Deno.test("sockConnect() and sockAccept() connect two sockets, which know their addresses", async () => {
  using server = listening();
  using client = new Socket();
  const accepting = loop.sockAccept(server);
  await loop.sockConnect(client, server.localAddr);
  const [accepted, address] = await accepting;
  assertEquals({ ...address }, { ...client.localAddr });
  assertEquals({ ...accepted.localAddr }, { ...client.remoteAddr });
  await loop.sockSendAll(client, "hello");
  assertEquals(text(await loop.sockRecv(accepted, 100)), "hello");
  accepted.close();
  assertEquals((await loop.sockRecv(client, 100)).length, 0);
  assertEquals({ ...accepted.remoteAddr }, { ...client.localAddr });
});

Deno.test("sockConnect() takes a name, and says who refused", async () => {
  const server = listening();
  const { port } = server.localAddr as Deno.NetAddr;
  const client = new Socket();
  await loop.sockConnect(client, { transport: "tcp", hostname: "localhost", port });
  (await loop.sockAccept(server))[0].close();
  client.close();
  server.close();
  const late = new Socket();
  await assertRejects(
    () => loop.sockConnect(late, { ...loopback, port }),
    Deno.errors.ConnectionRefused,
    `127.0.0.1:${port}`,
  );
  // It is new again, and can be used for another attempt.
  using again = listening();
  await loop.sockConnect(late, again.localAddr);
  (await loop.sockAccept(again))[0].close();
  late.close();
});

Deno.test("a bound socket connects from its address", async () => {
  using server = listening();
  using client = new Socket();
  client.bind({ transport: "tcp", hostname: "127.0.0.2", port: 0 });
  await loop.sockConnect(client, server.localAddr);
  const [accepted, address] = await loop.sockAccept(server);
  assertEquals((address as Deno.NetAddr).hostname, "127.0.0.2");
  accepted.close();
});

Deno.test("closing a socket ends its attempt to connect", async () => {
  using server = listening();
  const client = new Socket();
  const connecting = loop.sockConnect(client, server.localAddr);
  await assertRejects(() => loop.sockConnect(client, server.localAddr), Error, "connecting");
  client.close();
  await assertRejects(() => connecting, Deno.errors.Interrupted);
});

Deno.test("sockets move bulk both ways at once, with back-pressure", async () => {
  const [client, accepted] = await connected();
  const data = pattern(8 << 20);
  const receive = async (socket: Socket) => {
    const all = new Uint8Array(data.length);
    for (let at = 0; at < all.length;) at += await loop.sockRecvInto(socket, all.subarray(at));
    return all;
  };
  const [there, back] = await Promise.all([
    receive(accepted),
    receive(client),
    loop.sockSendAll(client, data),
    loop.sockSendAll(accepted, data),
  ]);
  assertEquals(there, data);
  assertEquals(back, data);
  const stuck = loop.sockSendAll(client, new Uint8Array(64 << 20));
  const lost = assertRejects(() => stuck);
  assertEquals(await settled(stuck), false);
  client.close();
  await lost;
  for (;;) if ((await loop.sockRecv(accepted, 1 << 20)).length === 0) break;
  accepted.close();
});

Deno.test("what send() took is still sent after close()", async () => {
  const [client, accepted] = await connected();
  const data = pattern(65_536);
  assertEquals(client.send(data), data.length);
  client.close();
  const all = new Uint8Array(data.length);
  for (let at = 0; at < all.length;) at += await loop.sockRecvInto(accepted, all.subarray(at));
  assertEquals(all, data);
  assertEquals((await loop.sockRecv(accepted, 1)).length, 0);
  accepted.close();
});

Deno.test("abort() frees a socket whose peer does not read, before and after close()", async () => {
  for (const closed of [false, true]) {
    const [client, accepted] = await connected();
    const signal = AbortSignal.timeout(50);
    await assertRejects(() => loop.sockSendAll(client, new Uint8Array(20e6), { signal }));
    if (closed) client.close();
    client.abort();
    client.abort();
    assertEquals(client.closed, true);
    // The sanitizers see that the connection is free. The peer is told.
    let received = 0;
    try {
      for (let n; (n = await loop.sockRecvInto(accepted, new Uint8Array(1 << 20))) > 0;) {
        received += n;
      }
    } catch (error) {
      assert(error instanceof Deno.errors.ConnectionReset);
    }
    assert(received < 20e6);
    accepted.close();
  }
});

Deno.test("closeWrite() comes behind what send() took", async () => {
  const [client, accepted] = await connected();
  client.send(pattern(60_000));
  await client.closeWrite();
  let received = 0;
  for (let n; (n = (await loop.sockRecv(accepted, 65_536)).length) > 0;) received += n;
  assertEquals(received, 60_000);
  assertThrows(() => client.send(bytes("x")), Deno.errors.BrokenPipe);
  await loop.sockSendAll(accepted, "answer");
  assertEquals(text(await loop.sockRecv(client, 100)), "answer");
  client.close();
  accepted.close();
});

Deno.test("an aborted sockRecv() over TCP loses no byte", async () => {
  const [client, accepted] = await connected();
  const controller = new AbortController();
  const receiving = loop.sockRecv(accepted, 3, { signal: controller.signal });
  controller.abort(new Error("enough"));
  await assertRejects(() => receiving, Error, "enough");
  await loop.sockSendAll(client, "abcdef");
  assertEquals(text(await loop.sockRecv(accepted, 3)), "abc");
  assertEquals(text(await loop.sockRecv(accepted, 100)), "def");
  client.close();
  accepted.close();
});

Deno.test("who comes to wait behind a read of the socket's own is woken, too", async () => {
  const [client, accepted] = await connected();
  const reading = accepted.read(new Uint8Array(10));
  const receiving = loop.sockRecv(accepted, 10);
  assertEquals(await settled(receiving), false);
  await loop.sockSendAll(client, "first");
  assertEquals(await reading, 5);
  await loop.sockSendAll(client, "second");
  assertEquals(text(await receiving), "second");

  const again = accepted.read(new Uint8Array(10));
  const { promise: readable, resolve } = Promise.withResolvers<void>();
  loop.addReader(accepted, resolve);
  await loop.sockSendAll(client, "third");
  assertEquals(await again, 5);
  await loop.sockSendAll(client, "fourth");
  await readable;
  loop.removeReader(accepted);
  assertEquals(text(accepted.recv(10)), "fourth");
  client.close();
  accepted.close();
});

Deno.test("an aborted sockAccept() loses no connection, of a Deno.Listener either", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const controller = new AbortController();
  const accepting = loop.sockAccept(listener, { signal: controller.signal });
  controller.abort(new Error("enough"));
  await assertRejects(() => accepting, Error, "enough");
  const conn = await Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port });
  const [accepted] = await loop.sockAccept(listener);
  await loop.sockSendAll(accepted, "hello");
  const buffer = new Uint8Array(10);
  assertEquals(await conn.read(buffer), 5);
  conn.close();
  accepted.close();
  listener.close();
});

Deno.test("a socket can be closed though what it was made of is closed already", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const conns = await Promise.all([Deno.connect({ port: listener.addr.port }), listener.accept()]);
  const listening = new Socket(listener);
  const accepting = assertRejects(() => loop.sockAccept(listening));
  const [plain, flushing] = conns.map((conn) => new Socket(conn));
  flushing!.send(new Uint8Array(10));
  listener.close();
  for (const conn of conns) conn.close();
  for (const socket of [listening, plain!, flushing!]) socket.close();
  await accepting;
});

Deno.test("closing a socket that listens ends sockAccept()", async () => {
  const server = listening();
  const accepting = loop.sockAccept(server);
  server.close();
  await assertRejects(() => accepting, Deno.errors.Interrupted);
  await assertRejects(() => loop.sockAccept(server), Deno.errors.BadResource);
});

Deno.test("accept(), recv() and send() with readers and writers: a server with no await", async () => {
  const server = listening();
  const done = loop.createFuture<void>();
  loop.addReader(server, () => {
    const conn = server.accept();
    loop.addReader(conn, () => {
      const data = conn.recv(100);
      if (data.length > 0) return void conn.send(data);
      loop.removeReader(conn);
      conn.close();
      done.setResult();
    });
  });
  const [reader, writer] = await openConnection(
    "127.0.0.1",
    (server.localAddr as Deno.NetAddr).port,
  );
  writer.write("echo\n");
  assertEquals(text(await reader.readLine()), "echo\n");
  writer.close();
  await Promise.all([writer.waitClosed(), done]);
  assertEquals(loop.removeReader(server), true);
  server.close();
});

Deno.test("a Deno.Conn becomes a socket, and a socket a stream", async () => {
  await using server = await startServer(
    async (reader, writer) => {
      await using _ = writer;
      writer.write(await reader.readLine());
    },
    "127.0.0.1",
    0,
  );
  const socket = new Socket(await connectBare(server));
  socket.send(bytes("over a sock"));
  const [reader, writer] = await openConnection({ sock: socket });
  await using _ = writer;
  writer.write("et\n");
  assertEquals(text(await reader.readLine()), "over a socket\n");
  assert(!socket.closed);
});

Deno.test("a socket over a lost connection is readable, and says why", async () => {
  const [client, accepted] = await connected();
  await loop.sockSendAll(accepted, "unread");
  await loop.sockSendAll(client, "unread");
  await loop.sockRecv(client, 1);
  const conn = await loop.sockRecv(accepted, 1);
  assertEquals(text(conn), "u");
  accepted.close();
  for (;;) {
    try {
      if ((await loop.sockRecv(client, 100)).length === 0) break;
    } catch (error) {
      assert(error instanceof Deno.errors.ConnectionReset);
      break;
    }
  }
  await assertRejects(async () => {
    for (;;) await loop.sockSendAll(client, new Uint8Array(65_536));
  }, Error);
  client.close();
});

Deno.test("listen() takes as many to wait as the system can count", () => {
  using socket = new Socket();
  socket.bind({ transport: "tcp", hostname: "127.0.0.1", port: 0 });
  assertThrows(() => socket.listen(1.5), TypeError, "backlog is an integer");
  assertThrows(() => socket.listen(Infinity), TypeError, "backlog is an integer");
  assertThrows(() => socket.listen(0), RangeError, "backlog");
  assertThrows(() => socket.listen(2 ** 31), RangeError, "backlog");
  socket.listen(5);
});

Deno.test("listen() on an address that is taken says which", () => {
  using server = listening();
  const { port } = server.localAddr as Deno.NetAddr;
  using second = new Socket();
  second.bind({ ...loopback, port });
  assertThrows(() => second.listen(), Deno.errors.AddrInUse, `127.0.0.1:${port}`);
});

Deno.test("sockAccept() that is aborted loses no connection", async () => {
  using server = listening();
  const reason = new Error("enough");
  const controller = new AbortController();
  const waiting = loop.sockAccept(server, { signal: controller.signal });
  controller.abort(reason);
  assertEquals(await waiting.catch((error) => error), reason);
  using client = new Socket();
  await loop.sockConnect(client, server.localAddr);
  const [accepted, address] = await loop.sockAccept(server);
  assertEquals({ ...address }, { ...client.localAddr });
  accepted.close();
});

Deno.test("sockConnect() that is aborted leaves nothing open", async () => {
  using server = listening();
  const reason = new Error("enough");
  const client = new Socket();
  const early = loop.sockConnect(client, server.localAddr, { signal: AbortSignal.abort(reason) });
  assertEquals(await early.catch((error) => error), reason);
  const controller = new AbortController();
  const waiting = loop.sockConnect(client, server.localAddr, { signal: controller.signal });
  controller.abort(reason);
  assertEquals(await waiting.catch((error) => error), reason);
  client.close();
});

Deno.test("a listening socket can be closed when its listener was already, and its waits end", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const socket = new Socket(listener);
  const accepting = assertRejects(() => loop.sockAccept(socket), Deno.errors.Interrupted);
  listener.close();
  socket.close();
  await accepting;
});

Deno.test("a socket that listens on every interface gives IPv4 peers IPv4 addresses", async () => {
  using server = new Socket();
  server.bind({ transport: "tcp", hostname: "::", port: 0 });
  server.listen();
  const { port } = server.localAddr as Deno.NetAddr;
  using _client = await Deno.connect({ hostname: "127.0.0.1", port });
  const [accepted, address] = await loop.sockAccept(server);
  using _ = accepted;
  assertEquals((address as Deno.NetAddr).hostname, "127.0.0.1");
});
