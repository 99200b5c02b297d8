/**
 * A function or promise that a loop looks after.
 *
 * @module
 */
import { show } from "../net/validate.ts";
import { CancelledError } from "./errors.ts";
import { Future, loopOf, madeAt, type Outcome, settle, stateOf } from "./future.ts";
import type { Scheduler } from "./scheduler.ts";

/** What a task runs: a function, which is given the task's signal, or a promise. */
export type TaskSource<T> = ((signal: AbortSignal) => T | PromiseLike<T>) | PromiseLike<T>;

/** Options of {@linkcode EventLoop.createTask}. */
export interface CreateTaskOptions {
  /** A name for messages; by default `Task-1`, `Task-2` and so on. */
  name?: string | undefined;
  /** Cancels the task when aborted; its reason becomes the `cause` of the `CancelledError`. */
  signal?: AbortSignal | undefined;
}

/** Options of {@linkcode Task}. */
export interface TaskOptions extends CreateTaskOptions {
  /** The loop that runs the task. */
  loop: Scheduler;
}

let tasksNamed = 0;

function isPromiseLike<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return typeof (value as PromiseLike<T> | null | undefined)?.then === "function";
}

/**
 * A future that a function or a promise ends.
 *
 * The function is called in the next batch, with an `AbortSignal` that {@linkcode Task.cancel}
 * aborts. A task whose function takes the signal, or that was asked for its
 * {@linkcode Task.signal}, ends when the function does: as cancelled, if the function throws the
 * signal's reason, an `AbortError` or any other `CancelledError`. Where nobody can know of the
 * signal the task ends at once, and what the function or promise still comes to is dropped; an
 * error it still throws goes to the exception handler.
 *
 * @typeParam T The type of the result.
 *
 * @example Cancelling
 * ```ts
 * import { CancelledError, getEventLoop, sleep } from "@asyncio/streams";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const task = getEventLoop().createTask((signal) => sleep(60_000, "late", { signal }));
 * await sleep(0);
 * task.cancel();
 * await assertRejects(async () => await task, CancelledError);
 * assertEquals(task.cancelled(), true);
 * ```
 */
export class Task<T = unknown> extends Future<T> {
  #name: string;
  #controller = new AbortController();
  #isSignalKnown = false;
  #isStarted = false;
  #cancelRequests = 0;
  #detach: () => void = () => {};

  /**
   * Makes a task and starts it in the loop's next batch; {@linkcode EventLoop.createTask} is the
   * usual way.
   *
   * @param source The function to call or the promise to wait for.
   * @param options The loop, the task's name and a signal.
   * @throws {TypeError} When `source` is neither, or an option is of the wrong type, or there is no
   *   loop.
   */
  constructor(source: TaskSource<T>, options: TaskOptions) {
    if (typeof source !== "function" && !isPromiseLike(source)) {
      throw new TypeError(`A task needs a function or a promise, got ${typeof source}`);
    }
    const loop = loopOf(options);
    const { name, signal } = options;
    if (name !== undefined && typeof name !== "string") {
      throw new TypeError(`A task's name is a string, not ${show(name)}`);
    }
    if (signal !== undefined && !(signal instanceof AbortSignal)) {
      throw new TypeError(`A task's signal is an AbortSignal, not ${show(signal)}`);
    }
    super(options);
    loop.addTask(this);
    this.#name = name ?? `Task-${++tasksNamed}`;
    if (typeof source === "function") {
      this.#isSignalKnown = source.length > 0;
      loop.callSoon(() => this.#start(source));
    } else {
      this.#isStarted = true;
      this.#follow(source);
    }
    if (signal !== undefined) this.#obey(signal);
  }

  /** The task's name. */
  getName(): string {
    return this.#name;
  }

  /** Renames the task. */
  setName(name: string): void {
    this.#name = name;
  }

  /** The signal that {@linkcode Task.cancel} aborts; a new one once all cancels are taken back. */
  get signal(): AbortSignal {
    this.#isSignalKnown = true;
    return this.#controller.signal;
  }

  /** How many requests to cancel there are, less those taken back. */
  cancelling(): number {
    return this.#cancelRequests;
  }

  /**
   * Asks the task to end: aborts its signal with a {@linkcode CancelledError}. A task that has
   * not started does not start.
   *
   * @param message The error's message.
   * @returns `false` when the task is done.
   */
  override cancel(message?: string): boolean {
    return this.#cancel(new CancelledError(message ?? "Cancelled"));
  }

  /**
   * Takes one request to cancel back: for a function that caught the abort and goes on.
   *
   * @returns How many requests are left; at 0 the task has a new {@linkcode Task.signal}.
   */
  uncancel(): number {
    if (this.#cancelRequests === 0) return 0;
    this.#cancelRequests--;
    if (this.#cancelRequests === 0) this.#controller = new AbortController();
    return this.#cancelRequests;
  }

  /** How `console.log` shows a task. */
  [Symbol.for("Deno.customInspect")](): string {
    return `Task "${this.#name}" <${stateOf(this)}>`;
  }

  /**
   * Not for tasks: what they run ends them.
   *
   * @throws {Error} Always.
   */
  override setResult(_result: T): never {
    throw new Error("A task takes its result from what it runs: setResult() is not for tasks");
  }

  /**
   * Not for tasks: what they run ends them.
   *
   * @throws {Error} Always.
   */
  override setException(_exception: Error): never {
    throw new Error("A task takes its error from what it runs: setException() is not for tasks");
  }

  #obey(signal: AbortSignal): void {
    const cancel = () => {
      const error = new CancelledError("Cancelled by its signal", { cause: signal.reason });
      this.#cancel(error);
    };
    if (signal.aborted) return cancel();
    signal.addEventListener("abort", cancel);
    this.#detach = () => signal.removeEventListener("abort", cancel);
  }

  #cancel(error: CancelledError): boolean {
    if (this.done()) return false;
    this.#cancelRequests++;
    this.#controller.abort(error);
    if (this.#isStarted && !this.#isSignalKnown) {
      this.getLoop().callSoon(() => this.#endCancelled());
    }
    return true;
  }

  #start(run: (signal: AbortSignal) => T | PromiseLike<T>): void {
    this.#isStarted = true;
    if (this.#cancelRequests > 0) return this.#endCancelled();
    try {
      const work = run(this.#controller.signal);
      if (isPromiseLike(work)) this.#follow(work);
      else this.#finish(work);
    } catch (exception) {
      this.#fail(exception);
    }
  }

  #follow(work: PromiseLike<T>): void {
    // A promise is itself here; any other thenable may do whatever it likes, and count once.
    Promise.resolve(work).then((value) => this.#finish(value), (error) => this.#fail(error));
  }

  #endCancelled(): void {
    if (this.done() || this.#cancelRequests === 0) return;
    this.#end({ kind: "cancelled", error: this.#controller.signal.reason as CancelledError });
  }

  #finish(value: T): void {
    if (!this.done()) this.#end({ kind: "result", value });
  }

  #fail(exception: unknown): void {
    const error = this.#asCancellation(exception);
    if (this.done()) {
      if (error === null) this.#reportLate(exception);
      return;
    }
    this.#end(error ? { kind: "cancelled", error } : { kind: "exception", exception });
  }

  #end(outcome: Outcome<T>): void {
    this.#detach();
    this.getLoop().removeTask(this);
    settle(this, outcome);
  }

  /** The `CancelledError` that `exception` is or, in a cancelled task, stands for. */
  #asCancellation(exception: unknown): CancelledError | null {
    if (exception instanceof CancelledError) return exception;
    const isAbort = exception instanceof Error && exception.name === "AbortError";
    return isAbort && this.#cancelRequests > 0 ? this.#controller.signal.reason : null;
  }

  #reportLate(exception: unknown): void {
    this.getLoop().callExceptionHandler({
      message: `${this.#name} failed after it was cancelled`,
      exception,
      task: this,
      sourceTraceback: madeAt(this),
    });
  }
}
