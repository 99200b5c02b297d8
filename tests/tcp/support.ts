// What the tests over real sockets need.
import { once } from "node:events";
import { connect as connectSocket, type Socket } from "node:net";
import { deadline } from "@std/async";
import { concat } from "@std/bytes";
import { getRunningLoop, openConnection, type Server, startServer } from "@asyncio/streams";
import type {
  ClientConnectedCallback,
  ExceptionContext,
  StartServerOptions,
  StreamReader,
  StreamWriter,
} from "@asyncio/streams";

/** Long enough for what should happen at once on a busy machine, in ms. */
const PATIENCE = 20_000;

/** Waits, but not for ever. */
export function soon<T>(promise: Promise<T>): Promise<T> {
  return deadline(promise, PATIENCE);
}

/** The port of a server's first listener. */
export function portOf(server: Server): number {
  return (server.sockets[0]!.addr as Deno.NetAddr).port;
}

/** A server on loopback. */
export function serve(callback: ClientConnectedCallback, options?: StartServerOptions) {
  return startServer(callback, "127.0.0.1", 0, options);
}

/** Streams to a server. */
export function connect(server: Server): Promise<[StreamReader, StreamWriter]> {
  return openConnection("127.0.0.1", portOf(server));
}

/** A bare connection to a server, to misbehave with. */
export function connectBare(server: Server): Promise<Deno.TcpConn> {
  return Deno.connect({ hostname: "127.0.0.1", port: portOf(server) });
}

/** Two ends of a TCP connection: streams here, a bare connection there. */
export async function pair(): Promise<{
  reader: StreamReader;
  writer: StreamWriter;
  peer: Deno.TcpConn;
}> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const [[reader, writer], peer] = await Promise.all([
    openConnection("127.0.0.1", listener.addr.port),
    listener.accept(),
  ]);
  return { reader, writer, peer };
}

/**
 * Streams whose peer can reset the connection, which `Deno.Conn.close()` never does: it says
 * goodbye first.
 */
export async function resettable(): Promise<{
  reader: StreamReader;
  writer: StreamWriter;
  peer: Socket;
}> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const peer = connectSocket(listener.addr.port, "127.0.0.1");
  const connected = once(peer, "connect");
  const [reader, writer] = await openConnection({ sock: await listener.accept() });
  await connected;
  return { reader, writer, peer };
}

/** Reads a bare connection to its end; it stays open. */
export async function readAll(conn: Deno.Conn): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for (;;) {
    const buffer = new Uint8Array(262_144);
    const n = await conn.read(buffer);
    if (n === null) return concat(pieces);
    pieces.push(buffer.subarray(0, n));
  }
}

/** Writes all of `data` to a bare connection. */
export async function writeAll(conn: Deno.Conn, data: Uint8Array): Promise<void> {
  for (let at = 0; at < data.length;) at += await conn.write(data.subarray(at));
}

/** Collects what goes to the loop's exception handler while it is in use. */
export class Reports implements Disposable {
  readonly contexts: ExceptionContext[] = [];
  #next = Promise.withResolvers<ExceptionContext>();

  constructor() {
    getRunningLoop().setExceptionHandler((_loop, context) => {
      this.contexts.push(context);
      this.#next.resolve(context);
      this.#next = Promise.withResolvers();
    });
  }

  /** Waits for the next one. */
  next(): Promise<ExceptionContext> {
    return soon(this.#next.promise);
  }

  [Symbol.dispose](): void {
    getRunningLoop().setExceptionHandler(null);
  }
}
