import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import {
  type ExceptionContext,
  type ExtraInfo,
  getEventLoop,
  openConnection,
  sleep,
  startServer,
  type StartServerOptions,
  type StreamReader,
  type StreamWriter,
} from "@asyncio/streams";
import { freePort, text, turns } from "../support.ts";
import { connect, portOf, serve, soon } from "./support.ts";

async function echo(reader: StreamReader, writer: StreamWriter): Promise<void> {
  await using _ = writer;
  for await (const line of reader) {
    writer.write(line);
    await writer.drain();
  }
}

async function talk(host: string, port: number): Promise<string> {
  const [reader, writer] = await openConnection(host, port);
  await using _ = writer;
  writer.write("hello\n");
  return text(await soon(reader.readLine()));
}

const addressesOf = (server: { sockets: readonly Deno.Listener[] }) =>
  server.sockets.map(({ addr }) => (addr as Deno.NetAddr).hostname).sort();

Deno.test("startServer() listens on a host, a list of hosts, or every interface", async () => {
  const cases: [string | string[] | null | undefined, string[], string[]][] = [
    ["127.0.0.1", ["127.0.0.1"], ["127.0.0.1"]],
    ["::1", ["::1"], ["::1"]],
    ["[::1]", ["::1"], ["::1"]],
    [["127.0.0.1", "::1", "127.0.0.1"], ["127.0.0.1", "::1"], ["127.0.0.1"]],
    [null, ["::"], ["127.0.0.1", "::1"]],
    ["", ["::"], ["127.0.0.1", "::1"]],
    [undefined, ["::"], ["127.0.0.1", "::1"]],
  ];
  for (const [host, addresses, reachable] of cases) {
    await using server = await startServer(echo, host, 0);
    assertEquals(addressesOf(server), addresses);
    assert(portOf(server) > 0);
    for (const peer of reachable) assertEquals(await talk(peer, portOf(server)), "hello\n");
  }
});

Deno.test("on every interface, IPv4 peers have IPv4 addresses", async () => {
  const names: (keyof ExtraInfo)[] = ["peername", "sockname"];
  for (const [host, server] of [["127.0.0.1", null], ["::1", null], ["127.0.0.1", "::"]] as const) {
    const accepted = Promise.withResolvers<unknown[]>();
    await using listening = await startServer(
      (_reader, writer) => {
        accepted.resolve(names.map((name) => writer.getExtraInfo(name)));
        writer.close();
      },
      server,
      0,
    );
    const [, writer] = await openConnection(host, portOf(listening));
    await using _ = writer;
    const [peername, sockname] = await soon(accepted.promise) as Deno.NetAddr[];
    assertEquals([peername!.hostname, sockname!.hostname], [host, host]);
    assertEquals({ ...peername! }, { ...writer.getExtraInfo("sockname")! } as Deno.NetAddr);
  }
});

Deno.test("an address that another of the list includes is refused with a reason", async () => {
  await assertRejects(
    () => startServer(echo, ["0.0.0.0", "::"], freePort()),
    Deno.errors.AddrInUse,
    ":: includes IPv4",
  );
});

Deno.test("startServer() takes a name, and minds the family", async () => {
  await using byName = await startServer(echo, "localhost", 0);
  for (const { addr } of byName.sockets) {
    const { hostname, port } = addr as Deno.NetAddr;
    assertEquals(await talk(hostname, port), "hello\n");
  }
  await using four = await startServer(echo, "localhost", 0, { family: 4 });
  assertEquals(addressesOf(four), ["127.0.0.1"]);
  await using everyFour = await startServer(echo, null, 0, { family: 4 });
  assertEquals(addressesOf(everyFour), ["0.0.0.0"]);
  await using everySix = await startServer(echo, null, 0, { family: 6 });
  assertEquals(addressesOf(everySix), ["::"]);
  await assertRejects(() => startServer(echo, "127.0.0.1", 0, { family: 6 }), Error, "not an IPv6");
});

// It is known before any test, for a test's permissions name it.
const free = freePort();

Deno.test({
  name:
    "to listen on a name, no more than the permission for it, its address and the port is needed",
  permissions: { net: [`localhost:${free}`, `127.0.0.1:${free}`, `[::1]:${free}`] },
  async fn() {
    await using server = await startServer(echo, "localhost", free);
    assertEquals(portOf(server), free);
  },
});

Deno.test("startServer() listens once on an address that two hosts have in common", async () => {
  using free = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = free.addr;
  free.close();
  await using server = await startServer(echo, ["localhost", "127.0.0.1"], port, { family: 4 });
  assertEquals(addressesOf(server), ["127.0.0.1"]);
});

Deno.test("startServer() takes every option that Deno can do", async () => {
  const options: StartServerOptions = {
    backlog: 5,
    keepAlive: true,
    reuseAddress: true,
    reusePort: false,
    limit: 100,
    signal: new AbortController().signal,
    maxConnections: 10,
  };
  await using server = await serve(echo, options);
  assertEquals(await talk("127.0.0.1", portOf(server)), "hello\n");
});

Deno.test("startServer() says what Deno can't do, before Deno is asked", async () => {
  await assertRejects(
    () => serve(echo, { reusePort: true }),
    Deno.errors.NotSupported,
    "--unstable-net",
  );
  await assertRejects(() => serve(echo, { reuseAddress: false }), Deno.errors.NotSupported);
});

Deno.test("startServer() takes a listener that is open already, and closes it", async () => {
  const sock = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = sock.addr;
  {
    await using server = await startServer(echo, { sock, limit: 100, keepAlive: true });
    assertStrictEquals(server.sockets[0] as unknown, sock);
    assertEquals(await talk("127.0.0.1", port), "hello\n");
  }
  await assertRejects(() => openConnection("127.0.0.1", port), Deno.errors.ConnectionRefused);
});

Deno.test("startServer() with startServing false keeps peers waiting until startServing()", async () => {
  let handled = 0;
  await using server = await serve(async (reader, writer) => {
    handled++;
    await echo(reader, writer);
  }, { startServing: false });
  assert(!server.isServing());
  const [reader, writer] = await connect(server);
  await using _ = writer;
  writer.write("hello\n");
  await writer.drain();
  await turns(5);
  assertEquals(handled, 0);
  await server.startServing();
  assertEquals(text(await soon(reader.readLine())), "hello\n");
});

Deno.test("startServer() with maxConnections keeps further peers waiting", async () => {
  await using server = await serve(echo, { maxConnections: 2 });
  const first = await Promise.all([connect(server), connect(server)]);
  for (const [reader, writer] of first) {
    writer.write("in\n");
    assertEquals(text(await soon(reader.readLine())), "in\n");
  }
  const [reader, writer] = await connect(server);
  writer.write("waiting\n");
  const line = reader.readLine();
  await turns(5);
  assertEquals(server.connections, 2);
  first[0]![1].close();
  assertEquals(text(await soon(line)), "waiting\n");
  assertEquals(server.connections, 2);
  for (const one of [first[0]![1], first[1]![1], writer]) await one[Symbol.asyncDispose]();
});

Deno.test("startServer() refuses bad input at the call", async () => {
  const options = (one: unknown) => [echo, "127.0.0.1", 0, one];
  const wrong: [unknown[], typeof TypeError | typeof RangeError][] = [
    [[], TypeError],
    [["echo", "127.0.0.1", 0], TypeError],
    [[echo, 5], TypeError],
    [[echo, 5, 0], TypeError],
    [[echo, [], 0], RangeError],
    [[echo, ["127.0.0.1", ""], 0], RangeError],
    [[echo, ["127.0.0.1", 5], 0], TypeError],
    [[echo, "127.0.0.1", -1], RangeError],
    [[echo, "127.0.0.1", 65_536], RangeError],
    [[echo, "127.0.0.1", "80"], TypeError],
    [[echo, "127.0.0.1", null], TypeError],
    [options({ limit: -1 }), RangeError],
    [options({ family: 7 }), RangeError],
    [options({ backlog: 0 }), RangeError],
    [options({ backlog: "9" }), TypeError],
    [options({ backlog: NaN }), TypeError],
    [options({ backlog: 1.5 }), TypeError],
    [options({ backlog: Infinity }), TypeError],
    [options({ backlog: 2 ** 40 }), RangeError],
    [options({ keepAlive: 1 }), TypeError],
    [options({ startServing: "no" }), TypeError],
    [options({ maxConnections: 0 }), RangeError],
    [options({ maxConnections: "9" }), TypeError],
    [options({ maxConnections: 1.5 }), TypeError],
    [options({ reusePort: "yes" }), TypeError],
    [options({ reuseAddress: 0 }), TypeError],
    [options({ signal: "soon" }), TypeError],
    [[echo, {}], TypeError],
    [[echo, { sock: 5 }], TypeError],
  ];
  for (const [args, kind] of wrong) {
    const call = startServer as (...args: unknown[]) => Promise<unknown>;
    await assertRejects(() => call(...args), kind, "", JSON.stringify(args));
  }
});

Deno.test("startServer() says what stands where the host should", async () => {
  const call = startServer as (...args: unknown[]) => Promise<unknown>;
  await assertRejects(() => call(echo, 8888), TypeError, "host is a string, a list of them");
  const style = { hostname: "127.0.0.1", port: 8888 };
  await assertRejects(() => call(echo, style), TypeError, "the host and the port come first");
});

Deno.test("startServer() takes no limit of connections for one", async () => {
  await using server = await serve(echo, { maxConnections: Infinity });
  assertEquals(await talk("127.0.0.1", portOf(server)), "hello\n");
});

Deno.test("startServer() says which port is taken, and closes what it had opened", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr;
  await assertRejects(
    () => startServer(echo, "127.0.0.1", port),
    Deno.errors.AddrInUse,
    `cannot listen on 127.0.0.1:${port}`,
  );
  // The first host of the list could be listened on; the sanitizer says if it still is.
  await assertRejects(() => startServer(echo, ["::1", "127.0.0.1"], port), Deno.errors.AddrInUse);
  using again = Deno.listen({ hostname: "::1", port });
  assertEquals(again.addr.port, port);
});

Deno.test("startServer() says that a host is unknown, or not of this machine", async () => {
  await assertRejects(
    () => startServer(echo, "no.such.host.invalid", 0),
    Deno.errors.NotFound,
    "cannot listen on no.such.host.invalid:0",
  );
  // An address for documentation, which no machine has.
  await assertRejects(
    () => startServer(echo, "192.0.2.1", 0),
    Deno.errors.AddrNotAvailable,
    "cannot listen on 192.0.2.1:0",
  );
});

Deno.test("startServer() ends by its signal, and leaves nothing open", async () => {
  const reason = new Error("enough");
  const early = { signal: AbortSignal.abort(reason) };
  assertStrictEquals(await assertRejects(() => serve(echo, early)), reason);
  // By addresses: a look-up can be left, but not ended, and the sanitizer would see it.
  for (const host of [["127.0.0.1", "::1"], "127.0.0.1", null]) {
    const controller = new AbortController();
    const starting = startServer(echo, host, 0, { signal: controller.signal });
    controller.abort(reason);
    assertStrictEquals(await assertRejects(() => starting), reason);
  }
});

Deno.test("startServer() ended by its signal leaves a listener that it was given open", async () => {
  using sock = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const controller = new AbortController();
  const reason = new Error("enough");
  const starting = startServer(echo, { sock, signal: controller.signal });
  controller.abort(reason);
  assertStrictEquals(await assertRejects(() => starting), reason);
  using _conn = await Deno.connect({ hostname: "127.0.0.1", port: sock.addr.port });
  using _accepted = await sock.accept();
});

Deno.test("a handler that ends cancelled ends its connection, and is no failure", async () => {
  const loop = getEventLoop();
  const contexts: ExceptionContext[] = [];
  loop.setExceptionHandler((_loop, context) => contexts.push(context));
  try {
    await using server = await startServer(
      async () => {
        const task = loop.createTask((signal) => sleep(Infinity, undefined, { signal }));
        loop.callSoon(() => task.cancel());
        await task;
      },
      "127.0.0.1",
      0,
    );
    const [reader, writer] = await openConnection("127.0.0.1", portOf(server));
    await using _ = writer;
    assertEquals((await reader.read()).length, 0);
  } finally {
    loop.setExceptionHandler(null);
  }
  assertEquals(contexts, []);
});

Deno.test("a host and a sock can't both be given, to a client or a server", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const serverOptions = { sock: listener, limit: 1024 };
  for (const host of ["127.0.0.1", null, ["127.0.0.1"]]) {
    const starting = () => startServer(() => {}, host, 0, serverOptions);
    await assertRejects(starting, TypeError, "host and sock can't both be given");
  }
  using sock = await Deno.connect({ hostname: "127.0.0.1", port });
  const options = { sock, limit: 1024 };
  const opening = () => openConnection("127.0.0.1", port, options);
  await assertRejects(opening, TypeError, "host and sock can't both be given");
});
