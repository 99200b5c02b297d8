/**
 * A transport that pushes into a reader.
 *
 * @module
 */
import type { ReadTransport } from "./transports.ts";

/** It is paused while more is buffered than twice the reader's limit. */
export class PushingTransport {
  readonly #transport: ReadTransport;
  readonly #limit: number;
  #paused = false;

  /** Joins a transport and the limit of the reader that it pushes into, in bytes. */
  constructor(transport: ReadTransport, limit: number) {
    this.#transport = transport;
    this.#limit = limit;
  }

  /** Bytes have come: `length` are buffered now. */
  pushed(length: number): void {
    if (this.#paused || length <= 2 * this.#limit) return;
    this.#paused = true;
    this.#transport.pauseReading();
  }

  /** Bytes were taken: `length` stay. */
  taken(length: number): void {
    if (!this.#paused || length > this.#limit) return;
    // Behind the read that takes them, which what comes at once must not disturb.
    queueMicrotask(() => this.resume());
  }

  /** More is wanted, however many are buffered. */
  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#transport.resumeReading();
  }
}
