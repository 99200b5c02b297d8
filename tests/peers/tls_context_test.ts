// Contexts: what they may hold, that they are looked at for each connection, and how streams end.
import {
  createDefaultContext,
  getEventLoop,
  openConnection,
  type OpenConnectionOptions,
  type SSLContext,
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
  assertThrows,
} from "@std/assert";
import { checkedCertificates } from "../../net/tls/credentials.ts";
import { openTls } from "../../net/tls/open_tls.ts";
import { planUpgrade } from "../../net/tls/plan.ts";
import { certificates } from "./certificates.ts";
import { test } from "./open_sockets.ts";
import { startServerPeer } from "./openssl.ts";

const { authority, good, other, folder } = await certificates();
const trusting = { caCerts: [authority.cert] };
const unreadable = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

/** Starts a server that says "hello", and calls `use` with its port. */
async function serving(
  ssl: NonNullable<StartServerOptions["ssl"]>,
  use: (port: number) => Promise<void>,
  handle = (_: StreamReader, writer: StreamWriter) => {
    writer.write("hello\n");
    writer.close();
  },
): Promise<void> {
  await using server = await startServer(handle, "127.0.0.1", 0, { ssl });
  await use((server.sockets[0]!.addr as Deno.NetAddr).port);
}

/** Connects and reads all. */
async function hear(port: number, options: OpenConnectionOptions): Promise<string> {
  const [reader, writer] = await openConnection("127.0.0.1", port, {
    serverHostname: "localhost",
    ...options,
  });
  try {
    return new TextDecoder().decode(await reader.read());
  } finally {
    writer.close();
    await writer.waitClosed().catch(() => {});
  }
}

const both: [what: string, text: string][] = [
  ["certificate, then key", good.cert + good.key],
  ["key, then certificate", good.key + good.cert],
  [
    "text around both",
    `Subject: me\r\n${good.key}\nand\n${good.cert}\nbye`.replaceAll("\n", "\r\n"),
  ],
];

for (const [what, text] of both) {
  test(`one PEM file may hold ${what}`, async () => {
    const certFile = await Deno.makeTempFile({ dir: folder });
    await Deno.writeTextFile(certFile, text);
    await serving(createDefaultContext({ certFile }), async (port) => {
      assertEquals(await hear(port, { ssl: trusting }), "hello\n");
    });
    await serving({ sni: { localhost: { cert: text, key: text } } }, async (port) => {
      assertEquals(await hear(port, { ssl: trusting }), "hello\n");
    });
  });
}

test("every certificate of a text is looked at", async () => {
  const { cert, key } = good;
  await assertRejects(
    () => startServer(() => {}, "127.0.0.1", 0, { ssl: { cert: cert + unreadable, key } }),
    RangeError,
    "certificate 2 of cert can't be read",
  );
  const ssl = { caCerts: [authority.cert + unreadable] };
  await assertRejects(() => openConnection("127.0.0.1", 1, { ssl }), RangeError, "caCerts");
});

Deno.test("a context is looked at once, and again when one of its texts is another", () => {
  const context = { ...trusting, cert: good.cert, key: good.key };
  const once = checkedCertificates(context);
  assertEquals(once.authorities?.length, 1);
  assert(checkedCertificates(context) === once);
  context.caCerts = [authority.cert, authority.cert];
  assertEquals(checkedCertificates(context).authorities?.length, 2);
  context.key = other.key;
  assertThrows(() => checkedCertificates(context), RangeError, "does not belong");
  context.key = good.key;
  assertEquals(checkedCertificates(context).authorities?.length, 2);
});

test("createDefaultContext() names the file that has not what it should", async () => {
  const caFile = `${folder}/no.pem`;
  await Deno.writeTextFile(caFile, "hello\n");
  const { message } = assertThrows(() => createDefaultContext({ caFile }), RangeError);
  assertStringIncludes(message, "caFile");
  assertStringIncludes(message, "no.pem");
  assertEquals(message.includes("createDefaultContext"), false);
  const { certFile } = good;
  assertThrows(() => createDefaultContext({ certFile }), RangeError, "keyFile");
});

const renewals: [what: string, change: Record<string, unknown>, text: string][] = [
  ["cert can't be read", { cert: unreadable }, "cert can't be read"],
  ["key belongs to another", { key: other.key }, "does not belong"],
  ["cert is gone", { cert: undefined, key: undefined }, "needs a certificate"],
  ["sni's key belongs to another", { sni: { localhost: { ...good, key: other.key } } }, "sni"],
  [
    "sni throws",
    {
      sni: {
        get localhost() {
          throw new Error("no secrets today");
        },
      },
    },
    "no secrets today",
  ],
];

for (const [what, change, text] of renewals) {
  test(`a context that goes bad while it serves is reported, and ends the handshake (${what})`, async () => {
    const told = Promise.withResolvers<unknown>();
    getEventLoop().setExceptionHandler((_loop, { exception }) => told.resolve(exception));
    try {
      const context = { cert: good.cert, key: good.key };
      await serving(context, async (port) => {
        Object.defineProperties(context, Object.getOwnPropertyDescriptors(change));
        const error = await assertRejects(() => hear(port, { ssl: trusting }), SSLError);
        assertEquals(error.reason, "PROTOCOL_ERROR");
        assertStringIncludes(error.message, "InternalError");
        const reported = await told.promise;
        assertInstanceOf(reported, Error);
        assertStringIncludes(reported.message, text);
        const { cert, key } = good;
        Object.defineProperty(context, "sni", { value: undefined });
        Object.assign(context, { cert, key });
        assertEquals(await hear(port, { ssl: trusting }), "hello\n");
      });
    } finally {
      getEventLoop().setExceptionHandler(null);
    }
  });
}

test("names that are not ASCII are asked for, and served, in ASCII", async () => {
  const { cert, key } = other;
  for (const name of ["BÜCHER.example", "xn--bcher-kva.example"]) {
    await serving({ sni: { [name]: { cert, key } } }, async (port) => {
      for (const serverHostname of ["bücher.example", "XN--BCHER-kva.example."]) {
        const options = { ssl: { ...trusting, checkHostname: false }, serverHostname };
        assertEquals(await hear(port, options), "hello\n");
      }
    });
  }
  await serving({ sni: { "*.bücher.example": { cert, key } } }, async (port) => {
    const ssl = { ...trusting, checkHostname: false };
    assertEquals(await hear(port, { ssl, serverHostname: "a.bücher.example" }), "hello\n");
  });
  for (const serverHostname of ["bü cher.example", "ü/", "ü:80", "me@ü", "ü?", "xn--\u00fc"]) {
    const options = { ssl: true, serverHostname };
    await assertRejects(() => openConnection("127.0.0.1", 1, options), RangeError, "is a ");
  }
});

test("suppressRaggedEofs takes a cut for the end", async () => {
  const cut = async (reader: StreamReader, writer: StreamWriter) => {
    writer.write("hello\nwor");
    await reader.readLine();
    writer.transport.abort();
  };
  await serving({ cert: good.cert, key: good.key }, async (port) => {
    const connect = async (ssl: SSLContext) => {
      const options = { ssl, serverHostname: "localhost" };
      const [reader, writer] = await openConnection("127.0.0.1", port, options);
      await reader.readLine();
      writer.write("cut\n");
      return { reader, writer };
    };
    const strict = await connect(trusting);
    await assertRejects(() => strict.reader.read(), Deno.errors.UnexpectedEof, "goodbye");

    const { reader, writer } = await connect({ ...trusting, suppressRaggedEofs: true });
    assertEquals(await reader.read(), new TextEncoder().encode("wor"));
    assert(reader.atEof());
    writer.close();
    await writer.waitClosed();
  }, cut);
});

test("garbage in place of TLS after the handshake is not NOT_TLS", async () => {
  await using peer = await startServerPeer(good);
  const conn = await Deno.connect({ hostname: "127.0.0.1", port: peer.port });
  let isOver = false;
  const inner = {
    localAddr: conn.localAddr,
    remoteAddr: conn.remoteAddr,
    async read(buffer: Uint8Array) {
      if (!isOver) return await conn.read(buffer);
      buffer.set(new TextEncoder().encode("GET / HTTP/1.1\r\n"));
      return 16;
    },
    write: (data: Uint8Array) => conn.write(data),
    closeWrite: () => conn.closeWrite(),
    close: () => conn.close(),
  };
  const carrier = await openTls(
    inner,
    planUpgrade(trusting, false, { serverHostname: "localhost" }),
  );
  isOver = true;
  const error = await assertRejects(() => carrier.read(new Uint8Array(9)), SSLError);
  carrier.close();
  assertEquals(error.reason, "PROTOCOL_ERROR");
  assert(error.cause instanceof Error);
});
