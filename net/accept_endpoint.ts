/**
 * A socket's end over a listener of Deno's.
 *
 * @module
 */
import { leftEarly } from "./accept.ts";
import { plainAddrs } from "./addresses.ts";
import type { Pollable } from "./endpoint.ts";
import { type Close, closeOf, leavesBehind } from "./listen.ts";

/** A listener that accepts one connection ahead while somebody wants to know whether there is one. */
export class AcceptEndpoint implements Pollable {
  readonly listener: Deno.Listener;
  readonly writable = false;
  #ahead: { conn: Deno.Conn } | { error: unknown } | null = null;
  #accepting = false;
  #closed = false;
  readonly #waiters = new Set<() => void>();
  readonly #close: Close;
  /** What is left to do when the listener is closed and no accept is under way any more. */
  #finish: (() => void) | null = null;

  /** Makes an end of an open listener, which is its own from now on. */
  constructor(listener: Deno.Listener) {
    this.listener = listener;
    this.#close = closeOf(listener);
  }

  get readable(): boolean {
    return this.#ahead !== null;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** The connection that waits, or `null`. */
  accept(): Deno.Conn | null {
    const ahead = this.#ahead;
    this.#ahead = null;
    if (ahead === null) {
      this.#acceptAhead();
      return null;
    }
    if ("error" in ahead) throw ahead.error;
    return ahead.conn;
  }

  async #acceptAhead(): Promise<void> {
    if (this.#accepting || this.#ahead !== null || this.#closed) return;
    this.#accepting = true;
    do {
      try {
        this.#ahead = { conn: plainAddrs(await this.listener.accept()) };
      } catch (error) {
        if (!leftEarly(error)) this.#ahead = { error };
      }
    } while (this.#ahead === null && !this.#closed);
    this.#accepting = false;
    if (this.#closed) {
      this.#finish?.();
      this.#dropAhead();
    }
    this.#wake();
  }

  #dropAhead(): void {
    if (this.#ahead !== null && "conn" in this.#ahead) this.#ahead.conn.close();
    this.#ahead = { error: new Deno.errors.Interrupted("the socket was closed") };
  }

  #wake(): void {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const callback of waiters) callback();
  }

  whenReadable(callback: () => void): () => void {
    this.#acceptAhead();
    this.#waiters.add(callback);
    return () => this.#waiters.delete(callback);
  }

  whenWritable(): () => void {
    return () => {};
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    const finish = this.#close();
    if (this.#accepting) {
      const { promise: freed, resolve } = Promise.withResolvers<void>();
      this.#finish = () => resolve(finish?.());
      leavesBehind(this.listener, freed);
    } else finish?.();
    this.#dropAhead();
    this.#wake();
  }
}
