import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { openConnection, type OpenConnectionOptions, startServer } from "@asyncio/streams";
import { bytes, text } from "../support.ts";
import { connect, portOf, serve, soon } from "./support.ts";

const greet = async (_reader: unknown, writer: { write(data: string): void } & AsyncDisposable) => {
  await using _ = writer;
  writer.write("hello\n");
};

Deno.test("openConnection() takes a name, IPv4, IPv6, and IPv6 in brackets", async () => {
  await using server = await startServer(greet, null, 0);
  for (const host of ["localhost", "127.0.0.1", "::1", "[::1]"]) {
    const [reader, writer] = await openConnection(host, portOf(server));
    await using _ = writer;
    assertEquals(text(await soon(reader.read())), "hello\n");
  }
});

Deno.test("openConnection() minds the family", async () => {
  await using server = await startServer(greet, null, 0);
  for (const family of [0, 4, 6] as const) {
    // Not every machine has a localhost over IPv6.
    const host = family === 6 ? "::1" : "localhost";
    const [reader, writer] = await openConnection(host, portOf(server), { family });
    await using _ = writer;
    const { hostname } = writer.getExtraInfo("peername") as Deno.NetAddr;
    if (family !== 0) assertEquals(hostname.includes(":"), family === 6);
    await soon(reader.read());
  }
  await assertRejects(
    () => openConnection("127.0.0.1", portOf(server), { family: 6 }),
    Error,
    "127.0.0.1 is not an IPv6 address",
  );
});

Deno.test("openConnection() takes a limit and the other options", async () => {
  await using server = await serve(greet);
  const options = { limit: 3, happyEyeballsDelay: 100, signal: new AbortController().signal };
  const [reader, writer] = await openConnection("127.0.0.1", portOf(server), options);
  await using _ = writer;
  await assertRejects(() => soon(reader.readLine()), RangeError, "limit of 3");
});

Deno.test("openConnection() takes a connection that is open already", async () => {
  await using server = await serve(greet);
  const sock = await Deno.connect({ hostname: "127.0.0.1", port: portOf(server) });
  const [reader, writer] = await openConnection({ sock, limit: 100 });
  await using _ = writer;
  assertEquals(text(await soon(reader.read())), "hello\n");
  assertStrictEquals(writer.getExtraInfo("socket"), sock);
});

Deno.test("openConnection() leaves a connection it was given alone when an option is wrong", async () => {
  await using server = await serve(greet);
  using sock = await Deno.connect({ hostname: "127.0.0.1", port: portOf(server) });
  await assertRejects(() => openConnection({ sock, limit: 0 }), RangeError);
  const signal = AbortSignal.abort(new Error("enough"));
  await assertRejects(() => openConnection({ sock, signal }), Error, "enough");
  const buffer = new Uint8Array(10);
  const n = await sock.read(buffer);
  assertEquals(text(buffer.subarray(0, n!)), "hello\n");
});

Deno.test("openConnection() tells who refused, with Deno's kind of error", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  await assertRejects(
    () => openConnection("127.0.0.1", port),
    Deno.errors.ConnectionRefused,
    `cannot connect to 127.0.0.1:${port}`,
  );
  await assertRejects(
    () => openConnection("localhost", port, { family: 4 }),
    Deno.errors.ConnectionRefused,
    `cannot connect to localhost:${port}`,
  );
  await assertRejects(
    () => openConnection("::1", port),
    Deno.errors.ConnectionRefused,
    `cannot connect to [::1]:${port}`,
  );
});

Deno.test("openConnection() says that a host is unknown", async () => {
  // The top-level domain that never exists.
  for (const family of [0, 4] as const) {
    await assertRejects(
      () => openConnection("no.such.host.invalid", 7, { family }),
      Deno.errors.NotFound,
      "cannot connect to no.such.host.invalid:7",
    );
  }
});

Deno.test("openConnection() refuses bad input at the call", async () => {
  const wrong: [unknown[], typeof TypeError | typeof RangeError][] = [
    [[], TypeError],
    [[null, 80], TypeError],
    [[5, 80], TypeError],
    [["", 80], RangeError],
    [["a\0b", 80], RangeError],
    [["http://localhost/", 80], RangeError],
    [["localhost:80", 80], RangeError],
    [["me@localhost", 80], RangeError],
    [["two words", 80], RangeError],
    [["127.0.0.1"], TypeError],
    [["127.0.0.1", "80"], TypeError],
    [["127.0.0.1", 1.5], TypeError],
    [["127.0.0.1", 0], RangeError],
    [["127.0.0.1", -1], RangeError],
    [["127.0.0.1", 65_536], RangeError],
    [["127.0.0.1", 80, { limit: 0 }], RangeError],
    [["127.0.0.1", 80, { limit: NaN }], RangeError],
    [["127.0.0.1", 80, { limit: "9" }], TypeError],
    [["127.0.0.1", 80, { family: 5 }], RangeError],
    [["127.0.0.1", 80, { signal: {} }], TypeError],
    [["127.0.0.1", 80, { localAddr: {} }], TypeError],
    [["127.0.0.1", 80, { localAddr: { hostname: "127.0.0.1", port: -1 } }], RangeError],
    [["127.0.0.1", 80, { happyEyeballsDelay: -1 }], RangeError],
    [["127.0.0.1", 80, { happyEyeballsDelay: "soon" }], TypeError],
    [[{}], TypeError],
    [[{ sock: 5 }], TypeError],
    [[{ sock: null }], TypeError],
  ];
  for (const [args, kind] of wrong) {
    const call = openConnection as (...args: unknown[]) => Promise<unknown>;
    await assertRejects(() => call(...args), kind, "", JSON.stringify(args));
  }
});

Deno.test("openConnection() says what stands where the host should", async () => {
  const call = openConnection as (...args: unknown[]) => Promise<unknown>;
  const style = { hostname: "127.0.0.1", port: 80 };
  await assertRejects(() => call(style), TypeError, "the host and the port come first");
  await assertRejects(() => call("http://x/", 80), RangeError, 'got "http://x/"');
});

Deno.test("openConnection() ends by its signal, and leaves nothing open", async () => {
  const reason = new Error("enough");
  const aborted = AbortSignal.abort(reason);
  // By its address: a look-up can be left, but not ended, and the sanitizer would see it.
  const open = (options: OpenConnectionOptions) => openConnection("127.0.0.1", 9, options);
  assertStrictEquals(await assertRejects(() => open({ signal: aborted })), reason);
  for (const family of [0, 4] as const) {
    const controller = new AbortController();
    const opening = open({ signal: controller.signal, family });
    controller.abort(reason);
    assertStrictEquals(await assertRejects(() => opening), reason);
  }
});

Deno.test("openConnection() closes a connection that came too late for its signal", async () => {
  await using server = await serve(greet);
  const realConnect = Deno.connect;
  const controller = new AbortController();
  try {
    // Aborted between the connection's coming and the caller's hearing of it.
    Deno.connect = (async (options: Deno.ConnectOptions) => {
      const conn = await realConnect(options);
      controller.abort(new Error("too late"));
      return conn;
    }) as typeof Deno.connect;
    const { signal } = controller;
    await assertRejects(
      () => openConnection("127.0.0.1", portOf(server), { signal }),
      Error,
      "too late",
    );
  } finally {
    Deno.connect = realConnect;
  }
});

Deno.test("openConnection() has a signal no more once it is settled", async () => {
  await using server = await serve(greet);
  const controller = new AbortController();
  const { signal } = controller;
  const [reader, writer] = await openConnection("127.0.0.1", portOf(server), { signal });
  await using _ = writer;
  controller.abort();
  assertEquals(text(await soon(reader.read())), "hello\n");
});

Deno.test("getExtraInfo() tells both addresses", async () => {
  const seen = Promise.withResolvers<unknown[]>();
  await using server = await serve((_reader, writer) => {
    seen.resolve([writer.getExtraInfo("sockname"), writer.getExtraInfo("peername")]);
    writer.close();
  });
  const [, writer] = await connect(server);
  await using _ = writer;
  const [sockname, peername] = await soon(seen.promise);
  assertEquals(writer.getExtraInfo("peername"), sockname as Deno.Addr);
  assertEquals(writer.getExtraInfo("sockname"), peername as Deno.Addr);
  assertEquals((sockname as Deno.NetAddr).port, portOf(server));
  const socket = writer.getExtraInfo("socket") as Deno.TcpConn;
  assertEquals(typeof socket.setNoDelay, "function");
  assertStrictEquals(writer.getExtraInfo("sslcontext"), null);
});

Deno.test("readable and writable pipe an echo", async () => {
  await using server = await serve(async (reader, writer) => {
    await reader.readable.pipeTo(writer.writable);
  });
  const [reader, writer] = await connect(server);
  await using _ = writer;
  const data = new Uint8Array(1_000_000).fill(120);
  writer.write(data);
  writer.writeEof();
  assert(writer.canWriteEof());
  const echoed = await soon(new Response(reader.readable).arrayBuffer());
  assertEquals(echoed.byteLength, data.length);
  assertEquals(new Uint8Array(echoed)[999_999], 120);
});

Deno.test("setWriteBufferLimits() counts over real sockets", async () => {
  await using server = await serve(async (reader, writer) => {
    await using _ = writer;
    await reader.read();
  });
  const [, writer] = await connect(server);
  await using _ = writer;
  writer.transport.setWriteBufferLimits({ high: 0 });
  for (let i = 0; i < 50; i++) {
    writer.write(bytes("x".repeat(10_000)));
    await soon(writer.drain());
    assertEquals(writer.transport.getWriteBufferSize(), 0);
  }
});
