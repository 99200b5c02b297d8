/**
 * From what callers of `createServer` and `startServer` give to open listeners.
 *
 * @module
 */
import type { ExceptionSink } from "../loop/exception_context.ts";
import { canReusePort, type Close, closeOf, listenTcp, listenUnix } from "./listen.ts";
import { prepareTls } from "./tls/open_tls.ts";
import { planServer, type ServerSSLOptions, type TlsPlan } from "./tls/plan.ts";
import {
  checkBacklog,
  checkEither,
  checkFamily,
  checkFlag,
  checkHost,
  checkInteger,
  checkPort,
  checkSignal,
  checkSockGiven,
  checkUnixPath,
  isOptions,
  show,
} from "./validate.ts";

/** Options of every server. */
export interface ServingOptions extends ServerSSLOptions {
  /**
   * Whether to accept connections at once; otherwise `server.startServing()` does.
   *
   * @default {true}
   */
  startServing?: boolean | undefined;
  /**
   * How many connections may be open at once; further ones wait to be accepted.
   *
   * @default {Infinity}
   */
  maxConnections?: number | undefined;
  /** Ends the wait; once the promise has settled it has no effect. */
  signal?: AbortSignal | undefined;
}

/** Options of every server over TCP. */
export interface TcpServingOptions extends ServingOptions {
  /**
   * Whether the system probes idle connections for peers that have vanished.
   *
   * @default {false}
   */
  keepAlive?: boolean | undefined;
}

/** Options of {@linkcode EventLoop.createServer}. */
export interface CreateServerOptions extends TcpServingOptions {
  /**
   * Which addresses to listen on: IPv4, IPv6, or both (0).
   *
   * @default {0}
   */
  family?: 0 | 4 | 6 | undefined;
  /**
   * How many connections may wait to be accepted.
   *
   * @default {100}
   */
  backlog?: number | undefined;
  /**
   * Whether the port may be used again at once after an earlier server's end. Deno always allows
   * it: `false` is refused.
   *
   * @default {true}
   */
  reuseAddress?: boolean | undefined;
  /**
   * Whether other processes may listen on the same port. It needs `--unstable-net`.
   *
   * @default {false}
   */
  reusePort?: boolean | undefined;
}

/** Options of {@linkcode EventLoop.createServer} over a listener that is open already. */
export interface CreateServerSockOptions extends TcpServingOptions {
  /** The listener; it is closed with the server. */
  sock: Deno.Listener;
}

/** Options of {@linkcode EventLoop.createUnixServer}. */
export interface CreateUnixServerOptions extends ServingOptions {
  /**
   * A listener that is open already, to use instead of a path. Its socket file is removed when the
   * server is closed; another server's file that has taken its place by then stays, if there is
   * the permission to read and write its folder. Nobody is asked for it.
   */
  sock?: Deno.Listener | undefined;
  /**
   * Whether closing the server removes the socket file; it does so too if the program ends by
   * `Deno.exit()` right after `close()`. Another server's file that has taken its place stays. To
   * keep a file takes the permission to read and write its folder: for a moment it has a second
   * name. What can't be kept is reported to the loop's exception handler. The option is refused
   * with an abstract path and with `sock`.
   *
   * @default {true}
   */
  cleanupSocket?: boolean | undefined;
  /**
   * The socket file's permission bits, such as `0o600`; the system's default otherwise. They are set
   * right after the file was made, and until then the default holds: where that moment counts, put
   * the socket in a folder that only its user may enter. It is refused with an abstract path and
   * with `sock`.
   */
  mode?: number | undefined;
  /** Taken for asyncio's sake: Deno fixes the backlog of Unix sockets. */
  backlog?: number | undefined;
}

/** Where a server accepts, and how. */
export interface Listening {
  /** The open listeners. */
  listeners: Deno.Listener[];
  /** How to serve on them. */
  options: TcpServingOptions;
  /** How to do TLS on the connections, or `null` for none. */
  tls: TlsPlan | null;
  /** See {@linkcode ServerInit.closeListener}. */
  closeListener?: Close | undefined;
}

/** Listens on `host`, or takes the listener that is given in its place. */
export async function openListeners(
  host: string | readonly string[] | null | CreateServerSockOptions,
  port: number,
  options: CreateServerOptions,
  sink: ExceptionSink,
): Promise<Listening> {
  if (isOptions(host)) {
    checkSockGiven(host);
    return await takeListener(host.sock, host, sink);
  }
  // `null` and `undefined` stand for every interface here.
  checkEither("host", host ?? "", (options as Partial<CreateServerSockOptions>).sock);
  const { family = 0, backlog = 100, reuseAddress, reusePort = false } = options;
  for (const [name, flag] of Object.entries({ reuseAddress, reusePort })) checkFlag(name, flag);
  if (reuseAddress === false) {
    throw new Deno.errors.NotSupported("reuseAddress: false can't be had: Deno always sets it");
  }
  if (reusePort && !canReusePort()) {
    throw new Deno.errors.NotSupported("reusePort needs Deno's --unstable-net flag");
  }
  const init = {
    hosts: checkHosts(host),
    port: checkPort("port", port, 0),
    family: checkFamily(family),
    backlog: checkBacklog(backlog),
    reusePort,
    signal: options.signal,
  };
  const tls = await checkServingOptions(options);
  return { listeners: await listenTcp(init), options, tls };
}

/** Listens on the Unix socket at `path`, or takes the listener that is given. */
export async function openUnixListener(
  path: string | URL | null,
  options: CreateUnixServerOptions,
  sink: ExceptionSink,
): Promise<Listening> {
  const { sock, mode, cleanupSocket, backlog = 100 } = options;
  checkFlag("cleanupSocket", cleanupSocket);
  checkBacklog(backlog);
  if (mode !== undefined) checkMode(mode);
  checkEither("path", path, sock);
  const checked = sock === undefined ? checkUnixPath(path) : null;
  if (checked === null || checked.startsWith("\0")) refuseForNoFile({ mode, cleanupSocket });
  if (checked === null) return await takeListener(sock!, options, sink);
  const tls = await checkServingOptions(options);
  const init = { path: checked, mode, cleanup: cleanupSocket ?? true, sink };
  const { listener, close } = await listenUnix({ ...init, signal: options.signal });
  return { listeners: [listener], options, tls, closeListener: close };
}

/** Takes a listener that is open already: at once, for another file may be at its path later. */
async function takeListener(
  sock: Deno.Listener,
  options: TcpServingOptions,
  sink: ExceptionSink,
): Promise<Listening> {
  const listeners = [checkListener(sock)];
  const closeListener = closeOf(sock, sink);
  return { listeners, options, tls: await checkServingOptions(options), closeListener };
}

async function checkServingOptions(options: TcpServingOptions): Promise<TlsPlan | null> {
  const { startServing, maxConnections, keepAlive, signal } = options;
  checkSignal(signal);
  checkFlag("startServing", startServing);
  checkFlag("keepAlive", keepAlive);
  if (maxConnections !== undefined && maxConnections !== Infinity) {
    checkInteger("maxConnections", maxConnections, 1, Number.MAX_SAFE_INTEGER);
  }
  const tls = planServer(options);
  await prepareTls(tls);
  signal?.throwIfAborted();
  return tls;
}

/** Complains of options that would do nothing: an abstract socket has no file, and one given has its own. */
function refuseForNoFile(options: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue;
    throw new TypeError(
      `${name} is for a socket file that startUnixServer() makes: not for an abstract path or a sock`,
    );
  }
}

function checkHosts(host: string | readonly string[] | null): string[] | null {
  if (host === null || host === "") return null;
  if (typeof host !== "string" && !Array.isArray(host)) {
    throw new TypeError(`host is a string, a list of them, or null, not ${show(host)}`);
  }
  const hosts = typeof host === "string" ? [host] : host;
  if (hosts.length === 0) throw new RangeError("the list of hosts is empty");
  return hosts.map((one) => checkHost("host", one));
}

function checkMode(mode: unknown): void {
  if (!Number.isInteger(mode)) throw new TypeError(`mode is an integer, not ${show(mode)}`);
  if (mode as number < 0 || mode as number > 0o777) {
    throw new RangeError(`mode is between 0 and 0o777, got 0o${(mode as number).toString(8)}`);
  }
}

function checkListener(sock: Deno.Listener): Deno.Listener {
  if (typeof sock?.accept !== "function" || typeof sock.close !== "function") {
    throw new TypeError(`sock is an open Deno.Listener, not ${show(sock)}`);
  }
  return sock;
}
