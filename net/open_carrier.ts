/**
 * From what callers of `createConnection` and `openConnection` give to an open carrier.
 *
 * @module
 */
import type { Carrier } from "./carrier.ts";
import { connectTcp, connectUnix, type LocalAddr, withoutDelay } from "./connect.ts";
import { familyOf } from "./resolve.ts";
import type { Socket } from "./socket.ts";
import { openTls, prepareTls } from "./tls/open_tls.ts";
import { type ClientSSLOptions, planClient, type ServerSSLOptions } from "./tls/plan.ts";
import {
  checkEither,
  checkFamily,
  checkHost,
  checkNumber,
  checkPort,
  checkSignal,
  checkSockGiven,
  checkUnixPath,
  isOptions,
  show,
} from "./validate.ts";

/** Options of everything that opens a connection. */
export interface ConnectionOptions {
  /** Ends the wait; once the promise has settled it has no effect. */
  signal?: AbortSignal | undefined;
}

/** Options of {@linkcode EventLoop.createConnection}. */
export interface CreateConnectionOptions extends ConnectionOptions, ClientSSLOptions {
  /**
   * Which addresses to use: IPv4, IPv6, or both (0).
   *
   * @default {0}
   */
  family?: 0 | 4 | 6 | undefined;
  /** The address of this machine to connect from; the system chooses by default. */
  localAddr?: LocalAddr | undefined;
  /**
   * How long to wait for one of the host's addresses before the next is tried, too, in ms.
   *
   * @default {250}
   */
  happyEyeballsDelay?: number | undefined;
  /**
   * How many addresses of the preferred family are tried before the first of the other one; from
   * there on the families take turns. 0 keeps the system's order.
   *
   * @default {1}
   */
  interleave?: number | undefined;
}

/** Options of {@linkcode EventLoop.createConnection} over a connection that is open already. */
export interface CreateConnectionSockOptions extends ConnectionOptions, ClientSSLOptions {
  /** The connection; it is closed with the transport. */
  sock: Deno.Conn | Socket;
}

/** Options of {@linkcode EventLoop.createUnixConnection}. */
export interface CreateUnixConnectionOptions extends ConnectionOptions, ClientSSLOptions {
  /** A connection that is open already, to use instead of a path. */
  sock?: Deno.Conn | Socket | undefined;
}

/** Options of {@linkcode EventLoop.connectAcceptedSocket}. */
export interface ConnectAcceptedSocketOptions extends ConnectionOptions, ServerSSLOptions {}

/** Connects to `host`, or takes the connection that is given in its place. */
export async function openCarrier(
  host: string | CreateConnectionSockOptions,
  port: number | undefined,
  options: CreateConnectionOptions,
): Promise<Carrier> {
  if (isOptions(host)) {
    checkSockGiven(host);
    return await withTls(() => checkConn(host.sock), host, null);
  }
  checkEither("host", host, (options as Partial<CreateConnectionSockOptions>).sock);
  const { family = 0, localAddr, happyEyeballsDelay, interleave, signal } = options;
  if (localAddr !== undefined) checkLocalAddr(localAddr, family);
  if (happyEyeballsDelay !== undefined) checkNumber("happyEyeballsDelay", happyEyeballsDelay, 0);
  if (interleave !== undefined) checkNumber("interleave", interleave, 0);
  checkSignal(signal);
  const init = {
    host: checkHost("host", host),
    port: checkPort("port", port, 1),
    family: checkFamily(family),
    localAddr,
    happyEyeballsDelay,
    interleave,
    signal,
  };
  return await withTls(() => connectTcp(init), options, init.host);
}

function checkLocalAddr(localAddr: LocalAddr, family: 0 | 4 | 6): void {
  const own = familyOf(checkHost("localAddr.hostname", localAddr.hostname));
  checkPort("localAddr.port", localAddr.port ?? 0, 0);
  if (own === 0) {
    throw new RangeError(
      `localAddr.hostname is a numeric address, not ${show(localAddr.hostname)}`,
    );
  }
  if (family !== 0 && own !== family) {
    throw new RangeError(`localAddr.hostname ${localAddr.hostname} is not of family ${family}`);
  }
}

/** Connects to the Unix socket at `path`, or takes the connection that is given. */
export async function openUnixCarrier(
  path: string | URL | null,
  options: CreateUnixConnectionOptions,
): Promise<Carrier> {
  const { sock, signal } = options;
  checkEither("path", path, sock);
  if (sock !== undefined) return await withTls(() => checkConn(sock), options, null);
  const checked = checkUnixPath(path);
  return await withTls(() => connectUnix(checked, signal), options, null);
}

/** Opens a carrier, and TLS over it where the options say so; they are checked before. */
async function withTls(
  open: () => Carrier | Promise<Carrier>,
  options: ConnectionOptions & ClientSSLOptions,
  host: string | null,
): Promise<Carrier> {
  const { signal } = options;
  checkSignal(signal);
  const plan = planClient(options, host);
  if (plan === null) return await open();
  await prepareTls(plan);
  return await openTls(await open(), plan, { signal });
}

/** Checks an open connection, and turns its Nagle's algorithm off. */
export function checkConn(sock: Deno.Conn | Socket): Carrier {
  if (typeof sock?.read !== "function" || typeof sock.write !== "function") {
    throw new TypeError(`sock is an open Deno.Conn or Socket, not ${show(sock)}`);
  }
  return withoutDelay(sock);
}
