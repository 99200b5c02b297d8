import { createSocket } from "node:dgram";
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  DatagramProtocol,
  type DatagramTransport,
  type ExceptionContext,
  getEventLoop,
} from "@asyncio/streams";

const loop = getEventLoop();
const loopback = { hostname: "127.0.0.1", port: 0 };

/** Collects what it is told, and lets a test wait for it. */
class Inbox extends DatagramProtocol {
  readonly events: string[] = [];
  readonly from: Deno.Addr[] = [];
  readonly errors: Error[] = [];
  #wanted: [count: number, resolve: () => void] | null = null;

  #add(event: string): void {
    this.events.push(event);
    if (this.#wanted !== null && this.events.length >= this.#wanted[0]) this.#wanted[1]();
  }

  /** Waits until so many things have happened. */
  async until(count: number): Promise<string[]> {
    if (this.events.length < count) {
      await new Promise<void>((resolve) => this.#wanted = [count, resolve]);
    }
    return this.events;
  }

  override datagramReceived(data: Uint8Array, addr: Deno.Addr) {
    this.from.push(addr);
    this.#add(new TextDecoder().decode(data));
  }
  override errorReceived(error: Error) {
    this.errors.push(error);
    this.#add("error");
  }
  override pauseWriting() {
    this.#add("pause");
  }
  override resumeWriting() {
    this.#add("resume");
  }
  override connectionLost(error: Error | null) {
    this.#add(`end ${error}`);
  }
}

const local = (transport: DatagramTransport) => transport.getExtraInfo("sockname") as Deno.NetAddr;

async function endpoint(options: Parameters<typeof loop.createDatagramEndpoint>[1]) {
  const [transport, inbox] = await loop.createDatagramEndpoint(() => new Inbox(), options);
  return { transport, inbox, [Symbol.dispose]: () => transport.abort() };
}

/** Runs a Python program that gets a UDP socket `s`, and tells its port in the first line. */
async function python(family: "AF_INET" | "AF_INET6", host: string, program: string) {
  const child = new Deno.Command("python3", {
    args: [
      "-c",
      `import socket\ns = socket.socket(socket.${family}, socket.SOCK_DGRAM)\n` +
      `s.settimeout(20)\ns.bind(("${host}", 0))\nprint(s.getsockname()[1], flush=True)\n${program}`,
    ],
    stdout: "piped",
  }).spawn();
  const output = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let told = "";
  while (!told.includes("\n")) told += (await output.read()).value ?? "\n";
  const [port, ...lines] = told.split("\n");
  return {
    port: Number(port),
    async rest(): Promise<string> {
      let rest = lines.join("\n");
      for (let piece; !(piece = await output.read()).done;) rest += piece.value;
      assertEquals((await child.status).code, 0);
      return rest;
    },
  };
}

for (const [family, hostname] of [["AF_INET", "127.0.0.1"], ["AF_INET6", "::1"]] as const) {
  Deno.test(`Python's socket gets datagrams whole and in order, and answers them (${family})`, async () => {
    const peer = await python(
      family,
      hostname,
      "for _ in range(200):\n    data, addr = s.recvfrom(70000)\n    s.sendto(data.upper(), addr)",
    );
    using own = await endpoint({ localAddr: { hostname } });
    const to = { transport: "udp", hostname, port: peer.port } as const;
    const data = new Uint8Array(10);
    for (let i = 0; i < 200; i++) {
      new TextEncoder().encodeInto(`datagram ${i % 10}`, data);
      own.transport.sendTo(i === 0 ? "" : i === 1 ? "é".repeat(20_000) : data, to);
      if (i % 20 === 19) await own.inbox.until(i + 1); // The system's buffers are small.
    }
    const events = await own.inbox.until(200);
    const expected = Array.from({ length: 200 }, (_, i) => `DATAGRAM ${i % 10}`);
    assertEquals(events.slice(2), expected.slice(2));
    assertEquals(events[0], "");
    assertEquals(events[1]!.length, 20_000);
    assertEquals({ ...own.inbox.from[0] }, to);
    assertEquals(await peer.rest(), "");
  });
}

Deno.test("an endpoint with a remote address hears nobody else, and writes to nobody else", async () => {
  const peer = await python("AF_INET", "127.0.0.1", "s.sendto(b'answer', s.recvfrom(100)[1])");
  using own = await endpoint({ remoteAddr: { hostname: "localhost", port: peer.port }, family: 4 });
  using stranger = await endpoint({ localAddr: loopback });
  const { port } = local(own.transport);
  stranger.transport.sendTo("stranger", { transport: "udp", hostname: "127.0.0.1", port });
  await assertThrows(
    () => own.transport.sendTo("x", local(stranger.transport)),
    RangeError,
    "only",
  );
  own.transport.sendTo("to the peer", own.transport.getExtraInfo("peername"));
  assertEquals(await own.inbox.until(1), ["answer"]);
  await peer.rest();
});

Deno.test("a peer's answers are heard, however its address was written", async () => {
  const peer = await python(
    "AF_INET",
    "127.0.0.1",
    "for _ in range(5): s.sendto(b'answer', s.recvfrom(100)[1])",
  );
  const written = {
    "127.0.0.1": "127.0.0.1",
    "0.0.0.0": "127.0.0.1",
    "::ffff:127.0.0.1": "::ffff:127.0.0.1",
    "0::FFFF:7f00:1": "::ffff:127.0.0.1",
    "::ffff:0.0.0.0": "::ffff:127.0.0.1",
  };
  for (const [hostname, known] of Object.entries(written)) {
    using own = await endpoint({ remoteAddr: { hostname, port: peer.port } });
    const { transport, inbox } = own;
    // As CPython's getpeername() has it.
    assertEquals((transport.getExtraInfo("peername") as Deno.NetAddr).hostname, known);
    transport.sendTo("question");
    assertEquals(await inbox.until(1), ["answer"]);
  }
  await peer.rest();
  using own = await endpoint({ remoteAddr: { hostname: "::", port: 9 } });
  assertEquals((own.transport.getExtraInfo("peername") as Deno.NetAddr).hostname, "::1");
});

Deno.test("a broadcast needs allowBroadcast", async () => {
  const peer = await python("AF_INET", "", "print(s.recv(100))");
  const everybody = { transport: "udp", hostname: "127.255.255.255", port: peer.port } as const;
  using refused = await endpoint({ localAddr: loopback });
  refused.transport.sendTo("x", everybody);
  assertEquals(await refused.inbox.until(1), ["error"]);
  assert(refused.inbox.errors[0]!.message.includes("to 127.255.255.255:"));
  using allowed = await endpoint({ localAddr: loopback, allowBroadcast: true });
  allowed.transport.sendTo("everybody", everybody);
  assertEquals(await peer.rest(), "b'everybody'\n");
});

Deno.test("one datagram that can't be sent does not hold up the next", async () => {
  using a = await endpoint({ localAddr: loopback });
  using b = await endpoint({ localAddr: loopback });
  a.transport.sendTo(new Uint8Array(70_000), local(b.transport));
  a.transport.sendTo("small", local(b.transport));
  assertEquals(await b.inbox.until(1), ["small"]);
  const [error] = a.inbox.errors;
  assert(error instanceof Error && error.message.includes("70000 bytes"), String(error));
});

Deno.test("the water marks hold between sends; close() sends what waits", async () => {
  using b = await endpoint({ localAddr: loopback });
  using a = await endpoint({ localAddr: loopback });
  a.transport.setWriteBufferLimits({ high: 1_000, low: 100 });
  assertEquals(a.transport.getWriteBufferLimits(), { high: 1_000, low: 100 });
  for (let i = 0; i < 10; i++) a.transport.sendTo(new Uint8Array(200), local(b.transport));
  assertEquals(a.transport.getWriteBufferSize(), 10 * 208);
  assertEquals(a.inbox.events, ["pause"]);
  a.transport.close();
  assert(a.transport.isClosing());
  assertThrows(() => a.transport.sendTo("late", local(b.transport)), Error, "after close()");
  assertEquals(await a.inbox.until(3), ["pause", "resume", "end null"]);
  assertEquals((await b.inbox.until(10)).length, 10);
  assertEquals(a.transport.getWriteBufferSize(), 0);
  assertThrows(() => b.transport.setWriteBufferLimits({ high: 1, low: 2 }), RangeError);
});

Deno.test("abort() drops what waits, and what is sent later", async () => {
  using a = await endpoint({ localAddr: loopback });
  using b = await endpoint({ localAddr: loopback });
  for (let i = 0; i < 10; i++) a.transport.sendTo(`${i}`, local(b.transport));
  a.transport.abort();
  a.transport.sendTo("late", local(b.transport));
  a.transport.close();
  assertEquals(await a.inbox.until(1), ["end null"]);
  using c = await endpoint({ localAddr: loopback });
  c.transport.sendTo("last", local(b.transport));
  assert((await b.inbox.until(1)).length <= 2); // The first was on its way.
});

Deno.test("the data given and the data told are copies", async () => {
  using a = await endpoint({ localAddr: loopback });
  const kept: Uint8Array[] = [];
  const received = Promise.withResolvers<void>();
  class Keep extends DatagramProtocol {
    override datagramReceived(data: Uint8Array) {
      if (kept.push(data) === 2) received.resolve();
    }
  }
  const [b] = await loop.createDatagramEndpoint(() => new Keep(), { localAddr: loopback });
  const data = new TextEncoder().encode("aaaa");
  a.transport.sendTo(data, local(b));
  data.fill(98);
  a.transport.sendTo(data, local(b));
  await received.promise;
  b.abort();
  assertEquals(kept.map((bytes) => new TextDecoder().decode(bytes)), ["aaaa", "bbbb"]);
  assert(kept.every((bytes) => bytes.constructor === Uint8Array && bytes.buffer.byteLength === 4));
});

Deno.test("a socket of node:dgram can be used, and is closed with the transport", async () => {
  const sock = createSocket("udp4");
  await assertRejects(() => endpoint({ sock }), TypeError, "not bound");
  await new Promise<void>((done) => sock.bind(0, "127.0.0.1", done));
  const closed = new Promise<void>((done) => sock.once("close", done));
  {
    using own = await endpoint({ sock });
    assert(own.transport.getExtraInfo("socket") === sock);
    own.transport.sendTo("to myself", local(own.transport));
    assertEquals(await own.inbox.until(1), ["to myself"]);
  }
  await closed;
});

Deno.test("a socket of node:dgram is one endpoint's", async () => {
  const sock = createSocket("udp4");
  await new Promise<void>((done) => sock.bind(0, "127.0.0.1", done));
  using own = await endpoint({ sock });
  await assertRejects(() => endpoint({ sock }), Error, "used by a transport already");
  own.transport.sendTo("once", local(own.transport));
  assertEquals(await own.inbox.until(1), ["once"]);
});

Deno.test("a socket of node:dgram that its maker changes tells errorReceived(), and can be closed", async () => {
  const sock = createSocket("udp4");
  await new Promise<void>((done) => sock.bind(0, "127.0.0.1", done));
  await new Promise<void>((done) => sock.connect(9, "127.0.0.1", done));
  using own = await endpoint({ sock });
  own.transport.sendTo("first");
  own.transport.sendTo("second");
  sock.disconnect();
  await own.inbox.until(1);
  assertEquals(own.inbox.events, ["error"]);
  own.transport.close();
  assertEquals(await own.inbox.until(2), ["error", "end null"]);
});

Deno.test("errors that no errorReceived takes, and those of callbacks, are told to the loop", async () => {
  const contexts: ExceptionContext[] = [];
  const told = Promise.withResolvers<void>();
  loop.setExceptionHandler((_loop, context) => {
    if (contexts.push(context) === 3) told.resolve();
  });
  class Failing extends DatagramProtocol {
    #datagrams = 0;
    override datagramReceived(): void {
      if (++this.#datagrams === 1) throw new Error("datagramReceived failed");
      return Promise.reject(new Error("and so did the next one")) as unknown as void;
    }
  }
  const [transport] = await loop.createDatagramEndpoint(() => new Failing(), {
    localAddr: loopback,
  });
  transport.sendTo(new Uint8Array(70_000), local(transport));
  transport.sendTo("x", local(transport));
  transport.sendTo("y", local(transport));
  await told.promise;
  loop.setExceptionHandler(null);
  transport.close();
  assert(contexts[0]!.message.includes("errorReceived"));
  assertEquals((contexts[1]!.exception as Error).message, "datagramReceived failed");
  assertEquals((contexts[2]!.exception as Error).message, "and so did the next one");
  assert(contexts.every((context) => context.transport === transport));
});

Deno.test("a port that is taken, and a name that is unknown", async () => {
  using own = await endpoint({ localAddr: loopback });
  await assertRejects(() => endpoint({ localAddr: local(own.transport) }), Deno.errors.AddrInUse);
  await assertRejects(
    () => endpoint({ remoteAddr: { hostname: "no-such-host.invalid", port: 1 } }),
    Deno.errors.NotFound,
    "cannot look up no-such-host.invalid: ",
  );
});

Deno.test("bad arguments are refused before anything is opened", async () => {
  const bad = (options: unknown) => () => endpoint(options as Parameters<typeof endpoint>[0]);
  await assertRejects(bad({}), RangeError, "needs a localAddr");
  await assertRejects(bad({ localAddr: { hostname: 1 } }), TypeError);
  await assertRejects(bad({ localAddr: null }), TypeError, "localAddr is an object with a");
  await assertRejects(bad({ remoteAddr: 5, family: 4 }), TypeError, "remoteAddr is an object with");
  await assertRejects(bad({ localAddr: { hostname: "127.0.0.1", port: 65_536 } }), RangeError);
  await assertRejects(bad({ remoteAddr: { hostname: "127.0.0.1", port: 0 } }), RangeError);
  await assertRejects(bad({ remoteAddr: { hostname: "127.0.0.1" } }), RangeError);
  await assertRejects(bad({ family: 5 }), RangeError);
  await assertRejects(bad({ localAddr: loopback, reusePort: true }), Deno.errors.NotSupported);
  await assertRejects(
    bad({ localAddr: "/tmp/socket" }),
    Deno.errors.NotSupported,
    "Unix datagrams",
  );
  await assertRejects(bad({ localAddr: { path: "/tmp/x" } }), Deno.errors.NotSupported);
  await assertRejects(
    bad({ localAddr: loopback, remoteAddr: { hostname: "::1", port: 1 } }),
    RangeError,
    "no address family in common",
  );
  await assertRejects(bad({ family: 4, signal: AbortSignal.abort(new Error("no")) }), Error, "no");
  using own = await endpoint({ family: 4 });
  assertThrows(() => own.transport.sendTo("x"), TypeError, "needs an address");
  const nowhere = { transport: "udp", hostname: "127.0.0.1", port: 0 } as const;
  assertThrows(() => own.transport.sendTo("x", nowhere), RangeError);
  assertThrows(() => own.transport.sendTo(5 as unknown as string, nowhere), TypeError);
  assertThrows(() => own.transport.sendTo("x", { transport: "unix", path: "/x" }), TypeError);
});

Deno.test("a socket that is given is as it was made: no other option goes with it", async () => {
  const sock = createSocket("udp4");
  await new Promise<void>((done) => sock.bind(0, "127.0.0.1", done));
  const others = [
    { localAddr: loopback },
    { remoteAddr: { hostname: "127.0.0.1", port: 1 } },
    { family: 4 },
    { allowBroadcast: true },
    { reusePort: true },
  ] as const;
  for (const other of others) {
    await assertRejects(() => endpoint({ sock, ...other }), TypeError, "and sock can't both be");
  }
  using _own = await endpoint({ sock, family: 0, allowBroadcast: false, reusePort: false });
});

Deno.test("what is no protocol is refused, and the socket closed", async () => {
  for (const wrong of [undefined, null, 5, Promise.reject(new Error("async"))]) {
    await assertRejects(
      () => loop.createDatagramEndpoint(() => wrong as never, { localAddr: loopback }),
      TypeError,
      "protocolFactory returns a protocol, not ",
    );
  }
});

Deno.test({
  name: "without permission the promise says so, and the process lives on",
  permissions: { net: false },
  async fn() {
    await assertRejects(() => endpoint({ localAddr: loopback }), Deno.errors.NotCapable);
  },
});

Deno.test("why there are no Unix datagrams: Deno has none without an unstable flag", () => {
  assertEquals((Deno as { listenDatagram?: unknown }).listenDatagram, undefined);
});
