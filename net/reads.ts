/**
 * Reads, of which one may wait for more bytes.
 *
 * @module
 */
import { concat } from "@std/bytes/concat";
import { Intake } from "./intake.ts";
import { PushingTransport } from "./pushing_transport.ts";
import { tell } from "./told.ts";
import type { ReadTransport } from "./transports.ts";
import type { WaitOptions } from "./wait_options.ts";
import { unheeded } from "./waiters.ts";

/** Bytes as reads give them out. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** How far a read has come that buffered bytes may not answer at once. */
export interface Progress {
  /** How many bytes it would take, at the most. */
  readonly want: number;
  /** The caller's memory, if the connection's own read may store them there. */
  readonly target: Uint8Array | null;
  /** How many buffered bytes are known to start no match. */
  searched: number;
  /** What a read to EOF has gathered. */
  blocks: Bytes[] | null;
}

/**
 * Answers a read, or returns `null` if it needs more bytes, or throws. `placed` is how many bytes have
 * come in its target.
 */
export type Attempt<T> = (reads: Reads, read: Progress, placed: number) => T | null;

type Resolve<T> = (data: T | PromiseLike<never>) => void;

/** A read that may have to wait. */
interface Read<T> extends Progress {
  attempt: Attempt<T>;
  /** Settles the promise of one that waits. */
  resolve(data: T | PromiseLike<never>): void;
  /** That promise. */
  promise: Promise<T> | null;
}

/** What a reader has taken in, and the read that waits for more. */
export class Reads extends Intake {
  /** How many bytes a line, or what comes before a separator, may have. */
  readonly limit: number;
  #exception: Error | null = null;
  #pending: Read<unknown> | null = null;
  /** Bytes were fed by hand, and the read that waits will see them when the caller is done. */
  #waking = false;
  #pusher: PushingTransport | null = null;

  /** Starts with nothing; `limit` has been checked. */
  constructor(limit: number) {
    super();
    this.limit = limit;
  }

  /** See {@linkcode Intake.awaited}. */
  get awaited(): boolean {
    return this.#pending !== null;
  }

  /** Nothing stands between a read and what is buffered. */
  get free(): boolean {
    return this.#exception === null && this.#pending === null;
  }

  /** Whether {@linkcode setException} was called. */
  get exceptionSet(): boolean {
    return this.#exception !== null;
  }

  /** The exception that was set, or that ended the connection, or `null`. */
  get exception(): Error | null {
    return this.#exception ?? this.fault as Error | null;
  }

  /** Whether there is a transport already. */
  get hasTransport(): boolean {
    return this.#pusher !== null || this.source !== null;
  }

  /** `transport` pushes bytes, by way of {@linkcode feed}. */
  override pushedBy(transport: ReadTransport): void {
    this.#pusher = new PushingTransport(transport, this.limit);
  }

  /** See {@linkcode ReadBuffer.take}. */
  override take(n: number): Bytes {
    const data = super.take(n);
    if (this.#pending !== null || this.#pusher !== null || this.ahead > 0) this.#taken(n);
    return data;
  }

  /** See {@linkcode ReadBuffer.moveTo}. */
  override moveTo(target: Uint8Array): number {
    const n = super.moveTo(target);
    this.#taken(n);
    return n;
  }

  /** See {@linkcode ReadBuffer.skip}. */
  override skip(n: number): void {
    super.skip(n);
    this.#taken(n);
  }

  /** Keeps count of `n` bytes that were taken from the front. */
  #taken(n: number): void {
    // A read that needs no wait may take bytes from under a search that does.
    const pending = this.#pending;
    if (pending !== null) pending.searched = Math.max(0, pending.searched - n);
    this.#pusher?.taken(this.length);
    this.readAhead();
  }

  /** Whether another read than `read` waits: what comes is that one's. */
  isAnothers(read: Progress): boolean {
    return this.#pending !== null && this.#pending !== read;
  }

  /** Adds a copy of `data` by hand. */
  feed(data: Uint8Array): void {
    this.append(data);
    this.#wake();
    this.#pusher?.pushed(this.length);
  }

  /** Marks the end by hand. */
  feedEof(): void {
    this.eof = true;
    this.#wake();
  }

  /** Makes the read that waits and every later one reject with `exception`. */
  setException(exception: Error): void {
    this.#exception = exception;
    // With bytes fed in the same turn, the read that waits is answered by those if it can be.
    if (!this.#waking) this.#fail(exception);
  }

  /**
   * Does a read, now or as soon as it can be answered.
   *
   * @param name What to call it in errors.
   * @param attempt What answers it.
   * @param want How many bytes it would take, at the most.
   * @param options A signal to end the wait.
   * @param target The caller's memory, if the connection's own read may store bytes there.
   */
  wait<T>(
    name: string,
    attempt: Attempt<T>,
    want: number,
    options: WaitOptions | undefined,
    target: Uint8Array | null = null,
  ): Promise<T> {
    const signal = options?.signal;
    // The read that waits comes first.
    if (this.#waking) this.arrived(0);
    const read: Read<T> = {
      attempt,
      want,
      target,
      searched: 0,
      blocks: null,
      resolve: ignore,
      promise: null,
    };
    try {
      signal?.throwIfAborted();
      if (this.#exception !== null) throw tell(this.#exception);
      const data = attempt(this, read, 0);
      if (data !== null) return Promise.resolve(data);
      if (this.#pending !== null) {
        const message = `${name}() called while another read is waiting for incoming data`;
        return Promise.reject(new Error(message));
      }
      if (this.exception !== null) throw tell(this.exception);
    } catch (error) {
      this.#giveBack(read);
      return unheeded(Promise.reject(error));
    }
    const promise = new Promise<T>((resolve) => {
      read.resolve = signal === undefined ? resolve : this.#listen(signal, resolve);
    });
    read.promise = promise;
    this.#pending = read;
    this.#ask(read);
    return promise;
  }

  /** Has more bytes come for the read that waits, however many are buffered. */
  #ask({ want, target }: Progress): void {
    this.#pusher?.resume();
    this.pull(want, target);
  }

  /** Ends the read that waits when `signal` aborts. Returns what settles it, and stops listening. */
  #listen<T>(signal: AbortSignal, resolve: Resolve<T>): Resolve<T> {
    const onAbort = () => this.#fail(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    return (data) => {
      signal.removeEventListener("abort", onAbort);
      resolve(data);
    };
  }

  /** Puts back what a read to EOF has gathered, when it ends in an error: the next read gets it. */
  #giveBack({ blocks }: Progress): void {
    // After an exception was set there is no next one: then it is gone, as in asyncio.
    if (blocks?.length && this.#exception === null) this.prepend(concat(blocks));
  }

  /** Rejects the read that waits. */
  #fail(reason: unknown): void {
    const pending = this.#pending;
    if (pending === null) return;
    if (this.lent) {
      // As in `arrived()`: it ends when the connection's read does.
      pending.attempt = () => {
        throw reason;
      };
      return;
    }
    this.#pending = null;
    this.#giveBack(pending);
    // A program may have begun to read long before it looks at the promise, and be gone by then, over an
    // error of the same connection: a peer that resets must not end the process.
    unheeded(pending.promise!);
    // A promise's `reject` would cost each connection that waits 60 bytes of heap.
    const rejected: PromiseLike<never> = { then: (_, reject) => reject!(reason) as never };
    pending.resolve(rejected);
  }

  /** Looks after the read that waits once the caller, who may have more to feed, is done. */
  #wake(): void {
    if (this.#pending === null || this.#waking) return;
    this.#waking = true;
    queueMicrotask(() => {
      if (this.#waking) this.arrived(0);
    });
  }

  /**
   * Answers the read that waits, if it can be answered.
   *
   * While the connection stores in the caller's memory, that read is not answered: the caller might
   * use the memory for something else.
   */
  protected override arrived(placed: number): void {
    this.#waking = false;
    const pending = this.#pending;
    if (pending === null || this.lent) return;
    let data: unknown;
    try {
      data = pending.attempt(this, pending, placed);
      if (data === null && this.exception !== null) throw tell(this.exception);
    } catch (error) {
      return this.#fail(error);
    }
    if (data === null) return this.#ask(pending);
    this.#pending = null;
    pending.resolve(data);
  }
}

function ignore(): void {}
