/**
 * Streams: readers and writers over TCP and Unix connections, and servers that make them.
 *
 * @module
 */
import { getRunningLoop } from "./event_loop.ts";
import type {
  CreateConnectionOptions,
  CreateConnectionSockOptions,
  CreateUnixConnectionOptions,
} from "./net/open_carrier.ts";
import type {
  CreateServerOptions,
  CreateServerSockOptions,
  CreateUnixServerOptions,
} from "./net/open_listeners.ts";
import { StreamReader } from "./net/stream_reader.ts";
import {
  type ClientConnectedCallback,
  StreamReaderProtocol,
} from "./net/stream_reader_protocol.ts";
import { StreamWriter } from "./net/stream_writer.ts";
import { checkLimit } from "./net/validate.ts";
import { checkFunction, isOptions } from "./net/validate.ts";
import type { Server } from "./server.ts";

export { IncompleteReadError, LimitOverrunError } from "./net/errors.ts";
export { FlowControlMixin } from "./net/flow_control.ts";
export type { Separator } from "./net/separators.ts";
export { StreamReader, type StreamReaderOptions } from "./net/stream_reader.ts";
export {
  type ClientConnectedCallback,
  StreamReaderProtocol,
} from "./net/stream_reader_protocol.ts";
export { StreamWriter } from "./net/stream_writer.ts";

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
export interface OpenConnectionOptions extends CreateConnectionOptions, StreamOptions {}

/** Options of {@linkcode openConnection} over a connection that is open already. */
export interface OpenConnectionSockOptions extends CreateConnectionSockOptions, StreamOptions {}

/** Options of {@linkcode openUnixConnection}. */
export interface OpenUnixConnectionOptions extends CreateUnixConnectionOptions, StreamOptions {}

/** Options of {@linkcode startServer}. */
export interface StartServerOptions extends CreateServerOptions, StreamOptions {}

/** Options of {@linkcode startServer} over a listener that is open already. */
export interface StartServerSockOptions extends CreateServerSockOptions, StreamOptions {}

/** Options of {@linkcode startUnixServer}. */
export interface StartUnixServerOptions extends CreateUnixServerOptions, StreamOptions {}

/**
 * Opens a TCP connection.
 *
 * Nagle's algorithm is off, as in asyncio.
 *
 * @param host The host's name or address.
 * @param port The port, 1 to 65535.
 * @param options Limit, TLS by `ssl`, family, local address, how to try several addresses, signal.
 * @returns The reader and the writer.
 * @throws {TypeError} If an argument is of the wrong type.
 * @throws {RangeError} If an argument is out of range, or a certificate can't be read.
 * @throws {Deno.errors.NotFound} If the host's name is unknown.
 * @throws {Deno.errors.ConnectionRefused} If nobody listens there; other `Deno.errors` likewise.
 * @throws {SSLError} If the TLS handshake fails.
 * @throws {unknown} The signal's reason.
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
 * @param options The connection, the limit, TLS by `ssl`, signal.
 * @returns The reader and the writer.
 * @throws {TypeError} If there is no connection.
 * @throws {RangeError} If an argument is out of range, or a certificate can't be read.
 * @throws {SSLError} If the TLS handshake fails.
 * @throws {unknown} The signal's reason.
 */
export function openConnection(
  options: OpenConnectionSockOptions,
): Promise<[StreamReader, StreamWriter]>;
export async function openConnection(
  host: string | OpenConnectionSockOptions,
  port?: number,
  options: OpenConnectionOptions = {},
): Promise<[StreamReader, StreamWriter]> {
  const loop = getRunningLoop();
  const reader = new StreamReader(isOptions(host) ? host : options);
  const factory = () => new StreamReaderProtocol(reader, null, loop);
  const [transport, protocol] = isOptions(host)
    ? await loop.createConnection(factory, host)
    : await loop.createConnection(factory, host, port!, options);
  return [reader, new StreamWriter(transport, protocol, reader, loop)];
}

/**
 * Opens a connection to a Unix socket.
 *
 * @param path The socket's path, as a string or a `file:` URL, or `"\0name"` for an abstract socket.
 * @param options Limit, TLS by `ssl`, signal.
 * @returns The reader and the writer.
 * @throws {TypeError} If an argument is of the wrong type.
 * @throws {RangeError} If the path is empty or too long, or a certificate can't be read.
 * @throws {Deno.errors.NotFound} If there is no such socket; other `Deno.errors` likewise.
 * @throws {SSLError} If the TLS handshake fails.
 * @throws {unknown} The signal's reason.
 *
 * @example
 * ```ts
 * import { openUnixConnection, startUnixServer } from "@asyncio/streams";
 * import { assertEquals } from "@std/assert";
 *
 * const path = `\0asyncio-streams-${crypto.randomUUID()}`; // An abstract one, as on Linux.
 * await using server = await startUnixServer(async (_reader, writer) => {
 *   await using _ = writer;
 *   writer.write("ready\n");
 * }, path);
 *
 * const [reader, writer] = await openUnixConnection(path);
 * await using _ = writer;
 * assertEquals(new TextDecoder().decode(await reader.readLine()), "ready\n");
 * ```
 */
export async function openUnixConnection(
  path: string | URL | null,
  options: OpenUnixConnectionOptions = {},
): Promise<[StreamReader, StreamWriter]> {
  const loop = getRunningLoop();
  const reader = new StreamReader(options);
  const factory = () => new StreamReaderProtocol(reader, null, loop);
  const [transport, protocol] = await loop.createUnixConnection(factory, path, options);
  return [reader, new StreamWriter(transport, protocol, reader, loop)];
}

/**
 * Starts a TCP server.
 *
 * @param clientConnectedCb Called with the reader and the writer of each connection.
 * @param host The host to listen on, or a list of hosts; `null`, as `""`, means every interface.
 * @param port The port; 0, the default, means a free one: see `server.sockets`.
 * @param options Limit, TLS by `ssl`, family, backlog and more.
 * @returns The server.
 * @throws {TypeError} If an argument is of the wrong type.
 * @throws {RangeError} If an argument is out of range, the list of hosts is empty, or a certificate
 * can't be read.
 * @throws {Deno.errors.AddrInUse} If the port is taken; other `Deno.errors` likewise.
 * @throws {Deno.errors.NotSupported} If Deno can't do what an option says.
 * @throws {unknown} The signal's reason.
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
 * @param options The listener, the limit, TLS by `ssl`, and more.
 * @returns The server.
 * @throws {TypeError} If there is no listener.
 * @throws {RangeError} If an argument is out of range, or a certificate can't be read.
 * @throws {unknown} The signal's reason.
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
  const factory = protocolFactory(clientConnectedCb, isOptions(host) ? host : options);
  const loop = getRunningLoop();
  if (isOptions(host)) return await loop.createServer(factory, host);
  return await loop.createServer(factory, host, port, options);
}

/**
 * Starts a server on a Unix socket.
 *
 * @param clientConnectedCb Called with the reader and the writer of each connection.
 * @param path The socket's path, as a string or a `file:` URL, or `"\0name"` for an abstract socket.
 * @param options Limit, TLS by `ssl`, the socket file's mode, and more.
 * @returns The server.
 * @throws {TypeError} If an argument is of the wrong type, or an option has nothing to act on.
 * @throws {RangeError} If an argument is out of range, the path is empty or too long, or a
 * certificate can't be read.
 * @throws {Deno.errors.AddrInUse} If there is a file at the path; other `Deno.errors` likewise.
 * @throws {unknown} The signal's reason.
 *
 * @example
 * ```ts
 * import { startUnixServer } from "@asyncio/streams";
 * import { assert } from "@std/assert";
 *
 * const path = `\0asyncio-streams-${crypto.randomUUID()}`; // An abstract one, as on Linux.
 * await using server = await startUnixServer(async (reader, writer) => {
 *   await using _ = writer;
 *   writer.write(await reader.readLine());
 * }, path);
 * assert(server.isServing());
 * ```
 */
export async function startUnixServer(
  clientConnectedCb: ClientConnectedCallback,
  path: string | URL | null,
  options: StartUnixServerOptions = {},
): Promise<Server> {
  const factory = protocolFactory(clientConnectedCb, options);
  return await getRunningLoop().createUnixServer(factory, path, options);
}

/** Makes the protocol of each connection that a server accepts. */
function protocolFactory(
  clientConnectedCb: ClientConnectedCallback,
  options: StreamOptions,
): () => StreamReaderProtocol {
  checkFunction("clientConnectedCb", clientConnectedCb);
  if (options.limit !== undefined) checkLimit(options.limit);
  const loop = getRunningLoop();
  return () => new StreamReaderProtocol(new StreamReader(options), clientConnectedCb, loop);
}
