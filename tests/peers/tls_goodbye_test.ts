import {
  openConnection,
  startServer,
  type StreamReader,
  type StreamWriter,
} from "@asyncio/streams";
import { assert, assertEquals } from "@std/assert";
import { delay } from "@std/async/delay";
import { once } from "node:events";
import { connect } from "node:net";
import type { Carrier } from "../../net/carrier.ts";
import { DuplexCarrier } from "../../net/duplex_carrier.ts";
import { openTls } from "../../net/tls/open_tls.ts";
import { planUpgrade } from "../../net/tls/plan.ts";
import { certificates } from "./certificates.ts";
import { test } from "./open_sockets.ts";
import { startServerPeer } from "./openssl.ts";
import { PythonPeer } from "./python_peer.ts";

const { authority, good } = await certificates();
const trusting = { caCerts: [authority.cert] };
const options = { serverHostname: "localhost" };

/** A connection that writes in a way of its own. */
function through(conn: Deno.Conn, write: Carrier["write"]): Carrier {
  return {
    localAddr: conn.localAddr,
    remoteAddr: conn.remoteAddr,
    read: (buffer) => conn.read(buffer),
    write,
    closeWrite: () => conn.closeWrite(),
    close: () => conn.close(),
  };
}

test("sslShutdownTimeout bounds a goodbye that the peer has no room for", async () => {
  await using peer = await startServerPeer(good);
  const conn = await Deno.connect({ hostname: "127.0.0.1", port: peer.port });
  let stuck = false;
  let goodbyes = 0;
  const inner = through(conn, (data) => {
    if (!stuck) return conn.write(data);
    goodbyes++; // Sent by the engine, and never taken.
    return Promise.withResolvers<number>().promise;
  });
  const plan = planUpgrade(trusting, false, { ...options, sslShutdownTimeout: 50 });
  const carrier = await openTls(inner, plan);
  stuck = true;
  const start = performance.now();
  await carrier.goodbye!();
  const took = performance.now() - start;
  carrier.close();
  assertEquals(goodbyes, 1);
  assert(took >= 45 && took < 5_000, `${took} ms`);
});

test("sslShutdownTimeout bounds listening to a peer that goes on sending, too", async () => {
  await using peer = await startServerPeer(good);
  const conn = await Deno.connect({ hostname: "127.0.0.1", port: peer.port });
  let reads = 0;
  const inner: Carrier = {
    ...through(conn, (data) => conn.write(data)),
    read: (buffer) => reads === 0 ? conn.read(buffer) : ++reads > 2 ? more : Promise.resolve(1),
    close() {
      interrupt(new Deno.errors.Interrupted("closed"));
      conn.close();
    },
  };
  const { promise: more, reject: interrupt } = Promise.withResolvers<number>();
  const plan = planUpgrade(trusting, false, { ...options, sslShutdownTimeout: 50 });
  const carrier = await openTls(inner, plan);
  reads = 1;
  const start = performance.now();
  await carrier.goodbye!();
  const took = performance.now() - start;
  carrier.close();
  assert(took >= 45 && took < 1_000, `${took} ms`);
});

test("close() ends at once where the peer has reset the connection", async () => {
  const mayClose = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<number>();
  const handle = async (_reader: StreamReader, writer: StreamWriter) => {
    await mayClose.promise;
    const start = performance.now();
    writer.close(); // Nobody reads, so it is the goodbye that runs into the reset.
    await writer.waitClosed();
    closed.resolve(performance.now() - start);
  };
  const ssl = { cert: good.cert, key: good.key };
  await using server = await startServer(handle, "127.0.0.1", 0, {
    ssl,
    sslShutdownTimeout: 5_000,
  });
  const { port } = server.sockets[0]!.addr as Deno.NetAddr;
  const socket = connect(port, "127.0.0.1");
  const inner = new DuplexCarrier(socket, { localAddr: null, remoteAddr: null });
  const carrier = await openTls(inner, planUpgrade(trusting, false, options));
  const reset = once(socket, "close");
  socket.resetAndDestroy();
  await reset;
  carrier.close();
  mayClose.resolve();
  const took = await closed.promise;
  assert(took < 1_000, `${took} ms`);
});

test("goodbye() ends at once where sending it fails", async () => {
  await using peer = await startServerPeer(good);
  const conn = await Deno.connect({ hostname: "127.0.0.1", port: peer.port });
  let gone = false;
  const inner = through(conn, async (data) => {
    if (!gone) return await conn.write(data);
    await delay(1); // It was on its way.
    throw new Deno.errors.BrokenPipe("gone");
  });
  const plan = planUpgrade(trusting, false, { ...options, sslShutdownTimeout: 5_000 });
  const carrier = await openTls(inner, plan);
  gone = true;
  const start = performance.now();
  await carrier.goodbye!();
  const took = performance.now() - start;
  carrier.close();
  assert(took < 1_000, `${took} ms`);
});

const data = new Uint8Array(16 * 1024 * 1024).map((_, i) => (i * 31) >> 7);
const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", data)).toHex();

async function sendAndClose(reader: StreamReader, writer: StreamWriter): Promise<void> {
  await reader.readExactly(1_000_000); // The flood has begun.
  writer.write(data);
  writer.close();
  await writer.waitClosed();
}

for (const version of ["TLSv1.2", "TLSv1.3"]) {
  test(`close() of a client loses nothing where the server sends without end (${version})`, async () => {
    await using python = new PythonPeer("flooding-server", version);
    const streams = await openConnection("127.0.0.1", await python.port(), {
      ssl: trusting,
      ...options,
    });
    await sendAndClose(...streams);
    assertEquals(await python.line(), `${data.length} ${digest}`);
    await python.endsWell();
  });

  test(`close() of a server loses nothing where the client sends without end (${version})`, async () => {
    const ssl = { cert: good.cert, key: good.key };
    await using server = await startServer(sendAndClose, "127.0.0.1", 0, { ssl });
    const { port } = server.sockets[0]!.addr as Deno.NetAddr;
    await using python = new PythonPeer("flooding-client", String(port), version);
    assertEquals(await python.line(), `${data.length} ${digest}`);
    await python.endsWell();
  });
}

test("close() loses nothing where half a record has come", async () => {
  const halfCame = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<void>();
  const handle = async (_reader: StreamReader, writer: StreamWriter) => {
    await halfCame.promise;
    writer.write(data.subarray(0, 1_000_000)); // Less than the system's buffers hold.
    writer.close();
    await writer.waitClosed();
    closed.resolve();
  };
  const ssl = { cert: good.cert, key: good.key };
  await using server = await startServer(handle, "127.0.0.1", 0, { ssl });
  const { port } = server.sockets[0]!.addr as Deno.NetAddr;
  const conn = await Deno.connect({ hostname: "127.0.0.1", port });
  let halve = false;
  const write = async (record: Uint8Array) => {
    await conn.write(halve ? record.subarray(0, record.length / 2) : record);
    return record.length;
  };
  const carrier = await openTls(through(conn, write), planUpgrade(trusting, false, options));
  halve = true;
  await carrier.write(new Uint8Array(16_000));
  halfCame.resolve();
  // Closed at once, the connection is reset: what was sent is gone. Otherwise the server waits.
  await Promise.race([closed.promise, delay(200)]);
  const buffer = new Uint8Array(65_536);
  let length = 0;
  for (let n; (n = await carrier.read(buffer)) !== null;) length += n;
  carrier.close();
  assertEquals(length, 1_000_000);
});
