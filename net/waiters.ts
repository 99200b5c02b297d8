/**
 * Who waits for one event.
 *
 * @module
 */

/**
 * Lets a caller look away from `promise`: what it rejects with is told again whenever asked, and must
 * not end the process.
 */
export function unheeded<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}

/** One who waits. */
interface Waiter {
  resolve(): void;
  reject(error: unknown): void;
  readonly onLost: ((error: unknown) => unknown) | undefined;
}

/**
 * Waits for one event, each of which its signal can end. Then nothing of it stays, however long the
 * event is in coming: a race with a promise that lives as long would leave 1.5 KB behind.
 */
export class Waiters {
  readonly #waiting = new Set<Waiter>();

  /**
   * Waits for the event.
   *
   * @param signal Ends the wait.
   * @param onLost Maps what {@linkcode reject} rejects with.
   */
  wait(signal?: AbortSignal, onLost?: (error: unknown) => unknown): Promise<void> {
    return unheeded(
      new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason);
        const abort = () => {
          this.#waiting.delete(waiter);
          waiter.reject(signal!.reason);
        };
        const done = () => signal?.removeEventListener("abort", abort);
        const waiter: Waiter = {
          resolve: () => (done(), resolve()),
          reject: (error) => (done(), reject(error)),
          onLost,
        };
        signal?.addEventListener("abort", abort);
        this.#waiting.add(waiter);
      }),
    );
  }

  /** The event has come. */
  resolve(): void {
    for (const waiter of this.#take()) waiter.resolve();
  }

  /** It never will. */
  reject(error: unknown): void {
    for (const waiter of this.#take()) {
      waiter.reject(waiter.onLost === undefined ? error : waiter.onLost(error));
    }
  }

  #take(): Waiter[] {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    return waiting;
  }
}
