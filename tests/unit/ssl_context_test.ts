import {
  createDefaultContext,
  openConnection,
  openUnixConnection,
  socketPair,
  type SSLContext,
  startServer,
} from "@asyncio/streams";
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";

const cert = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
const key = "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n";

Deno.test("createDefaultContext() has safe defaults", () => {
  const context = createDefaultContext();
  assertEquals(context.checkHostname, true);
  assertEquals(context.rejectUnauthorized, true);
  assertEquals(context.minVersion, "TLSv1.2");
  assert(Object.isFrozen(context));
});

Deno.test("createDefaultContext({ rejectUnauthorized: false }) checks no name either", () => {
  assertEquals(createDefaultContext({ rejectUnauthorized: false }).checkHostname, false);
});

const bad: [what: string, context: unknown, error: typeof TypeError | typeof RangeError][] = [
  ["a number", 7, TypeError],
  ["an unknown option", { checkHostName: false }, TypeError],
  ["a flag that is none", { checkHostname: "no" }, TypeError],
  ["a flag that is a number", { suppressRaggedEofs: 1 }, TypeError],
  ["an unknown version", { minVersion: "TLSv1.1" }, RangeError],
  ["versions the wrong way round", { minVersion: "TLSv1.3", maxVersion: "TLSv1.2" }, RangeError],
  ["caCerts that is no list", { caCerts: cert }, TypeError],
  ["caCerts without any", { caCerts: [] }, RangeError],
  ["caCerts that is a path", { caCerts: ["ca.pem"] }, RangeError],
  ["a cert without a key", { cert }, RangeError],
  ["a key without a cert", { key }, RangeError],
  ["a cert in bytes", { cert: new Uint8Array(3), key }, TypeError],
  ["a key in place of a cert", { cert: key, key }, RangeError],
  ["an encrypted key", { cert, key: "-----BEGIN ENCRYPTED PRIVATE KEY-----\n" }, RangeError],
  ["an ALPN protocol without a name", { alpnProtocols: [""] }, RangeError],
  ["an overlong ALPN protocol", { alpnProtocols: ["x".repeat(256)] }, RangeError],
  ["an ALPN protocol that is no string", { alpnProtocols: [2] }, TypeError],
  ["sni that is no object", { sni: "localhost" }, TypeError],
  ["sni without a certificate", { sni: { localhost: {} } }, RangeError],
  ["sni with a mere path", { sni: { localhost: "cert.pem" } }, TypeError],
];

for (const [what, context, error] of bad) {
  Deno.test(`a context with ${what} is refused`, async () => {
    const ssl = context as SSLContext;
    assertThrows(() => createDefaultContext(ssl), error);
    await assertRejects(() => openConnection("127.0.0.1", 1, { ssl }), error);
    await assertRejects(() => startServer(() => {}, "127.0.0.1", 0, { ssl }), error);
  });
}

Deno.test("texts and files can't both be given", () => {
  assertThrows(() => createDefaultContext({ cert, key, certFile: "cert.pem" }), RangeError);
  assertThrows(() => createDefaultContext({ cert, key, keyFile: "key.pem" }), RangeError);
  assertThrows(() => createDefaultContext({ caFile: 7 as unknown as string }), TypeError);
});

Deno.test("certificates that can't be read are refused before anything is opened", async () => {
  const ssl = { cert, key };
  await assertRejects(() => openConnection("127.0.0.1", 1, { ssl }), RangeError, "can't be read");
  await assertRejects(
    () => startServer(() => {}, "127.0.0.1", 0, { ssl }),
    RangeError,
    "can't be read",
  );
});

Deno.test("TLS options that make no sense are refused", async () => {
  const connect = (options: Record<string, unknown>) => () =>
    openConnection("127.0.0.1", 1, options);
  await assertRejects(connect({ serverHostname: "localhost" }), RangeError, "needs ssl");
  await assertRejects(connect({ sslHandshakeTimeout: 1 }), RangeError, "needs ssl");
  await assertRejects(connect({ sslShutdownTimeout: 1 }), RangeError, "needs ssl");
  await assertRejects(connect({ ssl: true, sslHandshakeTimeout: 0 }), RangeError);
  await assertRejects(connect({ ssl: true, sslHandshakeTimeout: -1 }), RangeError);
  await assertRejects(connect({ ssl: true, sslShutdownTimeout: "1" }), TypeError);
  await assertRejects(connect({ ssl: true, serverHostname: "" }), RangeError, "serverHostname");
  await assertRejects(connect({ ssl: true, serverHostname: 7 }), TypeError);
  const needed = "serverHostname is needed";
  await assertRejects(() => openUnixConnection("/nowhere", { ssl: true }), RangeError, needed);
  const empty = { ssl: true, serverHostname: "" };
  await assertRejects(() => openUnixConnection("/nowhere", empty), RangeError, needed);
  const [sock] = socketPair();
  await assertRejects(() => openConnection({ sock, ssl: true }), RangeError, needed);
  await assertRejects(() => openConnection({ sock, ...empty }), RangeError, needed);
  const context = { rejectUnauthorized: false, checkHostname: true };
  await assertRejects(connect({ ssl: context }), RangeError, "checkHostname");

  const serve = (ssl: unknown) => () =>
    startServer(() => {}, "127.0.0.1", 0, { ssl: ssl as SSLContext });
  await assertRejects(serve(true), TypeError, "certificate");
  await assertRejects(serve({}), RangeError, "certificate");
  await assertRejects(serve({ cert, key, requestCert: true }), RangeError, "caCerts");
});

Deno.test("what is refused in place of PEM texts is not in the message", () => {
  const secret = "-----BEGIN PRIVATE KEY-----";
  for (const context of [secret, { caCerts: secret }, { sni: secret }, { sni: { a: secret } }]) {
    const error = assertThrows(() => createDefaultContext(context as unknown as SSLContext));
    assertEquals((error as Error).message.includes(secret), false);
  }
});

Deno.test("an sni name that is no host is refused", () => {
  const sni = { "\u00fc/": { cert, key } };
  assertThrows(() => createDefaultContext({ sni }), RangeError, "no host");
});
