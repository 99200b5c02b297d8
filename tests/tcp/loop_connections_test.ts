import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import {
  type BaseProtocol,
  type ExceptionContext,
  getEventLoop,
  newEventLoop,
  Protocol,
  run,
  type Server,
  StreamReader,
  StreamReaderProtocol,
  type Transport,
} from "@asyncio/streams";
import { StreamTransport } from "../../net/stream_transport.ts";

const loop = getEventLoop();

/** Collects what comes, and answers with it if asked to. */
class Collector extends Protocol {
  text = "";
  transport: Transport | null = null;
  readonly lost = Promise.withResolvers<Error | null>();
  constructor(readonly echoes = false) {
    super();
  }
  override connectionMade(transport: Transport): void {
    this.transport = transport;
  }
  override dataReceived(data: Uint8Array): void {
    this.text += new TextDecoder().decode(data);
    if (this.echoes) this.transport?.write(data);
  }
  override connectionLost(error: Error | null): void {
    this.lost.resolve(error);
  }
}

function portOf(server: Server): number {
  return (server.sockets[0]!.addr as Deno.NetAddr).port;
}

/** A server whose protocols echo, and the protocols it has made. */
async function echoServer(): Promise<{ server: Server; port: number; made: Collector[] }> {
  const made: Collector[] = [];
  const server = await loop.createServer(() => {
    const protocol = new Collector(true);
    made.push(protocol);
    return protocol;
  }, "127.0.0.1");
  return { server, port: portOf(server), made };
}

Deno.test("createConnection() gives the transport and the protocol, connected", async () => {
  const { server, port, made } = await echoServer();
  await using _ = server;
  const mine = new Collector();
  const [transport, protocol] = await loop.createConnection(() => mine, "127.0.0.1", port);
  assertStrictEquals(protocol, mine);
  assertStrictEquals(mine.transport, transport);
  assertStrictEquals(transport.getProtocol(), mine);
  assertEquals((transport.getExtraInfo("peername") as Deno.NetAddr).port, port);
  transport.write("hello");
  transport.writeEof();
  assertEquals(await mine.lost.promise, null);
  assertEquals(mine.text, "hello");
  assertEquals(await made[0]!.lost.promise, null);
});

Deno.test("createConnection() takes an open connection", async () => {
  const { server, port } = await echoServer();
  await using _ = server;
  const sock = await Deno.connect({ hostname: "127.0.0.1", port });
  const [transport, protocol] = await loop.createConnection(() => new Collector(), { sock });
  assertStrictEquals(transport.getExtraInfo("socket"), sock);
  transport.write("over mine");
  transport.writeEof();
  await protocol.lost.promise;
  assertEquals(protocol.text, "over mine");
});

Deno.test("createServer() and connectAcceptedSocket() take what was opened elsewhere", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const sock = listener;
  const server = await loop.createServer(() => new Collector(true), { sock, startServing: false });
  const { port } = listener.addr as Deno.NetAddr;
  const connecting = loop.createConnection(() => new Collector(), "127.0.0.1", port);
  const accepted = await listener.accept();
  const [serving] = await loop.connectAcceptedSocket(() => new Collector(true), accepted);
  assertEquals(serving.isClosing(), false);
  const [transport, protocol] = await connecting;
  transport.write("accepted by hand");
  transport.writeEof();
  await protocol.lost.promise;
  assertEquals(protocol.text, "accepted by hand");
  server.close();
  await server.waitClosed();
});

Deno.test("a protocol factory that throws closes the connection", async () => {
  const { server, port, made } = await echoServer();
  await using _ = server;
  const fail = (): BaseProtocol => {
    throw new RangeError("no protocol");
  };
  await assertRejects(() => loop.createConnection(fail, "127.0.0.1", port), RangeError, "no proto");
  while (made.length === 0) await new Promise((resolve) => setImmediate(resolve));
  assertEquals(await made[0]!.lost.promise, null);
});

Deno.test("a server's protocol factory that throws is reported, and the server goes on", async () => {
  using own = newEventLoop();
  const contexts: ExceptionContext[] = [];
  own.setExceptionHandler((_loop, context) => void contexts.push(context));
  let calls = 0;
  await using server = await own.createServer(() => {
    if (++calls === 1) throw new RangeError("no protocol");
    return new Collector(true);
  }, "127.0.0.1");
  const port = portOf(server);
  const [, first] = await loop.createConnection(() => new Collector(), "127.0.0.1", port);
  await first.lost.promise;
  assertEquals(contexts.map(({ exception }) => (exception as Error).message), ["no protocol"]);
  assert(contexts[0]?.peername);
  const [transport, second] = await loop.createConnection(() => new Collector(), "127.0.0.1", port);
  transport.write("works");
  transport.writeEof();
  await second.lost.promise;
  assertEquals(second.text, "works");
});

Deno.test("StreamReaderProtocol joins a reader to a connection of the loop's", async () => {
  const { server, port } = await echoServer();
  await using _ = server;
  const reader = new StreamReader();
  const [transport] = await loop.createConnection(
    () => new StreamReaderProtocol(reader, null, loop),
    "127.0.0.1",
    port,
  );
  transport.write("one\ntwo\n");
  assertEquals(new TextDecoder().decode(await reader.readLine()), "one\n");
  transport.writeEof();
  assertEquals(new TextDecoder().decode(await reader.read()), "two\n");
  transport.close();
});

Deno.test("the loop's connections belong to it, in run() too", async () => {
  await run(async () => {
    const inner = getEventLoop();
    assert(inner !== loop);
    await using server = await inner.createServer(() => new Collector(true), "127.0.0.1");
    assertStrictEquals(server.getLoop(), inner);
    const made = inner.createConnection(() => new Collector(), "127.0.0.1", portOf(server));
    const [transport, protocol] = await made;
    transport.write("inside");
    transport.writeEof();
    await protocol.lost.promise;
    assertEquals(protocol.text, "inside");
  });
});

Deno.test("bad arguments are refused before anything is opened", async () => {
  const factory = () => new Collector();
  const wrong = <T>(value: unknown) => value as T;
  await assertRejects(() => loop.createConnection(wrong(1), "127.0.0.1", 1), TypeError, "Factory");
  await assertRejects(() => loop.createConnection(factory, wrong(1), 1), TypeError, "host");
  await assertRejects(() => loop.createConnection(factory, "h", 0), RangeError, "port");
  await assertRejects(() => loop.createConnection(factory, { sock: wrong({}) }), TypeError, "sock");
  await assertRejects(() => loop.connectAcceptedSocket(factory, wrong(null)), TypeError, "sock");
  await assertRejects(() => loop.createServer(wrong(null)), TypeError, "Factory");
  await assertRejects(() => loop.createServer(factory, "127.0.0.1", -1), RangeError, "port");
  await assertRejects(() => loop.createServer(factory, []), RangeError, "empty");
  const signal = AbortSignal.abort(new Error("too late"));
  await assertRejects(() => loop.createConnection(factory, "h", 1, { signal }), Error, "too late");
});

Deno.test("debug mode reports transports that are open when their loop is closed", async () => {
  const own = newEventLoop();
  own.setDebug(true);
  const contexts: ExceptionContext[] = [];
  own.setExceptionHandler((_loop, context) => void contexts.push(context));
  await using server = await own.createServer(() => new Collector(true), "127.0.0.1");
  const port = portOf(server);
  const [open] = await own.createConnection(() => new Collector(), "127.0.0.1", port);
  const [closed, protocol] = await own.createConnection(() => new Collector(), "127.0.0.1", port);
  assert(open instanceof StreamTransport && !open.accepted); // TLS would be the client's side
  closed.abort();
  await protocol.lost.promise;
  while (server.connections !== 1) await new Promise((resolve) => setImmediate(resolve));
  own.close();
  assertEquals(contexts.length, 2); // the open one's two ends
  const context = contexts.find(({ transport }) => transport === open);
  assertEquals(context?.message, "The loop of an unclosed transport was closed");
  assert(context?.sourceTraceback?.includes("loop_connections_test.ts"), context?.sourceTraceback);
  open.abort();
  server.closeClients();
});
