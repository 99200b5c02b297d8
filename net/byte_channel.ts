/**
 * Bytes on their way from one side to the other, as many as a system's socket buffer would hold.
 *
 * @module
 */
import { WriteBuffer } from "./write_buffer.ts";

/** How many bytes may be on their way. */
export const CAPACITY = 65_536;

/** Callbacks that wait for one moment; each is called once, or taken back. */
class Waiters {
  readonly #callbacks = new Set<() => void>();

  add(callback: () => void): () => void {
    this.#callbacks.add(callback);
    return () => this.#callbacks.delete(callback);
  }

  wake(): void {
    const callbacks = [...this.#callbacks];
    this.#callbacks.clear();
    for (const callback of callbacks) callback();
  }
}

/** One direction of a connection: bounded, and never waiting by itself. */
export class ByteChannel {
  readonly #bytes = new WriteBuffer();
  readonly #readers = new Waiters();
  readonly #writers = new Waiters();
  #ended = false;
  /** What reads fail with once all bytes are read. */
  #fault: unknown = null;
  /** What writes fail with. */
  #refusal: unknown = null;

  /** How many bytes are on their way. */
  get length(): number {
    return this.#bytes.length;
  }

  /** Whether {@linkcode end} was called: no more bytes come. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Whether {@linkcode read} has an answer: bytes, the end, or an error. */
  get readable(): boolean {
    return this.#bytes.length > 0 || this.#ended;
  }

  /** Whether {@linkcode write} has an answer: it takes bytes, or fails. */
  get writable(): boolean {
    return this.#bytes.length < CAPACITY || this.#refusal !== null;
  }

  /** Moves bytes to `buffer`: their number, `null` at the end, `undefined` if there are none yet. */
  read(buffer: Uint8Array): number | null | undefined {
    let n = 0;
    while (n < buffer.length && this.#bytes.length > 0) {
      const piece = this.#bytes.head().subarray(0, buffer.length - n);
      buffer.set(piece, n);
      this.#bytes.sent(piece.length);
      n += piece.length;
    }
    if (n > 0) {
      this.#writers.wake();
      return n;
    }
    if (this.#fault !== null) throw this.#fault;
    return this.#ended ? null : undefined;
  }

  /** Takes as much of `data` as there is room for: how many bytes that is. */
  write(data: Uint8Array): number {
    if (this.#refusal !== null) throw this.#refusal;
    const n = Math.min(data.length, CAPACITY - this.#bytes.length);
    if (n === 0) return 0;
    this.#bytes.append(data.subarray(0, n));
    this.#readers.wake();
    return n;
  }

  /** Says that no more bytes come, because of `fault` unless that is the regular end. */
  end(fault: unknown = null): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#fault = fault;
    this.#readers.wake();
  }

  /** Lets writes fail from now on. */
  refuse(refusal: unknown): void {
    this.#refusal ??= refusal;
    this.#writers.wake();
  }

  /** Has those who wait to read look again. */
  nudge(): void {
    this.#readers.wake();
  }

  /** Drops the bytes that are on their way. */
  clear(): void {
    this.#bytes.clear();
  }

  /** Calls `callback` when the channel is readable, which it is not; returns what takes that back. */
  whenReadable(callback: () => void): () => void {
    return this.#readers.add(callback);
  }

  /** Calls `callback` when the channel is writable, which it is not; returns what takes that back. */
  whenWritable(callback: () => void): () => void {
    return this.#writers.add(callback);
  }
}
