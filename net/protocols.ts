/**
 * The callbacks a transport makes: asyncio's protocol classes. Every method is
 * optional; a class may extend these or merely have the methods.
 *
 * @module
 */
import type {
  BaseTransport,
  DatagramTransport,
  SubprocessTransport,
  Transport,
} from "./transports.ts";

/**
 * What every protocol may have.
 *
 * What a method throws, or the promise of an `async` one rejects with, goes to the loop's exception
 * handler. Nobody waits for such a promise.
 *
 * @example Counting connections
 * ```ts
 * import { BaseProtocol } from "@asyncio/streams";
 * import { assertEquals } from "@std/assert";
 *
 * class Counter extends BaseProtocol {
 *   made = 0;
 *   override connectionMade() {
 *     this.made++;
 *   }
 * }
 * const counter = new Counter();
 * counter.connectionMade();
 * assertEquals(counter.made, 1);
 * ```
 */
export class BaseProtocol {
  /** Called once, first, when the connection is there. */
  connectionMade?(transport: BaseTransport): void;
  /**
   * Called once, last, when the connection is closed or lost.
   *
   * `error` is `null` after a regular end: EOF was received, or this side
   * closed or aborted the connection.
   */
  connectionLost?(error: Error | null): void;
  /** Called when the transport's write buffer goes over its high-water mark. */
  pauseWriting?(): void;
  /** Called when the transport's write buffer has drained to its low-water mark. */
  resumeWriting?(): void;
}

/**
 * A protocol for a byte stream: `connectionMade`, then any number of
 * `dataReceived`, then at most one `eofReceived`, then `connectionLost`.
 *
 * @example An echo server's protocol
 * ```ts
 * import { Protocol, type Transport } from "@asyncio/streams";
 * import { assertEquals } from "@std/assert";
 *
 * class Echo extends Protocol {
 *   #transport?: Transport;
 *   override connectionMade(transport: Transport) {
 *     this.#transport = transport;
 *   }
 *   override dataReceived(data: Uint8Array) {
 *     this.#transport?.write(data);
 *   }
 * }
 * assertEquals(typeof new Echo().dataReceived, "function");
 * ```
 */
export class Protocol extends BaseProtocol {
  /** Called once, first, when the connection is there. */
  override connectionMade?(transport: Transport): void;
  /** Called with each piece of data that arrives; the bytes are the protocol's own. */
  dataReceived?(data: Uint8Array): void;
  /**
   * Called when the peer has said that it sends no more.
   *
   * A true result keeps the transport open for writing; anything else closes
   * it. Over TLS the transport closes either way.
   */
  eofReceived?(): boolean | void;
}

/**
 * A protocol whose incoming bytes go into a buffer of its own.
 *
 * @example
 * ```ts
 * import { BufferedProtocol } from "@asyncio/streams";
 * import { assertEquals } from "@std/assert";
 *
 * class Counter extends BufferedProtocol {
 *   #buffer = new Uint8Array(1024);
 *   received = 0;
 *   override getBuffer() {
 *     return this.#buffer;
 *   }
 *   override bufferUpdated(n: number) {
 *     this.received += n;
 *   }
 * }
 * const counter = new Counter();
 * counter.bufferUpdated(3);
 * assertEquals(counter.received, 3);
 * ```
 */
export class BufferedProtocol extends BaseProtocol {
  /** Called once, first, when the connection is there. */
  override connectionMade?(transport: Transport): void;
  /**
   * Called for a buffer of at least one byte, when there is something to put into it.
   *
   * @param sizeHint A size in bytes that would suit, or -1: any will do.
   */
  getBuffer?(sizeHint: number): Uint8Array;
  /** Called when `n` bytes have been stored at the start of the buffer. */
  bufferUpdated?(n: number): void;
  /** See {@linkcode Protocol.eofReceived}. */
  eofReceived?(): boolean | void;
}

/**
 * A protocol for datagrams.
 *
 * @example
 * ```ts
 * import { DatagramProtocol } from "@asyncio/streams";
 * import { assertEquals } from "@std/assert";
 *
 * class Count extends DatagramProtocol {
 *   datagrams = 0;
 *   override datagramReceived() {
 *     this.datagrams++;
 *   }
 * }
 * const count = new Count();
 * count.datagramReceived();
 * assertEquals(count.datagrams, 1);
 * ```
 */
export class DatagramProtocol extends BaseProtocol {
  /** Called once, first, when the endpoint is there. */
  override connectionMade?(transport: DatagramTransport): void;
  /** Called with each datagram and the address it came from. */
  datagramReceived?(data: Uint8Array, addr: Deno.Addr): void;
  /** Called when an earlier send or receive failed, without ending the endpoint. */
  errorReceived?(error: Error): void;
}

/**
 * A protocol for a child process and its pipes.
 *
 * @example
 * ```ts
 * import { SubprocessProtocol } from "@asyncio/streams";
 * import { assertEquals } from "@std/assert";
 *
 * class Output extends SubprocessProtocol {
 *   bytes = 0;
 *   override pipeDataReceived(_fd: number, data: Uint8Array) {
 *     this.bytes += data.length;
 *   }
 * }
 * const output = new Output();
 * output.pipeDataReceived(1, new Uint8Array(2));
 * assertEquals(output.bytes, 2);
 * ```
 */
export class SubprocessProtocol extends BaseProtocol {
  /** Called once, first, when the process has been started. */
  override connectionMade?(transport: SubprocessTransport): void;
  /** Called with data from the child's pipe `fd` (1 its output, 2 its errors). */
  pipeDataReceived?(fd: number, data: Uint8Array): void;
  /** Called when one of the child's pipes is closed or lost. */
  pipeConnectionLost?(fd: number, error: Error | null): void;
  /** Called when the child has exited. */
  processExited?(): void;
}
