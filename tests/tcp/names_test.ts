import { assert, assertEquals, assertRejects } from "@std/assert";
import { getEventLoop } from "@asyncio/streams";

const loop = getEventLoop();

Deno.test("getaddrinfo() of an address is the address itself", async () => {
  const infos = await loop.getaddrinfo("127.0.0.1", 80);
  assertEquals(infos.map(({ family, type }) => [family, type]), [[4, "stream"], [4, "datagram"]]);
  assertEquals(infos.map(({ addr }) => addr.transport), ["tcp", "udp"]);
  const [info] = await loop.getaddrinfo("::1", null, { type: "datagram", family: 6 });
  assertEquals(info, {
    family: 6,
    type: "datagram",
    addr: { transport: "udp", hostname: "::1", port: 0 },
  });
});

Deno.test("getaddrinfo(null) is this machine", async () => {
  const infos = await loop.getaddrinfo(null, 80, { type: "stream" });
  assertEquals(infos.map(({ addr }) => addr.hostname), ["::1", "127.0.0.1"]);
  const [only] = await loop.getaddrinfo(null, 80, { family: 4 });
  assertEquals(only?.addr.hostname, "127.0.0.1");
});

Deno.test("getaddrinfo() asks the system's resolver", async () => {
  const infos = await loop.getaddrinfo("localhost", 80, { type: "stream" });
  assert(infos.some(({ addr }) => addr.hostname === "127.0.0.1"));
  await assertRejects(
    () => loop.getaddrinfo("no-such-host.invalid", 80),
    Deno.errors.NotFound,
    "cannot look up no-such-host.invalid",
  );
  await assertRejects(
    () => loop.getaddrinfo("127.0.0.1", 80, { family: 6 }),
    Deno.errors.NotFound,
    "not an IPv6 address",
  );
});

Deno.test("getaddrinfo() and getnameinfo() check their arguments", async () => {
  const addr: Deno.NetAddr = { transport: "tcp", hostname: "localhost", port: 80 };
  const signal = AbortSignal.abort(new Error("enough"));
  await assertRejects(() => loop.getaddrinfo("", 80), RangeError, "host");
  await assertRejects(() => loop.getaddrinfo("a", -1), RangeError, "port");
  await assertRejects(() => loop.getaddrinfo("a", 1, { family: 5 as 4 }), RangeError, "family");
  await assertRejects(() => loop.getaddrinfo("a", 1, { type: "x" as "stream" }), RangeError);
  await assertRejects(() => loop.getaddrinfo("127.0.0.1", 1, { signal }), Error, "enough");
  await assertRejects(() => loop.getnameinfo(addr), RangeError, "numeric");
  await assertRejects(() => loop.getnameinfo(null as never), TypeError, "addr.hostname");
});

Deno.test("getnameinfo() asks the system's resolver", async () => {
  const addr: Deno.NetAddr = { transport: "tcp", hostname: "127.0.0.1", port: 80 };
  const [host, service] = await loop.getnameinfo(addr);
  assertEquals([typeof host, service], ["string", "http"]);
});

Deno.test("getnameinfo() of an address without a name is the address", async () => {
  const addr: Deno.NetAddr = { transport: "tcp", hostname: "192.0.2.77", port: 54_321 };
  assertEquals(await loop.getnameinfo(addr), ["192.0.2.77", "54321"]);
});

// A look-up that the system has begun can't be called back, so it may outlive the test.
Deno.test("a wait for a name can be abandoned", { sanitizeOps: false }, async () => {
  const controller = new AbortController();
  const looking = loop.getaddrinfo("localhost", 80, { signal: controller.signal });
  controller.abort(new Error("enough"));
  await assertRejects(() => looking, Error, "enough");
});

Deno.test({
  name: "a name may be looked up with the permission for it and the port",
  permissions: { net: ["localhost:80"] },
  async fn() {
    assert((await loop.getaddrinfo("localhost", 80)).length > 0);
    for (const port of [81, null]) {
      await assertRejects(() => loop.getaddrinfo("localhost", port), Deno.errors.NotCapable);
    }
  },
});

Deno.test({
  name: "a name may be looked up only with the permission for it",
  permissions: { net: ["127.0.0.1"] },
  async fn() {
    await assertRejects(() => loop.getaddrinfo("localhost", 80), Deno.errors.NotCapable);
    assertEquals((await loop.getaddrinfo("10.0.0.1", 80)).length, 2);
    const addr: Deno.NetAddr = { transport: "tcp", hostname: "127.0.0.2", port: 80 };
    await assertRejects(() => loop.getnameinfo(addr), Deno.errors.NotCapable, "127.0.0.2:80");
  },
});
