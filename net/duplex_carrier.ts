/**
 * A carrier over a Node stream: sockets of `node:net`, and the clear side of `node:tls`.
 *
 * @module
 */
import type { Duplex } from "node:stream";
import { formatAddr } from "./addresses.ts";
import type { Carrier } from "./carrier.ts";

/** The addresses of a carrier's two ends. */
export interface Ends {
  /** The address of this end. */
  readonly localAddr: Deno.Addr | null;
  /** The address of the other end. */
  readonly remoteAddr: Deno.Addr | null;
}

/** A read that waits. */
interface Waiter {
  /** Takes what is at hand. */
  take(): void;
  /** Called at the end. */
  end(end: null): void;
  reject(error: unknown): void;
}

/** What streams of Node give out: never memory that is shared. */
type Piece = Uint8Array<ArrayBuffer>;

/**
 * A carrier over a Node stream that receives no more than is read.
 *
 * The stream flows only while a read waits. What it fails with goes to the reads and writes.
 */
export class DuplexCarrier implements Carrier {
  /** The address of this end. */
  readonly localAddr: Deno.Addr | null;
  /** The address of the other end. */
  readonly remoteAddr: Deno.Addr | null;
  /** See {@linkcode Carrier.readFault}. */
  readFault: unknown = null;
  /** The stream. */
  protected readonly stream: Duplex;
  /** What came and was not read: a piece or two. */
  #pieces: Piece[] = [];
  #waiter: Waiter | null = null;
  #writeFailed: ((error: unknown) => void) | null = null;
  #ended = false;
  #fault: unknown = null;
  /** Why nothing more can be written; what has come may still be read. */
  #writeFault: unknown = null;

  /** Makes a carrier; the stream is its own from now on. */
  constructor(stream: Duplex, { localAddr, remoteAddr }: Ends) {
    this.stream = stream;
    this.localAddr = localAddr;
    this.remoteAddr = remoteAddr;
    stream.pause();
    stream.on("data", (piece: Piece) => this.#received(piece));
    stream.on("end", () => this.end());
    stream.on("error", (error) => this.fail(error));
    stream.on("close", () => this.fail(new Deno.errors.Interrupted("the connection was closed")));
  }

  /** Shows no more than this: the stream leads to private keys. */
  [Symbol.for("Deno.customInspect")](): string {
    return `${this.constructor.name} { ${formatAddr(this.remoteAddr)} }`;
  }

  /** Whether the peer has said that it sends no more. */
  protected get ended(): boolean {
    return this.#ended;
  }

  /** Whether a read waits for more than is at hand. */
  protected get waiting(): boolean {
    return this.#waiter !== null;
  }

  /** Whether the stream is of no more use. */
  protected get failed(): boolean {
    return this.#fault !== null;
  }

  /** Lets the stream flow until something comes. */
  protected ask(): void {
    this.stream.resume();
  }

  /** Called when something came. */
  protected arrived(): void {
    this.stream.pause();
  }

  #received(piece: Piece): void {
    this.arrived();
    this.#pieces.push(piece);
    this.#settle();
  }

  /** Reads that wait, and those to come, get the end once all that came is read. */
  protected end(): void {
    this.#ended = true;
    this.#settle();
  }

  /** Ends it: reads and writes that wait, and those to come, fail. */
  protected fail(error: unknown): void {
    this.#fault ??= error;
    this.failWrites(error);
    this.#settle();
  }

  /** Reads that wait, and those to come, fail once all that came is read; writes go on. */
  protected failReads(error: unknown): void {
    this.readFault ??= error;
    this.#settle();
  }

  /** Writes that wait, and those to come, fail; reads go on. */
  protected failWrites(error: unknown): void {
    this.#writeFault ??= error;
    this.#writeFailed?.(this.#writeFault);
  }

  #settle(): void {
    const waiter = this.#waiter;
    if (waiter === null) return;
    if (this.#pieces.length > 0) waiter.take();
    else if (this.#ended) waiter.end(null);
    else if (this.readFault !== null) waiter.reject(this.readFault);
    else if (this.#fault !== null) waiter.reject(this.#fault);
    else return;
    this.#waiter = null;
  }

  /** Moves what is at hand into `buffer`. */
  #take(buffer: Uint8Array): number {
    const piece = this.#pieces[0]!;
    const n = Math.min(piece.length, buffer.length);
    if (n === piece.length) {
      buffer.set(piece);
      this.#pieces.shift();
    } else {
      buffer.set(piece.subarray(0, n));
      this.#pieces[0] = piece.subarray(n);
    }
    return n;
  }

  /** See {@linkcode Carrier.read}. */
  read(buffer: Uint8Array): Promise<number | null> {
    return this.#wait(() => this.#take(buffer));
  }

  /** See {@linkcode Carrier.receive}. */
  receive(): Promise<Uint8Array<ArrayBuffer> | null> {
    return this.#wait(() => this.#pieces.shift()!);
  }

  #wait<T>(take: () => T): Promise<T | null> {
    const { promise, resolve, reject } = Promise.withResolvers<T | null>();
    this.#waiter = { take: () => resolve(take()), end: resolve, reject };
    this.#settle();
    if (this.#waiter !== null) this.ask();
    return promise;
  }

  /** See {@linkcode Carrier.write}. */
  write(data: Uint8Array): Promise<number> {
    if (this.#writeFault !== null) return Promise.reject(this.#writeFault);
    return new Promise((resolve, reject) => {
      this.#writeFailed = reject;
      this.stream.write(data, (error) => error ? this.fail(error) : resolve(data.length));
    });
  }

  /** See {@linkcode Carrier.closeWrite}. */
  closeWrite(): Promise<void> {
    if (this.#writeFault !== null) return Promise.reject(this.#writeFault);
    return new Promise((resolve, reject) => {
      this.#writeFailed = reject;
      this.stream.end((error?: Error | null) => error ? this.fail(error) : resolve());
    });
  }

  /** See {@linkcode Carrier.close}. */
  close(): void {
    this.fail(new Deno.errors.Interrupted("the connection was closed"));
    this.stream.destroy();
  }
}
