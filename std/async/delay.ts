import { setTimeout } from "node:timers/promises";

/** Options of {@linkcode delay}. */
export interface DelayOptions {
  /** Ends the wait early. */
  signal?: AbortSignal;
  /** Whether the wait keeps the process alive; it does by default. */
  persistent?: boolean;
}

/** See `@std/async/delay`. */
export async function delay(ms: number, options: DelayOptions = {}): Promise<void> {
  const { signal, persistent: ref = true } = options;
  try {
    await setTimeout(ms, undefined, signal ? { ref, signal } : { ref });
  } catch (error) {
    // Node wraps the signal's reason in an AbortError of its own.
    signal?.throwIfAborted();
    throw error;
  }
}
