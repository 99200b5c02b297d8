import {
  createDefaultContext,
  type ExceptionContext,
  getEventLoop,
  openConnection,
  type Server,
  SSLCertVerificationError,
  SSLError,
  startServer,
  type StartServerOptions,
  type StreamReader,
  type StreamWriter,
} from "@asyncio/streams";
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { certificates, stealCertificate } from "./certificates.ts";
import { test } from "./open_sockets.ts";
import { startClientPeer } from "./openssl.ts";

const certs = await certificates();
const { authority, foreignAuthority, good, other, client, foreignClient } = certs;
const context = createDefaultContext({ certFile: good.certFile, keyFile: good.keyFile });
const decoder = new TextDecoder();

/** What the loop's exception handler was told while a test ran. */
class Reports implements Disposable {
  readonly #told: ExceptionContext[] = [];
  #wake = Promise.withResolvers<void>();

  constructor() {
    getEventLoop().setExceptionHandler((_loop, told) => {
      this.#told.push(told);
      this.#wake.resolve();
    });
  }

  /** Waits for the next report, which has to be an {@linkcode SSLError}. */
  async next(): Promise<SSLError> {
    while (this.#told.length === 0) {
      await this.#wake.promise;
      this.#wake = Promise.withResolvers();
    }
    const { message, exception, peername } = this.#told.shift()!;
    assertStringIncludes(message, `127.0.0.1:${(peername as Deno.NetAddr).port}`);
    assertInstanceOf(exception, SSLError);
    return exception;
  }

  [Symbol.dispose](): void {
    getEventLoop().setExceptionHandler(null);
    assertEquals(this.#told, []);
  }
}

async function upperCase(reader: StreamReader, writer: StreamWriter): Promise<void> {
  for await (const line of reader) {
    writer.write(decoder.decode(line).toUpperCase());
    await writer.drain();
  }
  writer.close();
  await writer.waitClosed();
}

function serve(
  options: StartServerOptions,
  callback: (reader: StreamReader, writer: StreamWriter) => Promise<void> = upperCase,
): Promise<Server> {
  return startServer(callback, "127.0.0.1", 0, { ssl: context, ...options });
}

function portOf(server: Server): number {
  return (server.sockets[0]!.addr as Deno.NetAddr).port;
}

/** Waits until the server has no connection left. */
async function assertNoneLeft(server: Server): Promise<void> {
  for (let turns = 0; server.connections > 0; turns++) {
    assert(turns < 1000, `${server.connections} connections are left`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

for (const [version, flag] of [["TLSv1.2", "-tls1_2"], ["TLSv1.3", "-tls1_3"]] as const) {
  test(`startServer({ ssl }) talks ${version} with OpenSSL`, async () => {
    const { promise, resolve } = Promise.withResolvers<StreamWriter>();
    await using server = await serve({
      ssl: { ...context, alpnProtocols: ["http/1.1", "h2"] },
    }, (reader, writer) => {
      resolve(writer);
      return upperCase(reader, writer);
    });
    await using peer = startClientPeer(portOf(server), authority, flag, "-alpn", "h2");
    await peer.type("hello\n");
    await peer.said(/HELLO/);
    assertStringIncludes(peer.output, "ALPN protocol: h2");
    const writer = await promise;
    assertEquals(writer.getExtraInfo("alpn_protocol"), "h2");
    assertEquals(writer.getExtraInfo("cipher")?.[1], version);
    assertEquals(writer.getExtraInfo("peercert"), null);
    assertEquals(writer.canWriteEof(), false);
    await peer.leave();
    await writer.waitClosed();
    assertEquals(server.connections, 0);
  });
}

test("close() sends all, and the TLS goodbye", async () => {
  await using server = await serve({}, async (_reader, writer) => {
    writer.write("x".repeat(1_000_000) + "\nlast words\n");
    writer.close();
    await writer.waitClosed();
  });
  await using peer = startClientPeer(portOf(server), authority, "-quiet");
  const { code, output } = await peer.ended();
  assertEquals(code, 0, output.slice(-500));
  assert(output.endsWith("last words\n"), output.slice(-500));
});

test("SNI chooses the certificate", async () => {
  const { cert, key } = other;
  const ssl = {
    ...context,
    sni: { "other.example": { cert, key }, "*.wild.example": { cert, key } },
  };
  await using server = await serve({ ssl });
  for (
    const [name, subject] of [["other.example", "other.example"], [
      "X.wild.example",
      "other.example",
    ], ["localhost", "localhost"]]
  ) {
    await using peer = startClientPeer(portOf(server), authority, "-servername", name!);
    await peer.type("knock knock\n");
    await peer.said(/KNOCK KNOCK/);
    await peer.leave();
    assertStringIncludes(peer.output.replaceAll(" ", ""), `subject=CN=${subject}`);
  }
});

test("a name that no certificate is for is refused, where there is no other", async () => {
  using reports = new Reports();
  const ssl = { sni: { "other.example": { cert: other.cert, key: other.key } } };
  await using server = await serve({ ssl });
  await using peer = startClientPeer(portOf(server), authority);
  assertEquals((await reports.next()).reason, "UNRECOGNIZED_NAME");
  assertStringIncludes((await peer.ended()).output, "unrecognized name");
});

const demanding = { ...context, caCerts: [authority.cert], requestCert: true };

test("requestCert holds for every name", async () => {
  using reports = new Reports();
  const sni = { localhost: { cert: good.cert, key: good.key } };
  await using server = await serve({ ssl: { ...demanding, sni } });
  await using peer = startClientPeer(portOf(server), authority);
  assertEquals((await reports.next()).reason, "NO_CERTIFICATE");
  const { certFile, keyFile } = foreignClient;
  await using foreign = startClientPeer(
    portOf(server),
    authority,
    "-cert",
    certFile,
    "-key",
    keyFile,
  );
  assertEquals((await reports.next()).reason, "UNKNOWN_AUTHORITY");
  await Promise.all([peer.ended(), foreign.ended()]);
});

for (const version of ["-tls1_2", "-tls1_3"]) {
  test(`requestCert takes a good client's certificate (${version})`, async () => {
    const { promise, resolve } = Promise.withResolvers<unknown>();
    await using server = await serve({ ssl: demanding }, (reader, writer) => {
      resolve(writer.getExtraInfo("peercert")?.subject);
      return upperCase(reader, writer);
    });
    await using peer = startClientPeer(
      ...[portOf(server), authority, version] as const,
      ...["-cert", client.certFile, "-key", client.keyFile],
    );
    await peer.type("knock knock\n");
    await peer.said(/KNOCK KNOCK/);
    await peer.leave();
    assertEquals(await promise, { CN: "Alice" });
  });

  const refusals: [what: string, reason: string, args: string[]][] = [
    ["no", "NO_CERTIFICATE", []],
    [
      ...["a foreign", "UNKNOWN_AUTHORITY"] as const,
      ["-cert", foreignClient.certFile, "-key", foreignClient.keyFile],
    ],
    [
      ...["an expired", "EXPIRED"] as const,
      ["-cert", certs.expired.certFile, "-key", certs.expired.keyFile],
    ],
  ];
  for (const [what, reason, args] of refusals) {
    test(`requestCert refuses ${what} client certificate (${version})`, async () => {
      using reports = new Reports();
      let called = 0;
      await using server = await serve({ ssl: demanding }, () => Promise.resolve(void called++));
      await using peer = startClientPeer(portOf(server), authority, version, ...args);
      const error = await reports.next();
      assertEquals(error.reason, reason, error.message);
      assertInstanceOf(error, SSLCertVerificationError);
      await peer.ended();
      await assertNoneLeft(server);
      assertEquals(called, 0);
    });
  }

  test(`requestCert refuses a certificate without its key (${version})`, async () => {
    using reports = new Reports();
    await using server = await serve({ ssl: demanding });
    const keyFile = await stealCertificate(certs.folder, client.keyFile, foreignClient.keyFile);
    await using peer = startClientPeer(
      ...[portOf(server), authority, version] as const,
      ...["-cert", client.certFile, "-key", keyFile],
    );
    assertEquals((await reports.next()).reason, "BAD_CERTIFICATE");
    assertEquals((await peer.ended()).code, 1);
  });
}

test("requestCert with rejectUnauthorized: false makes certificates optional", async () => {
  await using server = await serve({ ssl: { ...demanding, rejectUnauthorized: false } });
  await using peer = startClientPeer(portOf(server), authority);
  await peer.type("knock knock\n");
  await peer.said(/KNOCK KNOCK/);
  await peer.leave();
});

test("a client that refuses the server's certificate is reported", async () => {
  using reports = new Reports();
  await using server = await serve({});
  await using peer = startClientPeer(portOf(server), foreignAuthority);
  assertEquals((await reports.next()).reason, "PEER_REFUSED_CERTIFICATE");
  assertEquals((await peer.ended()).code, 1);
  await assertNoneLeft(server);
});

test("without a common protocol, both sides know why", async () => {
  using reports = new Reports();
  await using server = await serve({ ssl: { ...context, alpnProtocols: ["h2"] } });
  await using peer = startClientPeer(portOf(server), authority, "-alpn", "http/1.1");
  assertEquals((await reports.next()).reason, "NO_APPLICATION_PROTOCOL");
  assertStringIncludes((await peer.ended()).output, "no application protocol");

  const ssl = { caCerts: [authority.cert], alpnProtocols: ["http/1.1"] };
  const options = { ssl, serverHostname: "localhost" };
  const error = await assertRejects(
    () => openConnection("127.0.0.1", portOf(server), options),
    SSLError,
  );
  assertEquals(error.reason, "NO_APPLICATION_PROTOCOL");
  assertEquals((await reports.next()).reason, "NO_APPLICATION_PROTOCOL");
});

test("without a common version, both sides know why", async () => {
  using reports = new Reports();
  await using server = await serve({ ssl: { ...context, minVersion: "TLSv1.3" } });
  await using peer = startClientPeer(portOf(server), authority, "-tls1_2");
  assertEquals((await reports.next()).reason, "UNSUPPORTED_PROTOCOL");
  assertStringIncludes((await peer.ended()).output, "protocol version");
});

test("garbage, silence and leaving are dropped, and hold up nobody", async () => {
  using reports = new Reports();
  await using server = await serve({ sslHandshakeTimeout: 300 });
  const address = { hostname: "127.0.0.1", port: portOf(server) };
  using silent = await Deno.connect(address);
  using garbage = await Deno.connect(address);
  await garbage.write(new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"));
  assertEquals((await reports.next()).reason, "NOT_TLS");
  (await Deno.connect(address)).close();
  assertEquals((await reports.next()).reason, "UNEXPECTED_EOF");

  await using peer = startClientPeer(portOf(server), authority);
  await peer.type("knock knock\n");
  await peer.said(/KNOCK KNOCK/);
  await peer.leave();
  assertEquals((await reports.next()).reason, "HANDSHAKE_TIMEOUT");
  assertEquals(await silent.read(new Uint8Array(1)), null);
  await assertNoneLeft(server);
});

test("abortClients() and closeClients() end handshakes, which is nobody's fault", async () => {
  using _nothingIsReported = new Reports();
  await using server = await serve({});
  for (const end of [() => server.abortClients(), () => server.closeClients()]) {
    using silent = await Deno.connect({ hostname: "127.0.0.1", port: portOf(server) });
    while (server.connections === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    end();
    assertEquals(await silent.read(new Uint8Array(1)), null);
    assertEquals(server.connections, 0);
  }
});

test("a connection cut without goodbye is an error to the reader", async () => {
  const { promise, resolve } = Promise.withResolvers<unknown>();
  await using server = await serve({}, async (reader, writer) => {
    writer.write("hello\n");
    resolve(await reader.read().catch((error) => error));
    await writer.waitClosed().catch(() => {});
  });
  const options = { ssl: { caCerts: [authority.cert] }, serverHostname: "localhost" };
  const [reader, writer] = await openConnection("127.0.0.1", portOf(server), options);
  await reader.readLine();
  (writer.getExtraInfo("socket") as Deno.TcpConn).close();
  const error = await promise;
  assertInstanceOf(error, Deno.errors.UnexpectedEof);
  assertStringIncludes(error.message, "goodbye");
  const { port } = writer.getExtraInfo("sockname") as Deno.NetAddr;
  assertStringIncludes(error.message, `127.0.0.1:${port}`);
  writer.transport.abort();
});

test("close() does not wait for a peer that is busy elsewhere", async () => {
  await using server = await serve({}, async (_reader, writer) => {
    writer.close();
    await writer.waitClosed();
  });
  const options = { ssl: { caCerts: [authority.cert] }, serverHostname: "localhost" };
  const [, writer] = await openConnection("127.0.0.1", portOf(server), options);
  await assertNoneLeft(server);
  writer.close();
  await writer.waitClosed();
});

test("a slow reader makes drain() wait, and memory stays bounded", async () => {
  const total = 64 * 1024 * 1024;
  const piece = new Uint8Array(65_536).fill(7);
  let taken = 0;
  await using server = await serve({}, async (_reader, writer) => {
    for (; taken < total; taken += piece.length) {
      writer.write(piece);
      await writer.drain();
    }
    writer.close();
    await writer.waitClosed();
  });
  const options = { ssl: { caCerts: [authority.cert] }, serverHostname: "localhost" };
  const [reader, writer] = await openConnection("127.0.0.1", portOf(server), options);
  // Read a little, then nothing until the server has nowhere to put more.
  await reader.readExactly(100_000);
  for (let before = -1; before < taken;) {
    before = taken;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert(taken < total / 4, `${taken} bytes were taken in`);
  const rest = await reader.read();
  assertEquals(rest.length + 100_000, total);
  assertEquals(rest.findIndex((byte) => byte !== 7), -1);
  writer.close();
  await writer.waitClosed();
});

test("what goes wrong is logged without anybody's private key", async () => {
  const logged: unknown[][] = [];
  const { error } = console;
  console.error = (...args: unknown[]) => void logged.push(args);
  try {
    await using server = await serve({}, () => Promise.reject(new Error("oops")));
    const options = { ssl: { caCerts: [authority.cert] }, serverHostname: "localhost" };
    const [reader] = await openConnection("127.0.0.1", portOf(server), options);
    await reader.read();
    await assertNoneLeft(server);
  } finally {
    console.error = error;
  }
  const text = logged.map((args) => Deno.inspect(args, { depth: 10 })).join();
  assertStringIncludes(text, "oops");
  assertEquals(text.includes("PRIVATE KEY"), false);
});
