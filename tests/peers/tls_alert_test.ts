// What a peer whose certificate is refused gets to know of it.
import { getEventLoop, openConnection, SSLError, startServer } from "@asyncio/streams";
import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { type Certificate, certificates } from "./certificates.ts";
import { test } from "./open_sockets.ts";
import { startClientPeer, startServerPeer } from "./openssl.ts";
import { PythonPeer } from "./python_peer.ts";

const certs = await certificates();
const { authority, good, other, expired, future, foreign, foreignClient } = certs;
const trusting = { caCerts: [authority.cert] };
const demanding = { cert: good.cert, key: good.key, ...trusting, requestCert: true };

const versions = [["TLSv1.2", "-tls1_2"], ["TLSv1.3", "-tls1_3"]] as const;

async function assertRefused(port: number, reason: string): Promise<void> {
  const connecting = openConnection("127.0.0.1", port, {
    ssl: trusting,
    serverHostname: "localhost",
  });
  assertEquals((await assertRejects(() => connecting, SSLError)).reason, reason);
}

const servers: [what: string, cert: Certificate, reason: string, alert: RegExp][] = [
  ["of an unknown authority", foreign, "UNKNOWN_AUTHORITY", /alert unknown ca/],
  ["that has expired", expired, "EXPIRED", /alert certificate expired/],
  ["that is not valid yet", future, "NOT_YET_VALID", /alert bad certificate/],
  ["for another host", other, "WRONG_HOST", /alert bad certificate/],
];

for (const [version, flag] of versions) {
  for (const [what, cert, reason, alert] of servers) {
    test(`a server with a certificate ${what} is told so (${version}, OpenSSL)`, async () => {
      await using peer = await startServerPeer(cert, flag);
      await assertRefused(peer.port, reason);
      await peer.said(alert);
    });

    test(`a server with a certificate ${what} is told so (${version}, CPython)`, async () => {
      await using python = new PythonPeer("refused-server", version, cert.certFile, cert.keyFile);
      await assertRefused(await python.port(), reason);
      assertMatch((await python.line()).toLowerCase(), alert);
      await python.endsWell();
    });
  }
}

/** Refuses one client, and calls `connect` with the port. Returns the reason. */
async function refuse(connect: (port: number) => Promise<void>): Promise<string> {
  const told = Promise.withResolvers<SSLError>();
  const loop = getEventLoop();
  loop.setExceptionHandler((_loop, { exception }) => told.resolve(exception as SSLError));
  try {
    await using server = await startServer(
      () => Promise.reject(new Error("let in")),
      "127.0.0.1",
      0,
      { ssl: demanding },
    );
    const { port } = server.sockets[0]!.addr as Deno.NetAddr;
    const [{ reason }] = await Promise.all([told.promise, connect(port)]);
    return reason;
  } finally {
    loop.setExceptionHandler(null);
  }
}

// In TLS 1.3 a server has sent its own `Finished` before it sees the client's certificate. From
// there on only Deno's engine could encrypt an alert, and it never refuses a certificate itself:
// it is made to send the alert it has for a message out of place.
const late = /alert unexpected message/;
const clients: [what: string, cert: Certificate | null, reason: string, alert: RegExp][] = [
  ["no certificate", null, "NO_CERTIFICATE", /alert handshake failure/],
  ["a foreign certificate", foreignClient, "UNKNOWN_AUTHORITY", /alert unknown ca/],
  ["an expired certificate", expired, "EXPIRED", /alert certificate expired/],
];

for (const [version, flag] of versions) {
  for (const [what, cert, reason, alert] of clients) {
    const outcome = version === "TLSv1.2" ? "is told so" : "gets an alert";
    const expected = version === "TLSv1.2" ? alert : late;

    test(`a client with ${what} ${outcome} (${version}, OpenSSL)`, async () => {
      const args = cert === null ? [] : ["-cert", cert.certFile, "-key", cert.keyFile];
      const refusal = await refuse(async (port) => {
        await using peer = startClientPeer(port, authority, flag, ...args);
        assertMatch((await peer.ended()).output, expected);
      });
      assertEquals(refusal, reason);
    });

    test(`a client with ${what} ${outcome} (${version}, CPython)`, async () => {
      const args = cert === null ? [] : [cert.certFile, cert.keyFile];
      const refusal = await refuse(async (port) => {
        await using python = new PythonPeer("refused-client", version, String(port), ...args);
        assertMatch((await python.line()).toLowerCase(), expected);
        await python.endsWell();
      });
      assertEquals(refusal, reason);
    });
  }
}
