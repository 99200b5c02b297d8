/**
 * A result that is not there yet.
 *
 * @module
 */
import { show } from "../net/validate.ts";
import { callSite } from "./debug.ts";
import { CancelledError, InvalidStateError } from "./errors.ts";
import { Handle } from "./handle.ts";
import type { Scheduler } from "./scheduler.ts";

/** How a future ended. */
export type Outcome<T> =
  | { readonly kind: "result"; readonly value: T }
  | { readonly kind: "exception"; readonly exception: unknown }
  | { readonly kind: "cancelled"; readonly error: CancelledError };

/** Options of {@linkcode Future}. */
export interface FutureOptions {
  /** The loop that calls the future's callbacks. */
  loop: Scheduler;
}

/** The loop of a future or task that is made. */
export function loopOf(options: FutureOptions): Scheduler {
  const { loop } = options ?? {};
  if (typeof loop?.callSoon === "function") return loop;
  throw new TypeError(
    `loop is an event loop, not ${show(loop)}: its createFuture() and createTask() pass it on`,
  );
}

/** How a future stands, in a word; set by {@linkcode Future}. */
export let stateOf: (future: Future) => "pending" | Outcome<unknown>["kind"];

/** Where a future was made, in debug mode; set by {@linkcode Future}. */
export let madeAt: (future: Future) => string | undefined;

/** Ends a future, a task too, which can't be ended from outside; set by {@linkcode Future}. */
export let settle: <T>(future: Future<T>, outcome: Outcome<T>) => void;

/**
 * A result that is not there yet: it can be awaited, and whoever has it can set it.
 *
 * An exception that was set and that nobody asked for (with `await`, {@linkcode Future.result} or
 * {@linkcode Future.exception}) by the time the done callbacks have run is reported to the loop's
 * exception handler, once: the rule is that of a rejected promise with no handler, but the
 * process goes on. Awaiting it later still gives the exception.
 *
 * @typeParam T The type of the result.
 *
 * @example
 * ```ts
 * import { getEventLoop } from "@asyncio/streams";
 * import { assertEquals } from "@std/assert";
 *
 * const loop = getEventLoop();
 * const future = loop.createFuture<string>();
 * loop.callLater(1, () => future.setResult("done"));
 * assertEquals(await future, "done");
 * ```
 */
export class Future<T = unknown> implements PromiseLike<T> {
  #loop: Scheduler;
  #outcome: Outcome<T> | null = null;
  #callbacks: { callback: unknown; handle: Handle }[] = [];
  #retrieved = false;
  #sourceTraceback: string | undefined;

  /**
   * Makes a pending future; {@linkcode EventLoop.createFuture} is the usual way.
   *
   * @param options Whose future it is.
   * @throws {TypeError} When there is no loop.
   */
  constructor(options: FutureOptions) {
    const loop = this.#loop = loopOf(options);
    if (loop.getDebug()) this.#sourceTraceback = callSite();
  }

  static {
    settle = (future, outcome) => future.#settle(outcome);
    madeAt = (future) => future.#sourceTraceback;
    stateOf = (future) => future.#outcome?.kind ?? "pending";
  }

  /** The loop that calls the future's callbacks. */
  getLoop(): Scheduler {
    return this.#loop;
  }

  /** Tells whether there is a result or an exception, or the future was cancelled. */
  done(): boolean {
    return this.#outcome !== null;
  }

  /** Tells whether the future was cancelled. */
  cancelled(): boolean {
    return this.#outcome?.kind === "cancelled";
  }

  /**
   * The result.
   *
   * @returns What was set.
   * @throws {InvalidStateError} When there is none yet.
   * @throws {CancelledError} When the future was cancelled.
   * @throws {unknown} The exception, when one was set.
   */
  result(): T {
    const outcome = this.#ended("Result is not ready");
    this.#retrieved = true;
    if (outcome.kind === "result") return outcome.value;
    throw outcome.kind === "cancelled" ? outcome.error : outcome.exception;
  }

  /**
   * The exception.
   *
   * @returns What was set or thrown; `null` when there is a result.
   * @throws {InvalidStateError} When the future is pending.
   * @throws {CancelledError} When the future was cancelled.
   */
  exception(): unknown {
    const outcome = this.#ended("Exception is not set");
    this.#retrieved = true;
    if (outcome.kind === "cancelled") throw outcome.error;
    return outcome.kind === "result" ? null : outcome.exception;
  }

  /**
   * Ends the future with a result.
   *
   * @param result The result.
   * @throws {InvalidStateError} When the future is done.
   */
  setResult(result: T): void {
    this.#settle({ kind: "result", value: result });
  }

  /**
   * Ends the future with an exception.
   *
   * @param exception What `await` and {@linkcode Future.result} throw.
   * @throws {TypeError} When it is not an `Error`.
   * @throws {InvalidStateError} When the future is done.
   */
  setException(exception: Error): void {
    if (!(exception instanceof Error)) {
      throw new TypeError(`An exception must be an Error, got ${typeof exception}`);
    }
    this.#settle({ kind: "exception", exception });
  }

  /**
   * Ends the future as cancelled: whoever awaits it gets a {@linkcode CancelledError}.
   *
   * @param message The error's message.
   * @returns `false` when the future was done already.
   */
  cancel(message?: string): boolean {
    if (this.done()) return false;
    this.#settle({ kind: "cancelled", error: new CancelledError(message ?? "Cancelled") });
    return true;
  }

  /**
   * Calls `callback` with the future, in a later batch, once it is done; at the next, if it is.
   *
   * @param callback What to call; it runs in the async context of this call.
   */
  addDoneCallback(callback: (future: this) => unknown): void {
    const handle = new Handle(callback, [this], this.#loop);
    if (this.done()) this.#loop.addHandle(handle);
    else this.#callbacks.push({ callback, handle });
  }

  /**
   * Takes `callback` back, however often it was added.
   *
   * @param callback What was given to {@linkcode Future.addDoneCallback}.
   * @returns How many were taken back.
   */
  removeDoneCallback(callback: (future: this) => unknown): number {
    const before = this.#callbacks.length;
    this.#callbacks = this.#callbacks.filter((entry) => entry.callback !== callback);
    return before - this.#callbacks.length;
  }

  /** What `await` calls: it goes on in the future's turn among its done callbacks. */
  then<R = T, E = never>(
    onFulfilled?: ((value: T) => R | PromiseLike<R>) | null,
    onRejected?: ((reason: unknown) => E | PromiseLike<E>) | null,
  ): Promise<R | E> {
    this.#retrieved = true;
    const promise = new Promise<T>((resolve, reject) => {
      const pass = () => {
        try {
          resolve(this.result());
        } catch (exception) {
          reject(exception);
        }
      };
      if (this.done()) pass();
      else this.addDoneCallback(pass);
    });
    return promise.then(onFulfilled, onRejected);
  }

  /** How `console.log` shows a future. */
  [Symbol.for("Deno.customInspect")](): string {
    return `Future <${stateOf(this)}>`;
  }

  #ended(problem: string): Outcome<T> {
    if (this.#outcome === null) throw new InvalidStateError(problem);
    return this.#outcome;
  }

  #settle(outcome: Outcome<T>): void {
    if (this.#outcome !== null) {
      throw new InvalidStateError(`The future is done already: ${this.#outcome.kind}`);
    }
    this.#outcome = outcome;
    const callbacks = this.#callbacks;
    this.#callbacks = [];
    for (const { handle } of callbacks) this.#loop.addHandle(handle);
    // Behind the callbacks, which may be the ones that ask for the exception.
    if (outcome.kind === "exception") this.#loop.addCheck(() => this.#reportIfUnretrieved());
  }

  #reportIfUnretrieved(): void {
    if (this.#retrieved || this.#outcome?.kind !== "exception") return;
    // Only tasks have a name; importing their class to ask would close a circle.
    const isTask = "getName" in this;
    this.#loop.callExceptionHandler({
      message: `${isTask ? "Task" : "Future"} exception was never retrieved`,
      exception: this.#outcome.exception,
      ...(isTask ? { task: this } : { future: this }),
      sourceTraceback: this.#sourceTraceback,
    });
  }
}
