/**
 * Streams: readers and writers over TCP and Unix connections, and servers that make them.
 *
 * @module
 */
import { type EventLoop, getRunningLoop } from "./event_loop.ts";
import type { Carrier } from "./net/carrier.ts";
import { connectTcp, connectUnix, type LocalAddr, withoutDelay } from "./net/connect.ts";
import { canReusePort, listenTcp, listenUnix } from "./net/listen.ts";
import { checkLimit, StreamReader } from "./net/stream_reader.ts";
import {
  type ClientConnectedCallback,
  StreamReaderProtocol,
} from "./net/stream_reader_protocol.ts";
import type { ConnectionOwner } from "./net/connection_owner.ts";
import { StreamTransport } from "./net/stream_transport.ts";
import { StreamWriter } from "./net/stream_writer.ts";
import {
  checkFamily,
  checkFlag,
  checkFunction,
  checkHost,
  checkNumber,
  checkPort,
  checkSignal,
  checkUnixPath,
  show,
} from "./net/validate.ts";
import { Server } from "./server.ts";

export { IncompleteReadError, LimitOverrunError } from "./net/errors.ts";
export { FlowControlMixin } from "./net/flow_control.ts";
export { type Separator, StreamReader, type StreamReaderOptions } from "./net/stream_reader.ts";
export {
  type ClientConnectedCallback,
  StreamReaderProtocol,
} from "./net/stream_reader_protocol.ts";
export { StreamWriter } from "./net/stream_writer.ts";
export type { LocalAddr } from "./net/connect.ts";

/** Options of everything that makes streams. */
export interface StreamOptions {
  /**
   * How many bytes a line, or what comes before a separator, may have.
   *
   * @default {65536}
   */
  limit?: number | undefined;
  /** Ends the wait; once the promise has settled it has no effect. */
  signal?: AbortSignal | undefined;
}

/** Options of {@linkcode openConnection}. */
export interface OpenConnectionOptions extends StreamOptions {
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
}

/** Options of {@linkcode openConnection} over a connection that is open already. */
export interface OpenConnectionSockOptions extends StreamOptions {
  /** The connection; it is closed with the writer. */
  sock: Deno.Conn;
}

/** Options of {@linkcode openUnixConnection}. */
export interface OpenUnixConnectionOptions extends StreamOptions {
  /** A connection that is open already, to use instead of a path. */
  sock?: Deno.Conn | undefined;
}

/** Options of every server. */
export interface ServerOptions extends StreamOptions {
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
}

/** Options of {@linkcode startServer}. */
export interface StartServerOptions extends ServerOptions {
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
  /**
   * Whether the system probes idle connections for peers that have vanished.
   *
   * @default {false}
   */
  keepAlive?: boolean | undefined;
}

/** Options of {@linkcode startServer} over a listener that is open already. */
export interface StartServerSockOptions extends ServerOptions {
  /** The listener; it is closed with the server. */
  sock: Deno.Listener;
  /** See {@linkcode StartServerOptions.keepAlive}. */
  keepAlive?: boolean | undefined;
}

/** Options of {@linkcode startUnixServer}. */
export interface StartUnixServerOptions extends ServerOptions {
  /** A listener that is open already, to use instead of a path. */
  sock?: Deno.Listener | undefined;
  /**
   * Whether closing the server removes the socket file. Another server's file that has taken
   * its place is never removed.
   *
   * @default {true}
   */
  cleanupSocket?: boolean | undefined;
  /** The socket file's permission bits, such as `0o600`; the system's default otherwise. */
  mode?: number | undefined;
  /** Taken for asyncio's sake: Deno fixes the backlog of Unix sockets. */
  backlog?: number | undefined;
}

/**
 * Opens a TCP connection.
 *
 * Nagle's algorithm is off, as in asyncio.
 *
 * @param host The host's name or address.
 * @param port The port, 1 to 65535.
 * @param options Limit, family, local address, signal.
 * @returns The reader and the writer.
 * @throws {TypeError} If an argument is of the wrong type.
 * @throws {RangeError} If an argument is out of range.
 * @throws {Deno.errors.NotFound} If the host's name is unknown.
 * @throws {Deno.errors.ConnectionRefused} If nobody listens there; other `Deno.errors` likewise.
 * @throws The signal's reason.
 *
 * @example
 * ```ts
 * import { openConnection, startServer } from "@asyncio/streams";
 * import { assertEquals } from "@std/assert";
 *
 * await using server = await startServer(async (_reader, writer) => {
 *   await using _ = writer;
 *   writer.write("220 ready\r\n");
 * }, "127.0.0.1", 0);
 * const { port } = server.sockets[0]!.addr as Deno.NetAddr;
 *
 * const [reader, writer] = await openConnection("127.0.0.1", port);
 * await using _ = writer;
 * assertEquals(new TextDecoder().decode(await reader.readLine()), "220 ready\r\n");
 * ```
 */
export function openConnection(
  host: string,
  port: number,
  options?: OpenConnectionOptions,
): Promise<[StreamReader, StreamWriter]>;
/**
 * Makes streams of a connection that is open already.
 *
 * @param options The connection and the limit.
 * @returns The reader and the writer.
 * @throws {TypeError} If there is no connection.
 */
export function openConnection(
  options: OpenConnectionSockOptions,
): Promise<[StreamReader, StreamWriter]>;
export async function openConnection(
  host: string | OpenConnectionSockOptions,
  port?: number,
  options: OpenConnectionOptions = {},
): Promise<[StreamReader, StreamWriter]> {
  if (typeof host === "object" && host !== null) return openStreams(checkConn(host.sock), host);
  const { family = 0, localAddr, happyEyeballsDelay, signal } = options;
  if (localAddr !== undefined) {
    checkHost("localAddr.hostname", localAddr.hostname);
    checkPort("localAddr.port", localAddr.port ?? 0, 0);
  }
  if (happyEyeballsDelay !== undefined) checkNumber("happyEyeballsDelay", happyEyeballsDelay, 0);
  checkStreamOptions(options);
  const carrier = await connectTcp({
    host: checkHost("host", host),
    port: checkPort("port", port, 1),
    family: checkFamily(family),
    localAddr,
    happyEyeballsDelay,
    signal,
  });
  return openStreams(carrier, options);
}

/**
 * Opens a connection to a Unix socket.
 *
 * @param path The socket's path, as a string or a `file:` URL, or `"\0name"` for an abstract socket.
 * @param options Limit, signal.
 * @returns The reader and the writer.
 * @throws {TypeError} If an argument is of the wrong type.
 * @throws {RangeError} If the path is empty or too long.
 * @throws {Deno.errors.NotFound} If there is no such socket; other `Deno.errors` likewise.
 * @throws The signal's reason.
 */
export async function openUnixConnection(
  path: string | URL | null,
  options: OpenUnixConnectionOptions = {},
): Promise<[StreamReader, StreamWriter]> {
  checkStreamOptions(options);
  const { sock, signal } = options;
  checkEither("path", path, sock);
  const carrier = sock === undefined
    ? await connectUnix(checkUnixPath(path), signal)
    : checkConn(sock);
  return openStreams(carrier, options);
}

/**
 * Starts a TCP server.
 *
 * @param clientConnectedCb Called with the reader and the writer of each connection.
 * @param host The host to listen on, or a list of hosts; `null`, as `""`, means every interface.
 * @param port The port; 0, the default, means a free one: see `server.sockets`.
 * @param options Limit, family, backlog and more.
 * @returns The server.
 * @throws {TypeError} If an argument is of the wrong type.
 * @throws {RangeError} If an argument is out of range, or the list of hosts is empty.
 * @throws {Deno.errors.AddrInUse} If the port is taken; other `Deno.errors` likewise.
 * @throws {Deno.errors.NotSupported} If Deno can't do what an option says.
 *
 * @example An echo server
 * ```ts
 * import { startServer } from "@asyncio/streams";
 * import { assert } from "@std/assert";
 *
 * await using server = await startServer(async (reader, writer) => {
 *   await using _ = writer;
 *   for await (const line of reader) {
 *     writer.write(line);
 *     await writer.drain();
 *   }
 * }, "127.0.0.1", 0);
 * assert(server.isServing());
 * ```
 */
export function startServer(
  clientConnectedCb: ClientConnectedCallback,
  host?: string | readonly string[] | null,
  port?: number,
  options?: StartServerOptions,
): Promise<Server>;
/**
 * Starts a server on a listener that is open already.
 *
 * @param clientConnectedCb Called with the reader and the writer of each connection.
 * @param options The listener, and the limit.
 * @returns The server.
 * @throws {TypeError} If there is no listener.
 */
export function startServer(
  clientConnectedCb: ClientConnectedCallback,
  options: StartServerSockOptions,
): Promise<Server>;
export async function startServer(
  clientConnectedCb: ClientConnectedCallback,
  host: string | readonly string[] | null | StartServerSockOptions = null,
  port = 0,
  options: StartServerOptions = {},
): Promise<Server> {
  checkFunction("clientConnectedCb", clientConnectedCb);
  if (isSockOptions(host)) {
    checkServerOptions(host);
    return serve(clientConnectedCb, [checkListener(host.sock)], host);
  }
  const { family = 0, backlog = 100, reuseAddress, reusePort = false, keepAlive } = options;
  for (const [name, flag] of Object.entries({ reuseAddress, reusePort, keepAlive })) {
    checkFlag(name, flag);
  }
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
    backlog: checkNumber("backlog", backlog, 1),
    reusePort,
  };
  checkServerOptions(options);
  return serve(clientConnectedCb, await listenTcp(init), options);
}

/**
 * Starts a server on a Unix socket.
 *
 * @param clientConnectedCb Called with the reader and the writer of each connection.
 * @param path The socket's path, as a string or a `file:` URL, or `"\0name"` for an abstract socket.
 * @param options Limit, the socket file's mode, and more.
 * @returns The server.
 * @throws {TypeError} If an argument is of the wrong type.
 * @throws {RangeError} If the path is empty or too long.
 * @throws {Deno.errors.AddrInUse} If there is a file at the path; other `Deno.errors` likewise.
 */
export async function startUnixServer(
  clientConnectedCb: ClientConnectedCallback,
  path: string | URL | null,
  options: StartUnixServerOptions = {},
): Promise<Server> {
  checkFunction("clientConnectedCb", clientConnectedCb);
  const { sock, mode, cleanupSocket = true, backlog = 100 } = options;
  checkFlag("cleanupSocket", cleanupSocket);
  checkNumber("backlog", backlog, 1);
  if (mode !== undefined) checkMode(mode);
  checkServerOptions(options);
  checkEither("path", path, sock);
  if (sock !== undefined) return serve(clientConnectedCb, [checkListener(sock)], options);
  const { listener, close } = listenUnix(
    checkUnixPath(path),
    mode,
    cleanupSocket,
    getRunningLoop(),
  );
  return await serve(clientConnectedCb, [listener], options, close);
}

// What all of them share

function openStreams(carrier: Carrier, options: StreamOptions): [StreamReader, StreamWriter] {
  checkStreamOptions(options);
  const loop = getRunningLoop();
  const reader = new StreamReader(options);
  const protocol = new StreamReaderProtocol(reader, null, loop);
  const transport = new StreamTransport({ carrier, loop });
  transport.start(protocol);
  return [reader, new StreamWriter(transport, protocol, reader, loop)];
}

async function serve(
  clientConnectedCb: ClientConnectedCallback,
  listeners: Deno.Listener[],
  options: ServerOptions & { keepAlive?: boolean | undefined },
  closeListener?: () => void,
): Promise<Server> {
  const loop: EventLoop = getRunningLoop();
  const { keepAlive = false, maxConnections, startServing = true } = options;
  const connected = (conn: Deno.Conn, owner: ConnectionOwner) => {
    if (keepAlive) (conn as Partial<Deno.TcpConn>).setKeepAlive?.(true);
    const reader = new StreamReader(options);
    const transport = new StreamTransport({ carrier: withoutDelay(conn), loop, owner });
    transport.start(new StreamReaderProtocol(reader, clientConnectedCb, loop));
  };
  const server = new Server({ loop, listeners, connected, maxConnections, closeListener });
  if (startServing) await server.startServing();
  return server;
}

function isSockOptions(
  host: string | readonly string[] | null | StartServerSockOptions,
): host is StartServerSockOptions {
  return typeof host === "object" && host !== null && !Array.isArray(host);
}

function checkStreamOptions({ limit, signal }: StreamOptions): void {
  if (limit !== undefined) checkLimit(limit);
  checkSignal(signal);
}

function checkServerOptions(options: ServerOptions): void {
  checkStreamOptions(options);
  const { startServing, maxConnections } = options;
  checkFlag("startServing", startServing);
  if (maxConnections !== undefined) checkNumber("maxConnections", maxConnections, 1);
}

function checkHosts(host: string | readonly string[] | null): string[] | null {
  if (host === null || host === "") return null;
  const hosts = typeof host === "string" ? [host] : [...host];
  if (hosts.length === 0) throw new RangeError("the list of hosts is empty");
  return hosts.map((one) => checkHost("host", one));
}

function checkMode(mode: unknown): void {
  if (!Number.isInteger(mode)) throw new TypeError(`mode is an integer, not ${show(mode)}`);
  if (mode as number < 0 || mode as number > 0o777) {
    throw new RangeError(`mode is between 0 and 0o777, got 0o${(mode as number).toString(8)}`);
  }
}

function checkEither(name: string, value: unknown, sock: unknown): void {
  if (value !== null && value !== undefined && sock !== undefined) {
    throw new TypeError(`${name} and sock can't both be given`);
  }
}

function checkConn(sock: Deno.Conn): Deno.Conn {
  if (typeof sock?.read !== "function" || typeof sock.write !== "function") {
    throw new TypeError(`sock is an open Deno.Conn, not ${show(sock)}`);
  }
  return withoutDelay(sock);
}

function checkListener(sock: Deno.Listener): Deno.Listener {
  if (typeof sock?.accept !== "function" || typeof sock.close !== "function") {
    throw new TypeError(`sock is an open Deno.Listener, not ${show(sock)}`);
  }
  return sock;
}
