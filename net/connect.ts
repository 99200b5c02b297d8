/**
 * Opening TCP and Unix connections.
 *
 * @module
 */
import { formatHost } from "./addresses.ts";
import type { Carrier } from "./carrier.ts";
import { connectFirst, interleave } from "./happy_eyeballs.ts";
import { explain } from "./os_error.ts";
import { mayReach } from "./permission.ts";
import { familyOf, resolve } from "./resolve.ts";

/** How long to wait for one address before the next is tried, too, in ms: what the RFC advises. */
const DELAY = 250;

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
  /** How many addresses of the preferred family come first; 0 keeps the system's order. */
  interleave?: number | undefined;
  /** Ends the attempt. */
  signal?: AbortSignal | undefined;
}

/**
 * Opens a TCP connection, with Nagle's algorithm off, as asyncio does.
 *
 * All addresses of the host are tried. Of those that fail, the error lists every one.
 */
export async function connectTcp(init: ConnectTcp): Promise<Carrier> {
  const { host, port, happyEyeballsDelay: delay = DELAY, signal } = init;
  try {
    const addresses = await addressesOf(init);
    const connect = await connector(init, delay);
    const discard = (conn: Carrier) => conn.close();
    try {
      return await connectFirst(addresses, { connect, discard, delay, signal });
    } catch (error) {
      throw error instanceof AggregateError ? summary(addresses, init, error) : error;
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw explain(`cannot connect to ${formatHost(host, port)}`, error);
  }
}

/**
 * The addresses to try, in order. It is the name itself where Deno may connect to that, but not to
 * each of its addresses: Deno then tries them all, and needs no other permission.
 */
async function addressesOf(init: ConnectTcp): Promise<string[]> {
  const { host, port, localAddr, interleave: first = 1 } = init;
  const family = localAddr === undefined ? init.family : familyOf(localAddr.hostname);
  const denoMay = family === 0 && familyOf(host) === 0;
  if (denoMay && !mayReach(formatHost(host, port))) return [host];
  const addresses = await resolve(host, family, { port, signal: init.signal });
  if (denoMay && !addresses.every((address) => mayReach(formatHost(address, port)))) return [host];
  return interleave(addresses, first);
}

/** How to connect to one address. */
async function connector(
  { port, localAddr }: ConnectTcp,
  delay: number,
): Promise<(address: string, signal: AbortSignal) => Promise<Carrier>> {
  if (localAddr === undefined) {
    return async (hostname, signal) =>
      withoutDelay(
        await Deno.connect({ hostname, port, signal, autoSelectFamilyAttemptDelay: delay }),
      );
  }
  const { connectFrom } = await import("./node_socket.ts");
  const local = { hostname: localAddr.hostname, port: localAddr.port ?? 0 };
  return (hostname, signal) => connectFrom(local, { hostname, port }, signal);
}

/** Says which addresses were tried, and why each failed. */
function summary(
  addresses: readonly string[],
  { host, port }: ConnectTcp,
  { errors }: AggregateError,
): Error {
  if (errors.length === 1 && addresses[0] === host) return errors[0];
  const reasons = errors.map(({ message }, index) =>
    `${formatHost(addresses[index]!, port)}: ${message}`
  );
  return new AggregateError(errors, reasons.join("; "));
}

/** Opens a Unix connection. */
export async function connectUnix(path: string, signal?: AbortSignal): Promise<Deno.UnixConn> {
  try {
    return unlessAborted(await Deno.connect({ transport: "unix", path }), signal);
  } catch (error) {
    signal?.throwIfAborted();
    throw explain(`cannot connect to unix:${path.replace("\0", "@")}`, error);
  }
}

/** Closes a connection that came when its caller had stopped waiting. */
function unlessAborted<T extends Deno.Conn>(conn: T, signal: AbortSignal | undefined): T {
  if (signal?.aborted) conn.close();
  signal?.throwIfAborted();
  return conn;
}

/** Turns Nagle's algorithm off, where there is one: it holds pipelined answers back. */
export function withoutDelay<T extends Carrier>(conn: T): T {
  try {
    (conn as Partial<Pick<Deno.TcpConn, "setNoDelay">>).setNoDelay?.(true);
  } catch {
    // The peer has left already: the first read says so.
  }
  return conn;
}
