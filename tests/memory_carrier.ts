// A carrier whose other end is a script: what comes, what goes through, and what fails is decided
// by the test, one step at a time. No sockets, no timers.
import type { Carrier } from "../net/carrier.ts";
import { concat } from "@std/bytes/concat";

const encoder = new TextEncoder();

/** What is left of a promise that an operation of the carrier waits on. */
type Waiter<T> = PromiseWithResolvers<T>;

/** One end of a connection in memory; the test is the other end. */
export class MemoryCarrier implements Carrier {
  readonly localAddr: Deno.Addr = { transport: "tcp", hostname: "127.0.0.1", port: 1 };
  readonly remoteAddr: Deno.Addr = { transport: "tcp", hostname: "127.0.0.1", port: 2 };
  readonly canCloseWrite?: boolean;
  readonly extraInfo?: Readonly<Record<string, unknown>>;
  goodbye?: () => Promise<void>;

  /** What each call of `write` took, in order. */
  readonly writes: Uint8Array<ArrayBuffer>[] = [];
  /** The most that one call of `write` takes. */
  maxWrite = Infinity;
  /** How many bytes the next calls of `write` take before they have to wait. */
  credit = Infinity;
  /** How many reads were started. */
  reads = 0;
  halfClosed = false;
  closed = false;

  readonly #incoming: Uint8Array[] = [];
  #ended = false;
  #readError: unknown = null;
  #writeError: unknown = null;
  #reader: { buffer: Uint8Array; waiter: Waiter<number | null> } | null = null;
  #writer: { data: Uint8Array; waiter: Waiter<number> } | null = null;

  /** Makes an open connection; `canCloseWrite` and `extraInfo` are those of {@linkcode Carrier}. */
  constructor(init: Pick<Carrier, "canCloseWrite" | "extraInfo"> = {}) {
    if (init.canCloseWrite !== undefined) this.canCloseWrite = init.canCloseWrite;
    if (init.extraInfo !== undefined) this.extraInfo = init.extraInfo;
  }

  // The peer's side

  /** The peer sends `data`: one piece, which one read gets if its buffer is large enough. */
  send(data: Uint8Array | string): void {
    this.#incoming.push(typeof data === "string" ? encoder.encode(data) : data.slice());
    this.#answer();
  }

  /** The peer says that it sends no more. */
  end(): void {
    this.#ended = true;
    this.#answer();
  }

  /** Reads fail from now on, once all that was sent has been read. */
  failReads(error: unknown): void {
    this.#readError = error;
    this.#answer();
  }

  /** Writes fail from now on, the waiting one included. */
  failWrites(error: unknown): void {
    this.#writeError = error;
    this.#take();
  }

  /** The peer takes `n` bytes more; all by default. */
  allow(n = Infinity): void {
    this.credit += n;
    this.#take();
  }

  /** A read is waiting for something to come. */
  get reading(): boolean {
    return this.#reader !== null;
  }

  /** A write is waiting for the peer to take some. */
  get writing(): boolean {
    return this.#writer !== null;
  }

  /** All that was written so far. */
  get received(): Uint8Array<ArrayBuffer> {
    return concat(this.writes);
  }

  /** All that was written so far, as text. */
  get receivedText(): string {
    return new TextDecoder().decode(this.received);
  }

  // The carrier's side

  read(buffer: Uint8Array): Promise<number | null> {
    if (this.closed) return Promise.reject(new Deno.errors.BadResource("closed"));
    if (this.#reader !== null) return Promise.reject(new Error("two reads at a time"));
    if (buffer.length === 0) return Promise.reject(new Error("a read into nothing"));
    this.reads++;
    this.#reader = { buffer, waiter: Promise.withResolvers() };
    const { promise } = this.#reader.waiter;
    this.#answer();
    return promise;
  }

  write(data: Uint8Array): Promise<number> {
    if (this.closed) return Promise.reject(new Deno.errors.BadResource("closed"));
    if (this.#writer !== null) return Promise.reject(new Error("two writes at a time"));
    if (this.halfClosed) return Promise.reject(new Deno.errors.BrokenPipe("half-closed"));
    if (data.length === 0) return Promise.reject(new Error("a write of nothing"));
    this.#writer = { data, waiter: Promise.withResolvers() };
    const { promise } = this.#writer.waiter;
    this.#take();
    return promise;
  }

  closeWrite(): Promise<void> {
    if (this.closed) return Promise.reject(new Deno.errors.BadResource("closed"));
    if (this.halfClosed) return Promise.reject(new Error("half-closed twice"));
    if (this.#writer !== null) return Promise.reject(new Error("half-closed while writing"));
    if (this.#writeError !== null) return Promise.reject(this.#writeError);
    this.halfClosed = true;
    return Promise.resolve();
  }

  close(): void {
    if (this.closed) throw new Deno.errors.BadResource("closed twice");
    this.closed = true;
    const interrupted = new Deno.errors.Interrupted("closed");
    this.#reader?.waiter.reject(interrupted);
    this.#writer?.waiter.reject(interrupted);
    this.#reader = this.#writer = null;
  }

  #answer(): void {
    if (this.#reader === null) return;
    const { buffer, waiter } = this.#reader;
    const piece = this.#incoming[0];
    if (piece !== undefined) {
      const n = Math.min(buffer.length, piece.length);
      buffer.set(piece.subarray(0, n));
      if (n === piece.length) this.#incoming.shift();
      else this.#incoming[0] = piece.subarray(n);
      waiter.resolve(n);
    } else if (this.#readError !== null) {
      waiter.reject(this.#readError);
    } else if (this.#ended) {
      waiter.resolve(null);
    } else {
      return;
    }
    this.#reader = null;
  }

  #take(): void {
    if (this.#writer === null) return;
    const { data, waiter } = this.#writer;
    if (this.#writeError !== null) {
      waiter.reject(this.#writeError);
    } else {
      const n = Math.min(data.length, this.maxWrite, this.credit);
      if (n === 0) return;
      this.credit -= n;
      this.writes.push(new Uint8Array(data.subarray(0, n)));
      waiter.resolve(n);
    }
    this.#writer = null;
  }
}
