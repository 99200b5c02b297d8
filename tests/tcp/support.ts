// What the tests over real sockets need.
import { deadline } from "@std/async";
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

/** Closes a connection so that its peer gets a reset: with bytes unread. */
export async function reset(peer: Deno.TcpConn, writer: StreamWriter): Promise<void> {
  writer.write("never read");
  await writer.drain();
  const first = new Uint8Array(1);
  await peer.read(first); // They have arrived, the others are still unread.
  peer.close();
}

/** Reads a bare connection to its end. */
export async function readAll(conn: Deno.Conn): Promise<Uint8Array> {
  return new Uint8Array(await new Response(conn.readable).arrayBuffer());
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
