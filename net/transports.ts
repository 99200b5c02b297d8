/**
 * The transports a protocol is handed: asyncio's transport classes as the
 * contracts that every transport here fulfils.
 *
 * @module
 */
import type { BaseProtocol } from "./protocols.ts";
import type { SSLContext } from "./tls/context.ts";
import type { PeerCertificate } from "./tls/peer_cert.ts";

/** The types of the values that {@linkcode BaseTransport.getExtraInfo} gives under asyncio's names. */
export interface ExtraInfo {
  /** The address of the other end. */
  peername: Deno.Addr;
  /** The address of this end. */
  sockname: Deno.Addr;
  /** The `Deno.Conn`, `Deno.Listener` or other object that carries the bytes. */
  socket: unknown;
  /** The TLS context in use. */
  sslcontext: SSLContext;
  /** The TLS engine's own object. */
  ssl_object: unknown;
  /** The peer's certificate. */
  peercert: PeerCertificate;
  /** Name, protocol version and secret bits of the cipher in use. */
  cipher: readonly [name: string, protocol: string, bits: number | null];
  /** The compression in use: none, as in every TLS of today. */
  compression: null;
  /** The protocol chosen by ALPN. */
  alpn_protocol: string;
  /** The pipe object of a pipe transport. */
  pipe: unknown;
  /** The child process of a subprocess transport. */
  subprocess: unknown;
}

/**
 * What every transport can do.
 *
 * @example Who is at the other end?
 * ```ts
 * import { getEventLoop, Protocol } from "@asyncio/streams";
 * import { assertEquals } from "@std/assert";
 *
 * const loop = getEventLoop();
 * await using server = await loop.createServer(() => new Protocol(), "127.0.0.1", 0);
 * const { port } = server.sockets[0]!.addr as Deno.NetAddr;
 * const [transport] = await loop.createConnection(() => new Protocol(), "127.0.0.1", port);
 * const peername = transport.getExtraInfo("peername");
 * assertEquals((peername as Deno.NetAddr).port, port);
 * assertEquals(transport.getExtraInfo("cipher", "none: this is no TLS"), "none: this is no TLS");
 * transport.close();
 * assertEquals(transport.isClosing(), true);
 * ```
 */
export abstract class BaseTransport {
  /** Closes the transport after what was written has been sent; it returns at once. */
  abstract close(): void;
  /** Tells whether the transport is closing or closed. */
  abstract isClosing(): boolean;
  /**
   * Tells what is known of the transport, under asyncio's names.
   *
   * @param name The name, such as `"peername"`.
   * @returns The value, or `null` where nothing is known under that name.
   */
  abstract getExtraInfo<K extends keyof ExtraInfo>(name: K): ExtraInfo[K] | null;
  /**
   * Tells what is known of the transport, or `defaultValue`.
   *
   * @param name The name.
   * @param defaultValue What to return where nothing is known under that name.
   */
  abstract getExtraInfo<K extends keyof ExtraInfo, D>(name: K, defaultValue: D): ExtraInfo[K] | D;
  /**
   * Tells what is known of the transport under a name of its own.
   *
   * @param name The name.
   * @param defaultValue What to return where nothing is known under that name; `null` by default.
   */
  abstract getExtraInfo(name: string, defaultValue?: unknown): unknown;
  /** The protocol in use. */
  abstract getProtocol(): BaseProtocol;
  /** Hands the transport over to another protocol. */
  abstract setProtocol(protocol: BaseProtocol): void;
}

/**
 * A transport that receives.
 *
 * @example Pausing
 * ```ts
 * import { getEventLoop, Protocol } from "@asyncio/streams";
 * import { assertEquals } from "@std/assert";
 *
 * const loop = getEventLoop();
 * await using server = await loop.createServer(() => new Protocol(), "127.0.0.1", 0);
 * const { port } = server.sockets[0]!.addr as Deno.NetAddr;
 * const [transport] = await loop.createConnection(() => new Protocol(), "127.0.0.1", port);
 * transport.pauseReading();
 * assertEquals(transport.isReading(), false);
 * transport.resumeReading();
 * assertEquals(transport.isReading(), true);
 * transport.close();
 * ```
 */
export abstract class ReadTransport extends BaseTransport {
  /** Tells whether the transport receives: neither paused nor closing. */
  abstract isReading(): boolean;
  /** Stops receiving until {@linkcode resumeReading}; it may be called twice. */
  abstract pauseReading(): void;
  /** Receives again; it may be called twice. */
  abstract resumeReading(): void;
}

/** The two marks, in bytes, between which a full write buffer has to drain. */
export interface WriteBufferLimits {
  /** Above this many buffered bytes `pauseWriting` is called. */
  high?: number | undefined;
  /** At this many buffered bytes or fewer `resumeWriting` is called. */
  low?: number | undefined;
}

/**
 * A transport that sends.
 *
 * @example What waits to be sent, and how much may
 * ```ts
 * import { getEventLoop, Protocol } from "@asyncio/streams";
 * import { assertEquals } from "@std/assert";
 *
 * const loop = getEventLoop();
 * await using server = await loop.createServer(() => new Protocol(), "127.0.0.1", 0);
 * const { port } = server.sockets[0]!.addr as Deno.NetAddr;
 * const [transport] = await loop.createConnection(() => new Protocol(), "127.0.0.1", port);
 * assertEquals(transport.getWriteBufferLimits(), { low: 16_384, high: 65_536 });
 * transport.setWriteBufferLimits({ high: 1_000_000 });
 * transport.write("hello, ");
 * transport.writeLines(["wor", "ld"]);
 * assertEquals(transport.getWriteBufferSize(), 12);
 * transport.close();
 * ```
 */
export abstract class WriteTransport extends BaseTransport {
  /** Buffers `data` and sends it soon; strings go as UTF-8. The data may be reused at once. */
  abstract write(data: Uint8Array | string): void;
  /** Buffers each piece in turn. */
  abstract writeLines(lines: Iterable<Uint8Array | string>): void;
  /** Sends what is buffered, then says that no more comes; reading goes on. */
  abstract writeEof(): void;
  /** Tells whether {@linkcode writeEof} can be had. */
  abstract canWriteEof(): boolean;
  /** Closes at once: what is buffered is dropped. */
  abstract abort(): void;
  /** How many bytes wait to be sent. */
  abstract getWriteBufferSize(): number;
  /** The marks in use, in bytes. */
  abstract getWriteBufferLimits(): { low: number; high: number };
  /**
   * Sets the marks, in bytes. Without `low` a quarter of `high` is used, without
   * `high` four times `low`, without both 64 KiB and 16 KiB.
   *
   * @throws {RangeError} Unless `high >= low >= 0`.
   */
  abstract setWriteBufferLimits(limits?: WriteBufferLimits): void;
}

/**
 * A transport for a byte stream, in both directions.
 *
 * @example A protocol that answers and hangs up
 * ```ts
 * import { getEventLoop, Protocol, type Transport } from "@asyncio/streams";
 * import { assertEquals } from "@std/assert";
 *
 * const loop = getEventLoop();
 * class Shouter extends Protocol {
 *   #transport!: Transport;
 *   override connectionMade(transport: Transport) {
 *     this.#transport = transport;
 *   }
 *   override dataReceived(data: Uint8Array) {
 *     this.#transport.write(new TextDecoder().decode(data).toUpperCase());
 *     this.#transport.close();
 *   }
 * }
 * await using server = await loop.createServer(() => new Shouter(), "127.0.0.1", 0);
 * const { port } = server.sockets[0]!.addr as Deno.NetAddr;
 *
 * using conn = await Deno.connect({ hostname: "127.0.0.1", port });
 * await conn.write(new TextEncoder().encode("hello"));
 * assertEquals(await new Response(conn.readable).text(), "HELLO");
 * ```
 */
export abstract class Transport extends WriteTransport implements ReadTransport {
  /** Tells whether the transport receives: neither paused nor closing. */
  abstract isReading(): boolean;
  /** Stops receiving until {@linkcode resumeReading}; it may be called twice. */
  abstract pauseReading(): void;
  /** Receives again; it may be called twice. */
  abstract resumeReading(): void;
}

/**
 * A transport for datagrams.
 *
 * @example A protocol that sends each datagram back
 * ```ts
 * import { DatagramProtocol, type DatagramTransport } from "@asyncio/streams";
 * import { assertEquals } from "@std/assert";
 *
 * class Echo extends DatagramProtocol {
 *   #transport!: DatagramTransport;
 *   override connectionMade(transport: DatagramTransport) {
 *     this.#transport = transport;
 *   }
 *   override datagramReceived(data: Uint8Array, addr: Deno.Addr) {
 *     this.#transport.sendTo(data, addr);
 *   }
 * }
 *
 * const sent: unknown[] = [];
 * const transport: Pick<DatagramTransport, "sendTo"> = { sendTo: (data) => sent.push(data) };
 * const echo = new Echo();
 * echo.connectionMade(transport as DatagramTransport);
 * echo.datagramReceived(new Uint8Array(3), { transport: "udp", hostname: "::1", port: 53 });
 * assertEquals(sent, [new Uint8Array(3)]);
 * ```
 */
export abstract class DatagramTransport extends BaseTransport {
  /**
   * Sends one datagram, without waiting; a string goes as UTF-8. The data may be reused at once.
   * If it can't be sent, the protocol's `errorReceived` is told.
   *
   * @param data What to send; it may be empty.
   * @param addr Where to; by default the remote address that the endpoint was made with.
   */
  abstract sendTo(data: Uint8Array | string, addr?: Deno.Addr | null): void;
  /** Closes at once: what is buffered is dropped. */
  abstract abort(): void;
  /** How many bytes wait to be sent; each datagram counts for 8 more than it has. */
  abstract getWriteBufferSize(): number;
  /** The marks in use, in bytes. */
  abstract getWriteBufferLimits(): { low: number; high: number };
  /**
   * Sets the marks, in bytes: see {@linkcode WriteTransport.setWriteBufferLimits}.
   *
   * @throws {RangeError} Unless `high >= low >= 0`.
   */
  abstract setWriteBufferLimits(limits?: WriteBufferLimits): void;
}

/**
 * A transport for a child process.
 *
 * @example A protocol that ends the child once it complains
 * ```ts
 * import { SubprocessProtocol, type SubprocessTransport } from "@asyncio/streams";
 * import { assertEquals } from "@std/assert";
 *
 * class Strict extends SubprocessProtocol {
 *   #transport!: SubprocessTransport;
 *   override connectionMade(transport: SubprocessTransport) {
 *     this.#transport = transport;
 *   }
 *   override pipeDataReceived(fd: number) {
 *     if (fd === 2) this.#transport.terminate();
 *   }
 * }
 *
 * let terminated = false;
 * const child: Pick<SubprocessTransport, "terminate"> = { terminate: () => terminated = true };
 * const strict = new Strict();
 * strict.connectionMade(child as SubprocessTransport);
 * strict.pipeDataReceived(2);
 * assertEquals(terminated, true);
 * ```
 */
export abstract class SubprocessTransport extends BaseTransport {
  /** The child's process id. */
  abstract getPid(): number;
  /** The exit code, minus the signal's number if one ended it, or `null` while it runs. */
  abstract getReturncode(): number | null;
  /** The transport of the child's pipe `fd` (0, 1 or 2), or `null` where there is none. */
  abstract getPipeTransport(fd: number): BaseTransport | null;
  /** Sends the child a signal. */
  abstract sendSignal(signal: Deno.Signal): void;
  /** Asks the child to stop (`SIGTERM`). */
  abstract terminate(): void;
  /** Ends the child (`SIGKILL`). */
  abstract kill(): void;
}
