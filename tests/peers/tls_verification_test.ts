// Certificates that are made to deceive, or are wrong in ways that have to be told apart.
import {
  type ExceptionContext,
  getEventLoop,
  openConnection,
  type SSLContext,
  SSLError,
  startServer,
} from "@asyncio/streams";
import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import tls from "node:tls";
import {
  type Certificate,
  certificates,
  issueCertificate,
  selfSigned,
  stealCertificate,
} from "./certificates.ts";
import { test } from "./open_sockets.ts";
import { startClientPeer, startServerPeer } from "./openssl.ts";

const { authority, folder, good, foreignClient, client } = await certificates();
const trusting = { caCerts: [authority.cert] };
const local = "DNS:localhost,IP:127.0.0.1";
const garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
const versions = [["TLSv1.2", "-tls1_2"], ["TLSv1.3", "-tls1_3"]] as const;

/** A name of any content, as the extension's DER. */
function name(tag: number, text: string): string {
  const bytes = new TextEncoder().encode(text);
  const all = Uint8Array.of(0x30, bytes.length + 2, tag, bytes.length, ...bytes);
  return `DER:${all.toHex()}`;
}

const uri = await issueCertificate("uri", name(0x86, "http://a/, DNS:localhost"));
const comma = await issueCertificate("comma", name(0x82, "evil.example, DNS:localhost"));
const quote = await issueCertificate("quote", name(0x82, 'evil", DNS:localhost, DNS:"x'));
const address = await issueCertificate("address", name(0x86, "x:, IP Address:127.0.0.1"));
const partial = await issueCertificate("partial", "DNS:l*t,DNS:*");
const nameless = await issueCertificate("nameless", null, { subject: "localhost" });
const elsewhere = await issueCertificate("elsewhere", "IP:10.0.0.1", { subject: "localhost" });

async function assertRefused(
  port: number,
  ssl: SSLContext,
  reason: string,
  serverHostname = "localhost",
): Promise<SSLError> {
  const options = { ssl, serverHostname };
  const error = await assertRejects(() => openConnection("127.0.0.1", port, options), SSLError);
  assertEquals(error.reason, reason, error.message);
  return error;
}

const deceivers: [what: string, cert: Certificate][] = [
  ["a URI with a comma in it", uri],
  ["a DNS name with a comma in it", comma],
  ["a DNS name with quotes in it", quote],
  ["a URI like an address", address],
  ["partial wildcards", partial],
  ["a common name and no other", nameless],
  ["a common name, and an address elsewhere", elsewhere],
];

for (const [version, flag] of versions) {
  for (const [what, cert] of deceivers) {
    test(`a server whose certificate has ${what} is no other (${version})`, async () => {
      await using peer = await startServerPeer(cert, flag);
      for (const host of ["localhost", "127.0.0.1"]) {
        await assertRefused(peer.port, trusting, "WRONG_HOST", host);
      }
    });
  }

  test(`a server with names that can't be read is refused (${version})`, async () => {
    const bad = await issueCertificate(`unreadable-${version}`, "DER:300b8209");
    await using peer = await startServerPeer(bad, flag);
    const options = { ssl: trusting, serverHostname: "localhost" };
    await assertRejects(() => openConnection("127.0.0.1", peer.port, options), SSLError);
  });

  test(`a certificate that nobody verified is not shown (${version})`, async () => {
    await using peer = await startServerPeer(good, flag);
    const ssl = { rejectUnauthorized: false, ...trusting };
    const [, writer] = await openConnection("127.0.0.1", peer.port, { ssl });
    assertEquals(writer.getExtraInfo("peercert"), null);
    writer.close();
    await writer.waitClosed();
  });
}

test("peercert has each name as it is", async () => {
  await using peer = await startServerPeer(uri);
  const ssl = { ...trusting, checkHostname: false };
  const [, writer] = await openConnection("127.0.0.1", peer.port, { ssl });
  assertEquals(writer.getExtraInfo("peercert")?.subjectAltName, ["URI:http://a/, DNS:localhost"]);
  writer.close();
  await writer.waitClosed();
});

const inter = await issueCertificate("inter", null, { isAuthority: true });
const old = await issueCertificate("old", null, { isAuthority: true, years: [2020, 2021] });
const oldAndForeign = await issueCertificate("stale", local, {
  authority: "foreign",
  years: [2020, 2021],
});

/** A certificate, and in its file the one that it is by. */
async function chained(name: string, authority: string, by: Certificate): Promise<Certificate> {
  const leaf = await issueCertificate(name, local, { authority });
  return { ...leaf, cert: leaf.cert + by.cert };
}

const faults: [what: string, cert: Certificate, reason: string, text: string][] = [
  [
    ...["for clients only", await issueCertificate("clients", local, { usage: "clientAuth" })],
    ...["BAD_CERTIFICATE", "extended key usage"],
  ] as unknown as [string, Certificate, string, string],
  ["by an expired authority", await chained("young", "old", old), "EXPIRED", "CN=old"],
  ["that is foreign and has expired", oldAndForeign, "UNKNOWN_AUTHORITY", "CN=Nobody"],
  [
    "by one that is no authority",
    { ...oldAndForeign, cert: oldAndForeign.cert + good.cert },
    "UNKNOWN_AUTHORITY",
    "CN=Nobody",
  ],
];

for (const [version] of versions) {
  for (const [what, { cert, key }, reason, text] of faults) {
    test(`a certificate ${what} is ${reason} (${version})`, async () => {
      using _told = collect();
      const ssl = { cert, key, maxVersion: version };
      await using server = await startServer(() => {}, "127.0.0.1", 0, { ssl });
      const { message } = await assertRefused(portOf(server), trusting, reason);
      assertStringIncludes(message, text);
      assertEquals(message.includes("UNABLE_TO"), false, message);
    });
  }
}

test("a certificate by an authority between it and a root is good", async () => {
  const { cert, key } = await chained("grandchild", "inter", inter);
  await using server = await startServer((_, writer) => writer.close(), "127.0.0.1", 0, {
    ssl: { cert, key },
  });
  const options = { ssl: trusting, serverHostname: "localhost" };
  const [reader, writer] = await openConnection("127.0.0.1", portOf(server), options);
  await reader.read();
  writer.close();
  await writer.waitClosed();
});

function portOf({ sockets }: { sockets: readonly Deno.Listener[] }): number {
  return (sockets[0]!.addr as Deno.NetAddr).port;
}

/** Collects what the exception handler is told. */
function collect(): Disposable & { next(): Promise<unknown> } {
  const told: ExceptionContext[] = [];
  let wake = Promise.withResolvers<void>();
  getEventLoop().setExceptionHandler((_loop, context) => {
    told.push(context);
    wake.resolve();
  });
  return {
    async next() {
      while (told.length === 0) {
        await wake.promise;
        wake = Promise.withResolvers();
      }
      return told.shift()!.exception;
    },
    [Symbol.dispose]: () => getEventLoop().setExceptionHandler(null),
  };
}

const demanding = { cert: good.cert, key: good.key, ...trusting, requestCert: true };

for (const [version, flag] of versions) {
  for (const rejectUnauthorized of [true, false]) {
    const ssl = { ...demanding, rejectUnauthorized };
    const mode = rejectUnauthorized ? "required" : "optional";

    test(`a client with a foreign certificate is refused where one is ${mode} (${version})`, async () => {
      using told = collect();
      const { promise: letIn, resolve } = Promise.withResolvers<string>();
      await using server = await startServer(() => resolve("let in"), "127.0.0.1", 0, { ssl });
      const { cert, key } = foreignClient;
      const own = { ...trusting, cert, key, maxVersion: version };
      const options = { ssl: own, serverHostname: "localhost" };
      const talk = async () => {
        const [reader] = await openConnection("127.0.0.1", portOf(server), options);
        await reader.read();
      };
      const [error, reported] = await Promise.all([
        assertRejects(talk, SSLError),
        Promise.race([told.next(), letIn]),
      ]);
      assertEquals((reported as SSLError).reason, "UNKNOWN_AUTHORITY");
      assertEquals(error.reason, "PEER_REFUSED_CERTIFICATE");
    });

    test(`a client whose chain is garbage is refused where one is ${mode} (${version})`, async () => {
      using told = collect();
      await using server = await startServer(() => {}, "127.0.0.1", 0, { ssl });
      const socket = tls.connect({
        ...{ host: "127.0.0.1", port: portOf(server), servername: "localhost" },
        ...{ ca: [authority.cert], cert: client.cert + garbage, key: client.key },
        maxVersion: version,
        checkServerIdentity: () => undefined,
      });
      const closed = new Promise((resolve) => socket.once("close", resolve));
      socket.on("error", () => {});
      assertEquals((await told.next() as SSLError).reason, "BAD_CERTIFICATE");
      await closed;
      while (server.connections > 0) await new Promise((resolve) => setTimeout(resolve, 1));
    });
  }

  test(`a server whose chain is garbage is refused (${version})`, async () => {
    const server = tls.createServer({
      ...{ cert: good.cert + garbage, key: good.key, maxVersion: version },
    });
    server.on("tlsClientError", () => {});
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    await assertRefused(port, trusting, "BAD_CERTIFICATE");
    server.close();
    await once(server, "close");
  });

  test(`a client without a certificate knows that one is required (${version})`, async () => {
    using told = collect();
    await using server = await startServer(() => {}, "127.0.0.1", 0, { ssl: demanding });
    const options = { ssl: { ...trusting, maxVersion: version }, serverHostname: "localhost" };
    const error = await assertRejects(async () => {
      const [reader] = await openConnection("127.0.0.1", portOf(server), options);
      await reader.read();
    }, SSLError);
    assertEquals(error.reason, "PEER_REFUSED_CERTIFICATE");
    assertEquals((await told.next() as SSLError).reason, "NO_CERTIFICATE");
  });

  test(`a good client certificate is shown where one is optional (${version})`, async () => {
    const { promise, resolve } = Promise.withResolvers<unknown>();
    const ssl = { ...demanding, rejectUnauthorized: false };
    await using server = await startServer(
      (_, writer) => {
        resolve(writer.getExtraInfo("peercert")?.subject);
        writer.close();
      },
      "127.0.0.1",
      0,
      { ssl },
    );
    await using _peer = startClientPeer(
      ...[portOf(server), authority, flag] as const,
      ...["-cert", client.certFile, "-key", client.keyFile],
    );
    assertEquals(await promise, { CN: "Alice" });
  });
}

const oldRoot = await selfSigned("oldRoot");
const pinned = await selfSigned(
  "pinned",
  "basicConstraints=CA:FALSE",
  "subjectAltName=DNS:localhost",
);
const byPinned = await issueCertificate("byPinned", "DNS:localhost", { authority: "pinned" });
const byOldRoot = await issueCertificate("byOldRoot", "DNS:localhost", { authority: "oldRoot" });

for (const [version, flag] of versions) {
  for (const rejectUnauthorized of [true, false]) {
    const mode = rejectUnauthorized ? "required" : "optional";

    test(`a root of version 1 is no client's without its key, where one is ${mode} (${version})`, async () => {
      using told = collect();
      const ssl = { ...demanding, caCerts: [oldRoot.cert], rejectUnauthorized };
      await using server = await startServer(() => {}, "127.0.0.1", 0, { ssl });
      const keyFile = await stealCertificate(folder, oldRoot.keyFile, foreignClient.keyFile);
      await using peer = startClientPeer(
        ...[portOf(server), authority, flag] as const,
        ...["-cert", oldRoot.certFile, "-key", keyFile],
      );
      assertEquals((await told.next() as SSLError).reason, "BAD_CERTIFICATE");
      await peer.ended();
    });
  }

  test(`a root of version 1 is no server's without its key (${version})`, async () => {
    const keyFile = await stealCertificate(folder, oldRoot.keyFile, foreignClient.keyFile);
    await using peer = await startServerPeer({ ...oldRoot, keyFile }, flag);
    const ssl = { caCerts: [oldRoot.cert], checkHostname: false };
    await assertRefused(peer.port, ssl, "BAD_CERTIFICATE");
  });

  test(`a certificate in caCerts that is no authority vouches for no other (${version})`, async () => {
    const ssl = { caCerts: [pinned.cert, oldRoot.cert] };
    for (
      const [cert, reason] of [[byPinned, "UNKNOWN_AUTHORITY"], [pinned, null], [byOldRoot, null]]
    ) {
      await using peer = await startServerPeer(cert as Certificate, flag);
      if (reason !== null) {
        await assertRefused(peer.port, ssl, reason as string);
        continue;
      }
      const options = { ssl, serverHostname: "localhost" };
      const [, writer] = await openConnection("127.0.0.1", peer.port, options);
      writer.close();
      await writer.waitClosed();
    }
  });
}
