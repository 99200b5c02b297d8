/**
 * Opening TCP and Unix connections.
 *
 * @module
 */
import { formatHost } from "./addresses.ts";
import type { Carrier } from "./carrier.ts";
import { explain } from "./os_error.ts";
import { resolve } from "./resolve.ts";

/** The address to connect from. */
export interface LocalAddr {
  /** A numeric address of this machine. */
  hostname: string;
  /** The port; a free one by default. */
  port?: number | undefined;
}

/** Where and how to connect. */
export interface ConnectTcp {
  /** The host's name or address. */
  host: string;
  /** Its port. */
  port: number;
  /** Which addresses to use; 0 means both. */
  family: 0 | 4 | 6;
  /** The address to connect from. */
  localAddr?: LocalAddr | undefined;
  /** How long to wait for one address before the next is tried, too, in ms. */
  happyEyeballsDelay?: number | undefined;
  /** Ends the attempt. */
  signal?: AbortSignal | undefined;
}

/** Opens a TCP connection, with Nagle's algorithm off, as asyncio does. */
export async function connectTcp(init: ConnectTcp): Promise<Carrier> {
  const { host, port, family, localAddr, signal } = init;
  const what = `cannot connect to ${formatHost(host, port)}`;
  try {
    if (localAddr !== undefined) {
      const { connectFrom } = await import("./node_socket.ts");
      return await connectFrom(localAddr, { host, port, family, signal });
    }
    const hosts = family === 0 ? [host] : await resolve(host, family);
    return withoutDelay(await connectFirst(hosts, init));
  } catch (error) {
    signal?.throwIfAborted();
    throw explain(what, error);
  }
}

/** Connects to the first of `hosts` that answers. */
async function connectFirst(hosts: readonly string[], init: ConnectTcp): Promise<Deno.TcpConn> {
  const { port, signal, happyEyeballsDelay } = init;
  const errors: unknown[] = [];
  for (const hostname of hosts) {
    try {
      return await Deno.connect({
        hostname,
        port,
        ...(signal && { signal }),
        ...(happyEyeballsDelay && { autoSelectFamilyAttemptDelay: happyEyeballsDelay }),
      });
    } catch (error) {
      signal?.throwIfAborted();
      errors.push(error);
    }
  }
  throw errors.at(-1);
}

/** Opens a Unix connection. */
export async function connectUnix(path: string, signal?: AbortSignal): Promise<Deno.UnixConn> {
  try {
    const conn = await Deno.connect({ transport: "unix", path });
    if (signal?.aborted) conn.close();
    signal?.throwIfAborted();
    return conn;
  } catch (error) {
    signal?.throwIfAborted();
    throw explain(`cannot connect to unix:${path.replace("\0", "@")}`, error);
  }
}

/** Turns Nagle's algorithm off, where there is one: it holds pipelined answers back. */
export function withoutDelay<T extends Deno.Conn>(conn: T): T {
  try {
    (conn as Partial<Deno.TcpConn>).setNoDelay?.(true);
  } catch {
    // The peer has left already: the first read says so.
  }
  return conn;
}
