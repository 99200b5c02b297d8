import {
  createDefaultContext,
  getEventLoop,
  openConnection,
  openUnixConnection,
  Protocol,
  type Server,
  SSLError,
  startServer,
  startUnixServer,
  StreamReader,
  StreamReaderProtocol,
  type StreamWriter,
  type Transport,
} from "@asyncio/streams";
import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { openTls } from "../../net/tls/open_tls.ts";
import { planUpgrade } from "../../net/tls/plan.ts";
import { certificates } from "./certificates.ts";
import { test } from "./open_sockets.ts";

const { folder, authority, good, other } = await certificates();
const ssl = createDefaultContext({ caFile: authority.certFile });
const serverContext = createDefaultContext({ certFile: good.certFile, keyFile: good.keyFile });
const serverHostname = "localhost";
const decoder = new TextDecoder();

type Handler = (reader: StreamReader, writer: StreamWriter) => Promise<void>;
type Streams = [StreamReader, StreamWriter];

/** Joins a server's handler and a client, and waits for both. */
async function talk(serve: Handler, use: Handler, unix = false): Promise<void> {
  const handled = Promise.withResolvers<void>();
  const handle: Handler = async (reader, writer) => {
    try {
      await serve(reader, writer);
      writer.close();
      await writer.waitClosed().catch(() => {});
      handled.resolve();
    } catch (error) {
      writer.transport.abort();
      handled.reject(error);
    }
  };
  handled.promise.catch(() => {});
  const [server, [reader, writer]] = unix ? await overUnix(handle) : await overTcp(handle);
  try {
    await Promise.all([use(reader, writer), handled.promise]);
  } finally {
    writer.close();
    await writer.waitClosed().catch(() => {});
    server.close();
    await server.waitClosed();
  }
  assertEquals(server.connections, 0);
}

async function overTcp(handle: Handler): Promise<[Server, Streams]> {
  const server = await startServer(handle, "127.0.0.1", 0);
  const { port } = server.sockets[0]!.addr as Deno.NetAddr;
  return [server, await openConnection("127.0.0.1", port)];
}

async function overUnix(handle: Handler): Promise<[Server, Streams]> {
  const path = `${folder}/upgrade.sock`;
  const server = await startUnixServer(handle, path);
  return [server, await openUnixConnection(path)];
}

async function readText(reader: StreamReader): Promise<string> {
  return decoder.decode(await reader.readLine()).trimEnd();
}

for (const unix of [false, true]) {
  test(`startTls() keeps the streams, and the order of what was written (${unix ? "Unix" : "TCP"})`, async () => {
    await talk(
      async (reader, writer) => {
        assertEquals(await readText(reader), "before");
        writer.write("in the clear\n");
        const started = writer.startTls(serverContext);
        writer.write("encrypted\n");
        await started;
        assertEquals(await readText(reader), "meanwhile");
        assertEquals(writer.getExtraInfo("cipher")?.[1], "TLSv1.3");
      },
      async (reader, writer) => {
        assertEquals(writer.getExtraInfo("sslcontext"), null);
        assertEquals(writer.canWriteEof(), true);
        writer.write("before\n");
        assertEquals(await readText(reader), "in the clear");
        const started = writer.startTls(ssl, { serverHostname });
        writer.write("meanwhile\n");
        await started;
        assertEquals(writer.getExtraInfo("sslcontext"), ssl);
        assertEquals(writer.canWriteEof(), false);
        assertEquals(await readText(reader), "encrypted");
        assertEquals(await readText(reader), "");
        assert(reader.atEof());
      },
      unix,
    );
  });

  test(`TLS from the first byte over ${unix ? "a Unix socket" : "an open connection"}`, async () => {
    const handle: Handler = async (reader, writer) => {
      writer.write(await reader.readLine());
      writer.close();
      await writer.waitClosed();
    };
    const path = `${folder}/tls.sock`;
    await using server = unix
      ? await startUnixServer(handle, path, { ssl: serverContext })
      : await startServer(handle, { sock: Deno.listen({ port: 0 }), ssl: serverContext });
    const options = { ssl, serverHostname };
    const [reader, writer] = unix ? await openUnixConnection(path, options) : await openConnection({
      sock: await Deno.connect({ port: (server.sockets[0]!.addr as Deno.NetAddr).port }),
      ...options,
    });
    writer.write("hello\n");
    assertEquals(await readText(reader), "hello");
    assertEquals(await readText(reader), "");
    await writer.waitClosed();
  });
}

test("a hello that came before startTls() is the engine's first input", async () => {
  const greeted = Promise.withResolvers<void>();
  await talk(
    async (reader, writer) => {
      await greeted.promise;
      assertEquals(await readText(reader), "STARTTLS");
      await writer.startTls(serverContext);
      writer.write("hello\n");
    },
    async (reader, writer) => {
      writer.write("STARTTLS\n");
      const started = writer.startTls(ssl, { serverHostname });
      await writer.drain();
      setTimeout(() => greeted.resolve(), 50); // The hello has been sent by then, or comes later.
      await started;
      assertEquals(await readText(reader), "hello");
    },
  );
});

for (const unix of [false, true]) {
  test(
    `cleartext that was smuggled in before TLS never comes out as if it had been encrypted (${
      unix ? "Unix" : "TCP"
    })`,
    async () => {
      await talk(
        async (reader, writer) => {
          assertEquals(await readText(reader), "STARTTLS");
          const error = await assertRejects(() => writer.startTls(serverContext), SSLError);
          assertEquals(error.reason, "NOT_TLS");
          assertEquals(await assertRejects(() => reader.readLine()), error);
          assertEquals(await assertRejects(() => writer.waitClosed()), error);
        },
        async (reader, writer) => {
          writer.write("STARTTLS\nDELETE everything\n");
          await reader.read().catch((error) =>
            assertInstanceOf(error, Deno.errors.ConnectionReset)
          );
        },
        unix,
      );
      // The same from the server's side.
      await talk(
        async (reader, writer) => {
          writer.write("go ahead\n250 all is well\n");
          await reader.read().catch((error) =>
            assertInstanceOf(error, Deno.errors.ConnectionReset)
          );
        },
        async (reader, writer) => {
          assertEquals(await readText(reader), "go ahead");
          const error = await assertRejects(
            () => writer.startTls(ssl, { serverHostname }),
            SSLError,
          );
          assertEquals(error.reason, "NOT_TLS");
          assertEquals(await assertRejects(() => reader.readLine()), error);
        },
        unix,
      );
    },
  );
}

test("so it is where a protocol has handed its connection over to streams", async () => {
  const loop = getEventLoop();
  const refused = Promise.withResolvers<SSLError>();
  const serve: Handler = async (reader, writer) => {
    assertEquals(await readText(reader), "STARTTLS");
    refused.resolve(await assertRejects(() => writer.startTls(serverContext)) as SSLError);
  };
  /** Looks at the first bytes, then hands over as asyncio's documentation does. */
  class Sniffer extends Protocol {
    #transport!: Transport;
    override connectionMade(transport: Transport): void {
      this.#transport = transport;
    }
    override dataReceived(data: Uint8Array): void {
      const protocol = new StreamReaderProtocol(new StreamReader(), serve, loop);
      this.#transport.setProtocol(protocol);
      protocol.connectionMade(this.#transport);
      protocol.dataReceived(data);
    }
  }
  const server = await loop.createServer(() => new Sniffer(), "127.0.0.1", 0);
  const { port } = server.sockets[0]!.addr as Deno.NetAddr;
  const [reader, writer] = await openConnection("127.0.0.1", port);
  writer.write("STARTTLS\nDELETE everything\n250 OK");
  const error = await refused.promise;
  assertInstanceOf(error, SSLError);
  assertEquals(error.reason, "NOT_TLS");
  await reader.read().catch(() => {});
  writer.transport.abort();
  server.close();
  server.abortClients();
  await server.waitClosed();
});

test("a read that was given up before startTls() and one begun meanwhile get what comes over TLS", async () => {
  await talk(
    async (reader, writer) => {
      assertEquals(await readText(reader), "STARTTLS");
      await writer.startTls(serverContext);
      writer.write("one\n");
      assertEquals(await readText(reader), "more");
      writer.write("two\n");
    },
    async (reader, writer) => {
      // The connection's own read stays under way: the handshake takes it over.
      const signal = AbortSignal.timeout(1);
      await assertRejects(() => reader.readLine({ signal }), DOMException);
      writer.write("STARTTLS\n");
      const started = writer.startTls(ssl, { serverHostname });
      const line = readText(reader);
      await started;
      assertEquals(await line, "one");
      writer.write("more\n");
      assertEquals(await readText(reader), "two");
    },
  );
});

test("close() during startTls() sends what was written meanwhile, over TLS", async () => {
  await talk(
    async (reader, writer) => {
      await writer.startTls(serverContext);
      assertEquals(await readText(reader), "last words");
      assertEquals(await readText(reader), "");
    },
    async (_, writer) => {
      const started = writer.startTls(ssl, { serverHostname });
      writer.write("last words\n");
      writer.close();
      await started;
    },
  );
});

test("startTls() is refused while a read waits, after the end, and twice at once", async () => {
  await talk(
    async (reader, writer) => {
      await writer.startTls(serverContext);
      assertEquals(await readText(reader), "done");
    },
    async (reader, writer) => {
      const controller = new AbortController();
      const reading = reader.readLine({ signal: controller.signal });
      await assertRejects(() => writer.startTls(ssl, { serverHostname }), Error, "a read waits");
      controller.abort();
      await assertRejects(() => reading, DOMException);
      // The aborted read has left the carrier's read under way: TLS takes it over.
      const started = writer.startTls(ssl, { serverHostname });
      await assertRejects(() => writer.startTls(ssl, { serverHostname }), Error, "about to begin");
      await started;
      writer.write("done\n");
      writer.close();
      await assertRejects(() => writer.startTls(ssl, { serverHostname }), Error, "closed or lost");
    },
  );
});

test("bad arguments of startTls() leave the connection as it was", async () => {
  await talk(
    async (reader, writer) => {
      await assertRejects(() => writer.startTls(true), TypeError);
      await assertRejects(() => writer.startTls({}), RangeError, "certificate");
      const options = { serverHostname };
      await assertRejects(() => writer.startTls(serverContext, options), RangeError, "for clients");
      const { cert } = good;
      const unreadable = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
      await assertRejects(
        () => writer.startTls({ cert, key: other.key }),
        RangeError,
        "does not belong",
      );
      await assertRejects(
        () => writer.startTls({ cert: unreadable, key: other.key }),
        RangeError,
        "can't be read",
      );
      assertEquals(await readText(reader), "still here");
    },
    async (_reader, writer) => {
      await assertRejects(() => writer.startTls(ssl), RangeError, "serverHostname is needed");
      await assertRejects(() => writer.startTls(ssl, { serverHostname: "" }), RangeError);
      await assertRejects(() => writer.startTls(null as unknown as true), TypeError);
      const bad = { serverHostname, sslHandshakeTimeout: 0 };
      await assertRejects(() => writer.startTls(ssl, bad), RangeError, "sslHandshakeTimeout");
      const noSignal = { serverHostname, signal: 7 as unknown as AbortSignal };
      await assertRejects(() => writer.startTls(ssl, noSignal), TypeError, "signal");
      const reason = new Error("too late");
      const aborted = { serverHostname, signal: AbortSignal.abort(reason) };
      assertEquals(await assertRejects(() => writer.startTls(ssl, aborted)), reason);
      writer.write("still here\n");
    },
  );
});

test("a server for another host is refused, and told so, and the connection is lost", async () => {
  const { cert, key } = other;
  await talk(
    async (_reader, writer) => {
      const error = await assertRejects(() => writer.startTls({ cert, key }), SSLError);
      assertEquals(error.reason, "PEER_REFUSED_CERTIFICATE");
    },
    async (reader, writer) => {
      const error = await assertRejects(() => writer.startTls(ssl, { serverHostname }), SSLError);
      assertEquals(error.reason, "WRONG_HOST");
      assertEquals(await assertRejects(() => reader.readLine()), error);
    },
  );
});

test("a peer that answers startTls() with silence, or leaves, is an error", async () => {
  await talk(
    async (reader) => void await reader.read().catch(() => {}),
    async (_reader, writer) => {
      const options = { serverHostname, sslHandshakeTimeout: 50 };
      const error = await assertRejects(() => writer.startTls(ssl, options), SSLError);
      assertEquals(error.reason, "HANDSHAKE_TIMEOUT");
    },
  );
  await talk(
    async (_reader, writer) => {
      const options = { sslHandshakeTimeout: 50 };
      const error = await assertRejects(() => writer.startTls(serverContext, options), SSLError);
      assertEquals(error.reason, "HANDSHAKE_TIMEOUT");
    },
    async (reader) => void await reader.read().catch(() => {}),
  );
  await talk(
    async (reader) => void await reader.readExactly(1),
    async (_reader, writer) => {
      const error = await assertRejects(() => writer.startTls(ssl, { serverHostname }));
      if (!(error instanceof Deno.errors.ConnectionReset)) {
        assertEquals((error as SSLError).reason, "UNEXPECTED_EOF");
      }
    },
  );
});

test("abort() ends a handshake", async () => {
  await talk(
    async (reader) => void await reader.read().catch(() => {}),
    async (_reader, writer) => {
      const started = writer.startTls(ssl, { serverHostname });
      setTimeout(() => writer.transport.abort(), 20);
      await assertRejects(() => started, Deno.errors.ConnectionAborted);
      await writer.waitClosed();
    },
  );
});

test("a signal ends an upgrade, and the connection with it", async () => {
  const reason = new Error("changed my mind");
  await talk(
    async (reader) => void await reader.read().catch(() => {}),
    async (reader, writer) => {
      const controller = new AbortController();
      const { signal } = controller;
      const started = writer.startTls(ssl, { serverHostname, signal });
      setTimeout(() => controller.abort(reason), 20);
      assertEquals(await assertRejects(() => started), reason);
      assertEquals(await assertRejects(() => reader.read()), reason);
    },
  );
});

/** Calls `use` with a connection to a server that says nothing. */
async function silent(use: (conn: Deno.Conn) => Promise<void>): Promise<void> {
  const handle = async (reader: StreamReader, writer: StreamWriter) => {
    await reader.read().catch(() => {});
    writer.close();
  };
  await using server = await startServer(handle, "127.0.0.1", 0);
  const { port } = server.sockets[0]!.addr as Deno.NetAddr;
  await use(await Deno.connect({ hostname: "127.0.0.1", port }));
}

test("the handshake's time runs, and its signal counts, while what comes before it is sent", async () => {
  const { promise: never } = Promise.withResolvers<void>();
  await silent(async (conn) => {
    const plan = planUpgrade(ssl, false, { serverHostname, sslHandshakeTimeout: 20 });
    const error = await assertRejects(() => openTls(conn, plan, { after: never }), SSLError);
    assertEquals(error.reason, "HANDSHAKE_TIMEOUT");
  });
  await silent(async (conn) => {
    const reason = new Error("changed my mind");
    const controller = new AbortController();
    const plan = planUpgrade(ssl, false, { serverHostname, signal: controller.signal });
    const opening = openTls(conn, plan, { after: never });
    setTimeout(() => controller.abort(reason), 20);
    assertEquals(await assertRejects(() => opening), reason);
  });
  await silent(async (conn) => {
    const reason = new Deno.errors.BrokenPipe("gone");
    const plan = planUpgrade(ssl, false, { serverHostname });
    const opening = openTls(conn, plan, { after: Promise.reject(reason) });
    await assertRejects(() => opening, Deno.errors.BrokenPipe, "gone");
  });
});

/** Collects what comes. */
class Collector extends Protocol {
  text = "";
  made = 0;
  readonly lost = Promise.withResolvers<Error | null>();
  wanted: { text: string; resolve: () => void } | null = null;

  override connectionMade(_transport: Transport): void {
    this.made++;
  }

  override dataReceived(data: Uint8Array): void {
    this.text += decoder.decode(data);
    if (this.wanted && this.text.includes(this.wanted.text)) this.wanted.resolve();
  }

  override connectionLost(error: Error | null): void {
    this.lost.resolve(error);
  }

  has(text: string): Promise<void> {
    if (this.text.includes(text)) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.wanted = { text, resolve };
    return promise;
  }
}

test("loop.startTls() hands the cleartext to a protocol, on both sides", async () => {
  const loop = getEventLoop();
  const accepted = Promise.withResolvers<[Transport, Collector]>();
  class Accepted extends Collector {
    override connectionMade(transport: Transport) {
      accepted.resolve([transport, this]);
    }
  }
  await using server = await loop.createServer(() => new Accepted(), "127.0.0.1", 0);
  const { port } = server.sockets[0]!.addr as Deno.NetAddr;
  const [transport, clear] = await loop.createConnection(() => new Collector(), "127.0.0.1", port);
  transport.write("STARTTLS");
  const [serverTransport, serverClear] = await accepted.promise;
  await serverClear.has("STARTTLS");
  const [atServer, atClient] = [new Collector(), new Collector()];
  const options = { serverHostname };
  const [upgraded, upgradedServer] = await Promise.all([
    loop.startTls(transport, atClient, ssl, options),
    loop.startTls(serverTransport, atServer, serverContext, { serverSide: true }),
  ]);
  assertEquals(upgraded.getProtocol(), atClient);
  upgraded.write("question");
  await atServer.has("question");
  upgradedServer.write("answer");
  await atClient.has("answer");
  assertEquals(upgraded.getExtraInfo("peercert")?.subject, { CN: "localhost" });
  upgraded.close();
  assertEquals(await atClient.lost.promise, null);
  assertEquals(await atServer.lost.promise, null);
  assertEquals([clear.text, serverClear.text, atClient.made], ["", "STARTTLS", 0]);
});

test("loop.startTls() refuses transports that are not a connection's", async () => {
  const loop = getEventLoop();
  const nothing = {} as unknown as Transport;
  await assertRejects(() => loop.startTls(nothing, new Protocol(), ssl), TypeError);
});

test("loop.startTls() after a protocol took over a read that was under way", async () => {
  for (const abort of [true, false]) {
    const [server, [reader, writer]] = await overTcp(async (reader, writer) => {
      await using _ = writer;
      await reader.readLine();
      await writer.startTls(serverContext);
      writer.write("over TLS");
    });
    await using _ = server;
    const controller = new AbortController();
    const read = abort
      ? reader.read(5, { signal: controller.signal })
      : reader.readInto(new Uint8Array(65_536));
    read.catch(() => {});
    controller.abort();
    const got: string[] = [];
    const { promise: lost, resolve } = Promise.withResolvers<void>();
    class Heir extends Protocol {
      override dataReceived(data: Uint8Array): void {
        got.push(decoder.decode(data));
      }
      override connectionLost(): void {
        resolve();
      }
    }
    const heir = new Heir();
    const transport = writer.transport as Transport;
    transport.setProtocol(heir);
    transport.write("STARTTLS\n");
    await getEventLoop().startTls(transport, heir, ssl, { serverHostname });
    await lost;
    assertEquals(got.join(""), "over TLS");
  }
});
