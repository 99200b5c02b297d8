import {
  createDefaultContext,
  openConnection,
  type OpenConnectionOptions,
  SSLCertVerificationError,
  SSLError,
} from "@asyncio/streams";
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { certificates } from "./certificates.ts";
import { test } from "./open_sockets.ts";
import { startServerPeer } from "./openssl.ts";

const certs = await certificates();
const { authority, foreignAuthority, good, other, expired, future, client, foreignClient } = certs;
const trusting = createDefaultContext({ caFile: authority.certFile });
const decoder = new TextDecoder();

/** Connects to `localhost`, whose IPv4 address is the one that peers listen on. */
function connect(port: number, options: OpenConnectionOptions) {
  return openConnection("127.0.0.1", port, { serverHostname: "localhost", ...options });
}

async function assertSslError(promise: Promise<unknown>, reason: string): Promise<SSLError> {
  const error = await assertRejects(() => promise, SSLError);
  assertEquals(error.reason, reason, error.message);
  assertStringIncludes(error.message, "127.0.0.1:");
  return error;
}

for (const [version, flag] of [["TLSv1.2", "-tls1_2"], ["TLSv1.3", "-tls1_3"]] as const) {
  test(`openConnection({ ssl }) talks ${version} with OpenSSL`, async () => {
    await using peer = await startServerPeer(good, flag, "-alpn", "h2,http/1.1");
    const ssl = createDefaultContext({
      caFile: authority.certFile,
      alpnProtocols: ["spdy/1", "http/1.1"],
    });
    const [reader, writer] = await connect(peer.port, { ssl });
    await using _ = writer;
    writer.write("first\nsecond\n");
    assertEquals(decoder.decode(await reader.readLine()), "tsrif\n");
    assertEquals(decoder.decode(await reader.readLine()), "dnoces\n");

    assertEquals(writer.canWriteEof(), false);
    assertEquals(writer.getExtraInfo("sslcontext"), ssl);
    assertEquals(writer.getExtraInfo("alpn_protocol"), "http/1.1");
    assertEquals(writer.getExtraInfo("compression", "none"), "none");
    const [cipher, protocol, bits] = writer.getExtraInfo("cipher")!;
    assertEquals(protocol, version);
    assertStringIncludes(cipher, String(bits));
    assert(writer.getExtraInfo("ssl_object"));
    assertEquals((writer.getExtraInfo("peername") as Deno.NetAddr).port, peer.port);
    assert("setNoDelay" in (writer.getExtraInfo("socket") as Deno.TcpConn));
    const cert = writer.getExtraInfo("peercert")!;
    assertEquals(cert.subject, { CN: "localhost" });
    assertEquals(cert.issuer, { CN: "An authority for tests" });
    assert(cert.subjectAltName.includes("DNS:localhost"));
    assertEquals(cert.notAfter.getUTCFullYear(), 2049);
    assert(good.cert.includes(cert.raw.toBase64().slice(0, 64)));
  });
}

test("ssl: true trusts the system's authorities only", async () => {
  await using peer = await startServerPeer(good);
  const error = await assertSslError(connect(peer.port, { ssl: true }), "UNKNOWN_AUTHORITY");
  assertInstanceOf(error, SSLCertVerificationError);
  assertStringIncludes(error.message, "caCerts");
});

test("a server of an authority that caCerts doesn't name is refused", async () => {
  await using peer = await startServerPeer(good);
  const ssl = { caCerts: [foreignAuthority.cert] };
  await assertSslError(connect(peer.port, { ssl }), "UNKNOWN_AUTHORITY");
  // Nor does an earlier connection, which trusted it, vouch for it.
  const [, writer] = await connect(peer.port, { ssl: trusting });
  writer.close();
  await writer.waitClosed();
  await assertSslError(connect(peer.port, { ssl }), "UNKNOWN_AUTHORITY");
});

for (const version of ["-tls1_2", "-tls1_3"]) {
  test(`a session that nobody verified vouches for no later one (${version})`, async () => {
    await using peer = await startServerPeer(good, version);
    for (let i = 0; i < 2; i++) {
      const [reader, writer] = await connect(peer.port, { ssl: { rejectUnauthorized: false } });
      writer.write("hello\n");
      await reader.readLine(); // Tickets of TLS 1.3 have come by then.
      writer.close();
      await writer.waitClosed();
      await assertSslError(connect(peer.port, { ssl: true }), "UNKNOWN_AUTHORITY");
    }
  });
}

test("a server for another host is refused, unless serverHostname or the context allow it", async () => {
  await using peer = await startServerPeer(other);
  const ssl = trusting;
  const error = await assertSslError(connect(peer.port, { ssl }), "WRONG_HOST");
  assertStringIncludes(error.message, "other.example");
  await assertSslError(openConnection("127.0.0.1", peer.port, { ssl }), "WRONG_HOST");
  const hosts = [
    { ssl, serverHostname: "other.example" },
    { ssl, serverHostname: "a.WILD.example." },
    { ssl: { ...ssl, checkHostname: false } },
    { ssl: { ...ssl, checkHostname: false }, serverHostname: "" },
    { ssl: { rejectUnauthorized: false } },
  ];
  for (const options of hosts) {
    const [, writer] = await connect(peer.port, options);
    writer.close();
    await writer.waitClosed();
  }
});

test("a server is checked by its IP address where that is what was connected to", async () => {
  await using peer = await startServerPeer(good);
  const [, writer] = await openConnection("127.0.0.1", peer.port, { ssl: trusting });
  writer.close();
  await writer.waitClosed();
});

test("a server whose certificate has expired is refused", async () => {
  await using peer = await startServerPeer(expired);
  const error = await assertSslError(connect(peer.port, { ssl: trusting }), "EXPIRED");
  assertInstanceOf(error, SSLCertVerificationError);
});

test("a server whose certificate is not valid yet is refused", async () => {
  await using peer = await startServerPeer(future);
  const error = await assertSslError(connect(peer.port, { ssl: trusting }), "NOT_YET_VALID");
  assertInstanceOf(error, SSLCertVerificationError);
});

test("ALPN without a common protocol is refused", async () => {
  await using peer = await startServerPeer(good, "-alpn", "h2");
  const ssl = { ...trusting, alpnProtocols: ["http/1.1"] };
  await assertSslError(connect(peer.port, { ssl }), "NO_APPLICATION_PROTOCOL");
});

test("minVersion refuses an older server", async () => {
  await using peer = await startServerPeer(good, "-tls1_2");
  const ssl = { ...trusting, minVersion: "TLSv1.3" as const };
  await assertSslError(connect(peer.port, { ssl }), "UNSUPPORTED_PROTOCOL");
});

test("maxVersion holds the client back", async () => {
  await using peer = await startServerPeer(good);
  const ssl = { ...trusting, maxVersion: "TLSv1.2" as const };
  const [, writer] = await connect(peer.port, { ssl });
  await using _ = writer;
  assertEquals(writer.getExtraInfo("cipher")?.[1], "TLSv1.2");
});

test("serverHostname is asked for by SNI", async () => {
  await using peer = await startServerPeer(
    good,
    ...["-servername", "other.example", "-cert2", other.certFile, "-key2", other.keyFile],
  );
  const [, writer] = await connect(peer.port, { ssl: trusting, serverHostname: "other.example" });
  await using _ = writer;
  assertEquals(writer.getExtraInfo("peercert")?.subject, { CN: "other.example" });
});

const demanding = ["-Verify", "1", "-verify_return_error", "-CAfile", authority.certFile];

for (const version of ["-tls1_2", "-tls1_3"]) {
  test(`a client certificate is shown (${version})`, async () => {
    await using peer = await startServerPeer(good, ...demanding, version);
    const { certFile, keyFile } = client;
    const ssl = createDefaultContext({ caFile: authority.certFile, certFile, keyFile });
    const [reader, writer] = await connect(peer.port, { ssl });
    await using _ = writer;
    writer.write("it's me\n");
    assertEquals(decoder.decode(await reader.readLine()), "em s'ti\n");
    await peer.said(/CN ?= ?Alice/);
  });

  test(`a client certificate that the server refuses is an error (${version})`, async () => {
    await using peer = await startServerPeer(good, ...demanding, version);
    const { cert, key } = foreignClient;
    // In TLS 1.3 the client is done before the server has looked at its certificate.
    const talk = async () => {
      const [reader] = await connect(peer.port, { ssl: { ...trusting, cert, key } });
      await reader.readLine();
    };
    await assertSslError(talk(), "PEER_REFUSED_CERTIFICATE");
  });
}

test("no client certificate, where one is required, is an error", async () => {
  await using peer = await startServerPeer(good, ...demanding);
  const [reader, writer] = await connect(peer.port, { ssl: trusting });
  const error = await assertRejects(() => reader.readLine(), SSLError);
  assertEquals(error.reason, "PEER_REFUSED_CERTIFICATE");
  assertEquals(await assertRejects(() => writer.waitClosed()), error);
});

/** A server on plain TCP that does something else than TLS. */
async function withServer(
  serve: (conn: Deno.Conn) => unknown,
  use: (port: number) => Promise<void>,
): Promise<void> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const served = (async () => {
    using conn = await listener.accept();
    await serve(conn);
  })();
  await use(listener.addr.port);
  await served;
}

/** Reads until the other end has closed: the proof that it has. */
async function readToEnd(conn: Deno.Conn): Promise<void> {
  const buffer = new Uint8Array(4096);
  try {
    while (await conn.read(buffer) !== null);
  } catch (error) {
    assertInstanceOf(error, Deno.errors.ConnectionReset);
  }
}

test("garbage in place of TLS ends in an error and a closed socket", async () => {
  await withServer(async (conn) => {
    await conn.write(new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n\r\n"));
    await readToEnd(conn);
  }, async (port) => void await assertSslError(connect(port, { ssl: trusting }), "NOT_TLS"));
});

test("a server that breaks off with an alert is an error, and a closed socket", async () => {
  await withServer(async (conn) => {
    await conn.read(new Uint8Array(4096));
    await conn.write(Uint8Array.of(21, 3, 3, 0, 2, 2, 80)); // "internal error"
    await readToEnd(conn);
  }, async (port) => {
    const error = await assertSslError(connect(port, { ssl: trusting }), "PROTOCOL_ERROR");
    assertStringIncludes(error.message, "InternalError");
  });
});

test("a silent server ends in an error after sslHandshakeTimeout, and a closed socket", async () => {
  await withServer(readToEnd, async (port) => {
    const before = performance.now();
    const options = { ssl: trusting, sslHandshakeTimeout: 100 };
    await assertSslError(connect(port, options), "HANDSHAKE_TIMEOUT");
    assert(performance.now() - before >= 99);
  });
});

test("a server that leaves during the handshake is an error", async () => {
  await withServer(async (conn) => void await conn.read(new Uint8Array(1)), async (port) => {
    const error = await assertRejects(() => connect(port, { ssl: trusting }));
    // Left with bytes unread, a socket is reset.
    if (!(error instanceof Deno.errors.ConnectionReset)) {
      assertEquals((error as SSLError).reason, "UNEXPECTED_EOF");
    }
  });
});

test("aborting the handshake closes the socket and rejects with the reason", async () => {
  await withServer(readToEnd, async (port) => {
    const controller = new AbortController();
    const reason = new Error("changed my mind");
    setTimeout(() => controller.abort(reason), 50);
    const promise = connect(port, { ssl: trusting, signal: controller.signal });
    assertEquals(await assertRejects(() => promise), reason);
  });
});

test("an open connection can be given to TLS", async () => {
  await using peer = await startServerPeer(good);
  const sock = await Deno.connect({ hostname: "127.0.0.1", port: peer.port });
  const [reader, writer] = await openConnection({
    sock,
    ssl: trusting,
    serverHostname: "localhost",
  });
  await using _ = writer;
  writer.write("abc\n");
  assertEquals(decoder.decode(await reader.readLine()), "cba\n");
});
