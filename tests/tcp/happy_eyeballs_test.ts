import { assertEquals, assertInstanceOf, assertRejects, assertStringIncludes } from "@std/assert";
import { openConnection } from "@asyncio/streams";
import { freePort } from "../support.ts";

Deno.test("a name's failure lists every address that was tried, and why", async () => {
  const port = freePort();
  const error = await assertRejects(
    () => openConnection("localhost", port),
    Deno.errors.ConnectionRefused,
    `cannot connect to localhost:${port}: `,
  );
  assertStringIncludes(error.message, `127.0.0.1:${port}: Connection refused`);
  assertInstanceOf(error.cause, AggregateError);
  for (const one of error.cause.errors) assertInstanceOf(one, Deno.errors.ConnectionRefused);
});

Deno.test("a numeric host's failure says it once", async () => {
  const port = freePort();
  const error = await assertRejects(
    () => openConnection("127.0.0.1", port),
    Deno.errors.ConnectionRefused,
  );
  assertEquals(error.message.split(String(port)).length, 2, error.message);
});

Deno.test("an unknown name is NotFound", async () => {
  await assertRejects(
    () => openConnection("no-such-host.invalid", 9),
    Deno.errors.NotFound,
    "no-such-host.invalid:9",
  );
});

Deno.test("a numeric host of the other family is NotFound", async () => {
  await assertRejects(
    () => openConnection("127.0.0.1", 9, { family: 6 }),
    Deno.errors.NotFound,
    "127.0.0.1 is not an IPv6 address",
  );
});

Deno.test("family chooses among a name's addresses", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const [, writer] = await openConnection("localhost", listener.addr.port, { family: 4 });
  assertEquals((writer.getExtraInfo("peername") as Deno.NetAddr).hostname, "127.0.0.1");
  (await listener.accept()).close();
  writer.close();
  await writer.waitClosed();
});

Deno.test("happyEyeballsDelay and interleave are checked at the call", async () => {
  await assertRejects(
    () => openConnection("127.0.0.1", 9, { happyEyeballsDelay: -1 }),
    RangeError,
    "happyEyeballsDelay",
  );
  await assertRejects(
    () => openConnection("127.0.0.1", 9, { interleave: -1 }),
    RangeError,
    "interleave",
  );
});

// Opened before any test, for a test's permissions name its port.
const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
const { port } = listener.addr;

for (const host of ["127.0.0.1", "localhost"]) {
  for (const allowed of [host, `${host}:${port}`]) {
    Deno.test({
      name: `to connect to ${host}, no more than --allow-net=${
        allowed.replace(/:.*/, ":port")
      } is needed`,
      permissions: { net: [allowed] },
      async fn() {
        const [, writer] = await openConnection(host, port);
        (await listener.accept()).close();
        writer.close();
        await writer.waitClosed();
      },
    });
  }
}

Deno.test({
  name: "a name and its address, each with the port, are enough where its family is asked for",
  permissions: { net: [`localhost:${port}`, `127.0.0.1:${port}`] },
  async fn() {
    const [, writer] = await openConnection("localhost", port, { family: 4 });
    (await listener.accept()).close();
    writer.close();
    await writer.waitClosed();
  },
});

Deno.test({
  name: "an address that may not be reached is NotCapable where its family is asked for",
  permissions: { net: [`localhost:${port}`] },
  async fn() {
    await assertRejects(
      () => openConnection("localhost", port, { family: 4 }),
      Deno.errors.NotCapable,
      `"127.0.0.1:${port}"`,
    );
  },
});

Deno.test({
  name: "a name that may not be looked up is NotCapable where its family is asked for",
  permissions: { net: [`127.0.0.1:${port}`] },
  async fn() {
    await assertRejects(
      () => openConnection("localhost", port, { family: 4 }),
      Deno.errors.NotCapable,
      `"localhost:${port}"`,
    );
  },
});
