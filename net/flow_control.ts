/**
 * What `drain()` and `waitClosed()` wait for.
 *
 * @module
 */
import { Protocol } from "./protocols.ts";
import { tell } from "./told.ts";
import { nextTurn } from "./turn.ts";
import { unheeded, Waiters } from "./waiters.ts";

/** After this many drains that had nothing to wait for, one waits for the turn to end. */
const DRAINS_A_TURN = 1_000;
const DONE = Promise.resolve();
let drains = 0;

let drainedOf: (protocol: FlowControlMixin, signal?: AbortSignal) => Promise<void>;
let closedOf: (
  protocol: FlowControlMixin,
  signal?: AbortSignal,
  quietly?: boolean,
) => Promise<void>;

/** Waits until more may be written to a protocol's connection. */
export function drained(protocol: FlowControlMixin, signal?: AbortSignal): Promise<void> {
  return drainedOf(protocol, signal);
}

/**
 * Waits until a protocol's connection has ended.
 *
 * @param protocol The protocol.
 * @param signal Ends the wait.
 * @param quietly Whether to reject without noting that the caller was told why it ended.
 */
export function closed(
  protocol: FlowControlMixin,
  signal?: AbortSignal,
  quietly = false,
): Promise<void> {
  return closedOf(protocol, signal, quietly);
}

/** What `drain()` rejects with, when a connection has ended by `error`. */
function connectionLost(error: unknown): unknown {
  return tell(error ?? new Deno.errors.ConnectionReset("the connection is closed"));
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
  #drained: Waiters | null = null;
  #closed: Waiters | null = null;

  static {
    drainedOf = (protocol, signal) => protocol.#untilDrained(signal);
    closedOf = (protocol, signal, quietly) => protocol.#untilClosed(signal, quietly);
  }

  /** The transport's write buffer is full: `drain()` waits. */
  override pauseWriting(): void {
    this.#paused = true;
  }

  /** It is empty enough: `drain()` goes on. */
  override resumeWriting(): void {
    this.#paused = false;
    this.#drained?.resolve();
  }

  /** The connection has ended: `drain()` rejects, `waitClosed()` ends. */
  override connectionLost(error: Error | null): void {
    if (this.#lost !== null) return;
    this.#lost = { error };
    this.#drained?.reject(error);
    if (error === null) this.#closed?.resolve();
    else this.#closed?.reject(error);
  }

  #untilDrained(signal?: AbortSignal): Promise<void> {
    if (this.#paused || this.#lost !== null || signal?.aborted) return this.#waitDrained(signal);
    // A loop that only writes and drains would let nobody else have a turn, and send nothing.
    if (++drains < DRAINS_A_TURN) return DONE;
    drains = 0;
    return nextTurn();
  }

  #waitDrained(signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return unheeded(Promise.reject(signal.reason));
    if (this.#lost !== null) return unheeded(Promise.reject(connectionLost(this.#lost.error)));
    return (this.#drained ??= new Waiters()).wait(signal, connectionLost);
  }

  #untilClosed(signal?: AbortSignal, quietly = false): Promise<void> {
    if (signal?.aborted) return unheeded(Promise.reject(signal.reason));
    if (this.#lost === null) {
      return (this.#closed ??= new Waiters()).wait(signal, quietly ? undefined : tell);
    }
    const { error } = this.#lost;
    return error === null ? DONE : unheeded(Promise.reject(quietly ? error : tell(error)));
  }
}
