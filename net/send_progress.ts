/**
 * How far sending has come, for who has to wait for it without a protocol's help.
 *
 * @module
 */

function closed(): Error {
  return new Deno.errors.ConnectionAborted("the connection was closed before all was sent");
}

/** Counts what left, and lets one wait until little is left. */
export class SendProgress {
  /** How many bytes have left. */
  sent = 0;
  #failure: unknown = null;
  readonly #waiting = new Set<{ level: number; waiter: PromiseWithResolvers<void> }>();

  /** Says that `n` more bytes have left, and how many wait. */
  advance(n: number, left: number): void {
    this.sent += n;
    for (const waiting of this.#waiting) {
      if (left > waiting.level) continue;
      this.#waiting.delete(waiting);
      waiting.waiter.resolve();
    }
  }

  /** Says that nothing more leaves, because of `error` or, where that is `null`, a regular end. */
  end(error: unknown): void {
    this.#failure = error ?? closed();
    for (const { waiter } of this.#waiting) waiter.reject(this.#failure);
    this.#waiting.clear();
  }

  /** Why nothing more can be sent over a connection that is closing, or closed. */
  get failure(): unknown {
    return this.#failure ?? closed();
  }

  /**
   * Waits until at most `level` bytes wait.
   *
   * @param level How many bytes may be left.
   * @param left How many wait now.
   */
  async until(level: number, left: number): Promise<void> {
    if (this.#failure !== null) throw this.#failure;
    if (left <= level) return;
    const waiter = Promise.withResolvers<void>();
    this.#waiting.add({ level, waiter });
    await waiter.promise;
  }
}
