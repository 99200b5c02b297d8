/**
 * What every method that waits takes.
 *
 * @module
 */

/** Options of everything that waits. */
export interface WaitOptions {
  /** Ends the wait: it is rejected with the signal's reason. An aborted read loses no byte. */
  signal?: AbortSignal | undefined;
}
