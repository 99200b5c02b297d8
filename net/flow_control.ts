/**
 * What `drain()` and `waitClosed()` wait for.
 *
 * @module
 */
import { Protocol } from "./protocols.ts";
import { tell } from "./told.ts";
import { nextTurn } from "./turn.ts";

/** After this many drains that had nothing to wait for, one waits for the turn to end. */
const DRAINS_A_TURN = 1_000;
const DONE = Promise.resolve();
let drains = 0;

let drainedOf: (protocol: FlowControlMixin) => Promise<void>;
let closedOf: (protocol: FlowControlMixin) => Promise<void>;

/** Waits until more may be written to a protocol's connection. */
export function drained(protocol: FlowControlMixin): Promise<void> {
  return drainedOf(protocol);
}

/** Waits until a protocol's connection has ended. */
export function closed(protocol: FlowControlMixin): Promise<void> {
  return closedOf(protocol);
}

/**
 * Lets a caller look away from `promise`: what it rejects with is told again whenever asked, and must
 * not end the process.
 */
export function unheeded<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}

function waiters(): PromiseWithResolvers<void> {
  const waiters = Promise.withResolvers<void>();
  unheeded(waiters.promise);
  return waiters;
}

function rejected(error: Error): Promise<void> {
  return unheeded(Promise.reject(error));
}

function connectionLost(error: Error | null): Error {
  return error !== null ? tell(error) : new Deno.errors.ConnectionReset("the connection is closed");
}

/**
 * A protocol that keeps count of whether its connection can be written to: asyncio's
 * `FlowControlMixin`. A {@linkcode StreamWriter} needs one.
 *
 * @example
 * ```ts
 * import { FlowControlMixin } from "@asyncio/streams";
 * import { assert } from "@std/assert";
 *
 * const protocol = new FlowControlMixin();
 * protocol.pauseWriting();
 * protocol.resumeWriting();
 * assert(protocol instanceof FlowControlMixin);
 * ```
 */
export class FlowControlMixin extends Protocol {
  #paused = false;
  #lost: { error: Error | null } | null = null;
  #drained: PromiseWithResolvers<void> | null = null;
  #closed: PromiseWithResolvers<void> | null = null;

  static {
    drainedOf = (protocol) => protocol.#untilDrained();
    closedOf = (protocol) => protocol.#untilClosed();
  }

  /** The transport's write buffer is full: `drain()` waits. */
  override pauseWriting(): void {
    this.#paused = true;
  }

  /** It is empty enough: `drain()` goes on. */
  override resumeWriting(): void {
    this.#paused = false;
    this.#drained?.resolve();
    this.#drained = null;
  }

  /** The connection has ended: `drain()` rejects, `waitClosed()` ends. */
  override connectionLost(error: Error | null): void {
    if (this.#lost !== null) return;
    this.#lost = { error };
    if (this.#drained !== null) this.#drained.reject(connectionLost(error));
    this.#drained = null;
    if (error === null) this.#closed?.resolve();
    else this.#closed?.reject(error);
    this.#closed = null;
  }

  #untilDrained(): Promise<void> {
    if (this.#lost !== null) return rejected(connectionLost(this.#lost.error));
    if (this.#paused) return (this.#drained ??= waiters()).promise;
    // A loop that only writes and drains would let nobody else have a turn, and send nothing.
    if (++drains < DRAINS_A_TURN) return DONE;
    drains = 0;
    return nextTurn();
  }

  #untilClosed(): Promise<void> {
    if (this.#lost === null) return (this.#closed ??= waiters()).promise;
    return this.#lost.error === null ? DONE : rejected(this.#lost.error);
  }
}
