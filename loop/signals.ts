/**
 * What a loop does when the process is sent a signal.
 *
 * @module
 */

/** The signal handlers of one loop: at most one for each signal. */
export class SignalHandlers {
  #listeners = new Map<Deno.Signal, () => void>();

  /**
   * Has `onSignal` called, in the async context of this call, each time `signal` comes.
   *
   * @throws {TypeError} When the platform has no such signal, or it can't be caught.
   */
  set(signal: Deno.Signal, onSignal: () => void): void {
    let open: () => void;
    // Deno runs every listener of a signal in the context of the first; a promise's reaction has
    // that of its `then`, but only once: each call readies the next.
    const ready = () => {
      new Promise<void>((resolve) => open = resolve).then(() => {
        ready();
        if (this.#listeners.get(signal) === listener) onSignal();
      });
    };
    const listener = () => open();
    ready();
    Deno.addSignalListener(signal, listener);
    this.remove(signal);
    this.#listeners.set(signal, listener);
  }

  /** Forgets the handler of `signal`; `false` when there is none. */
  remove(signal: Deno.Signal): boolean {
    const listener = this.#listeners.get(signal);
    if (listener === undefined) return false;
    Deno.removeSignalListener(signal, listener);
    return this.#listeners.delete(signal);
  }

  /** Forgets all of them. */
  clear(): void {
    for (const signal of this.#listeners.keys()) this.remove(signal);
  }
}
