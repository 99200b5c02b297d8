/**
 * An executor on threads of their own.
 *
 * @module
 */
import type { Worker } from "node:worker_threads";
import { abortable } from "@std/async/abortable";
import { startTimer } from "../net/timers.ts";
import { checkNumber } from "../net/validate.ts";
import { CancelledError } from "./errors.ts";
import {
  checkShutdownOptions,
  type Executable,
  type Executor,
  type ExecutorShutdownOptions,
} from "./executor.ts";
import { answers, revive, toRequest, type WorkerRequest } from "./worker_request.ts";

/** Options of {@linkcode WorkerExecutor}. */
export interface WorkerExecutorOptions {
  /**
   * How many functions run at the same time, at the most. By default, one for each processor.
   */
  maxWorkers?: number | undefined;
}

/** A function to call. */
interface Job {
  readonly request: WorkerRequest;
  readonly outcome: PromiseWithResolvers<unknown>;
}

/** A worker, and what it is doing. */
interface Thread {
  worker: Worker;
  job: Job | null;
}

/**
 * Runs functions on workers: threads that don't hold up the event loop whatever they do.
 *
 * A function is sent as its source text, so it must be self-contained: it can use its arguments, what
 * is global and what it imports itself, and nothing else from around it. A
 * {@linkcode ModuleFunction} has no such limit; loading its module needs the permission to read
 * it. Arguments and results are copied, as by `structuredClone`; arguments at the call.
 *
 * Workers are started when they are needed, and used again. Idle ones don't keep the process alive.
 *
 * @example
 * ```ts
 * import { WorkerExecutor } from "@asyncio/streams";
 * import { assertEquals } from "@std/assert";
 *
 * await using executor = new WorkerExecutor({ maxWorkers: 2 });
 * const fib = (n: number) => {
 *   let [a, b] = [0, 1];
 *   for (let i = 0; i < n; i++) [a, b] = [b, a + b];
 *   return a;
 * };
 * assertEquals(await executor.submit(fib, 50), 12586269025);
 * ```
 */
export class WorkerExecutor implements Executor, AsyncDisposable {
  readonly #maxWorkers: number;
  /** Jobs that no worker has begun, oldest first. */
  readonly #waiting = new Set<Job>();
  /** Jobs that are not done, by the promises of their results. */
  readonly #jobs = new Map<unknown, Job>();
  readonly #threads = new Set<Thread>();
  readonly #idle: Thread[] = [];
  /** How many workers are being started. */
  #starting = 0;
  #isShutDown = false;

  /**
   * Makes an executor without any worker yet.
   *
   * @param options How many workers there may be.
   * @throws {TypeError} When that is no integer.
   * @throws {RangeError} When it is less than one.
   */
  constructor({ maxWorkers = navigator.hardwareConcurrency }: WorkerExecutorOptions = {}) {
    this.#maxWorkers = checkNumber("maxWorkers", maxWorkers, 1);
    if (maxWorkers !== Infinity && !Number.isInteger(maxWorkers)) {
      throw new TypeError(`maxWorkers is an integer, not ${maxWorkers}`);
    }
  }

  /**
   * Runs a function on a worker.
   *
   * @param func A self-contained function, or one that a module exports.
   * @param args What to call it with.
   * @returns What it returns; the promise is rejected with what it throws.
   * @throws {TypeError} When `func` or an argument can't be sent.
   * @throws {Error} After {@linkcode WorkerExecutor.shutdown}.
   */
  submit<A extends unknown[], R>(func: Executable<A, R>, ...args: A): Promise<R> {
    const request = toRequest(func, args);
    if (this.#isShutDown) throw new Error("The executor has been shut down");
    const job: Job = { request, outcome: Promise.withResolvers() };
    this.#waiting.add(job);
    this.#jobs.set(job.outcome.promise, job);
    this.#assign();
    return job.outcome.promise as Promise<R>;
  }

  /**
   * Takes back a function that no worker has begun: its promise is rejected.
   *
   * @param result What {@linkcode WorkerExecutor.submit} returned.
   * @returns Whether that was possible.
   */
  cancel(result: unknown): boolean {
    const job = this.#jobs.get(result);
    if (job === undefined || !this.#waiting.delete(job)) return false;
    this.#settle(job, () => job.outcome.reject(new CancelledError("The function was taken back")));
    return true;
  }

  /** Gives jobs that wait to workers, as far as there are any. */
  #assign(): void {
    for (const job of this.#waiting) {
      const thread = this.#idle.pop();
      if (thread === undefined) break;
      this.#waiting.delete(job);
      this.#run(thread, job);
    }
    const room = this.#maxWorkers - this.#threads.size - this.#starting;
    for (let i = Math.min(room, this.#waiting.size - this.#starting); i > 0; i--) this.#start();
  }

  async #start(): Promise<void> {
    this.#starting++;
    try {
      // Loaded when first needed: most programs have no executor.
      const [{ Worker }, { workerUrl }] = await Promise.all([
        import("node:worker_threads"),
        import("./worker_main.ts"),
      ]);
      if (this.#waiting.size > 0) this.#addThread(new Worker(workerUrl));
    } catch (error) {
      for (const job of this.#waiting) this.#settle(job, () => job.outcome.reject(error));
      this.#waiting.clear();
    } finally {
      this.#starting--;
    }
    this.#assign();
  }

  #addThread(worker: Worker): void {
    const thread: Thread = { worker, job: null };
    worker.on("message", (message) => this.#onMessage(thread, message));
    // Something failed that nobody waits for: Deno prints it, and ends the worker.
    worker.on("error", (error) => this.#lost(thread, error));
    worker.on("exit", (code) => {
      this.#lost(thread, new Error(`The worker ended (exit code ${code}) before the function did`));
    });
    this.#threads.add(thread);
    this.#release(thread);
  }

  #run(thread: Thread, job: Job): void {
    thread.worker.postMessage(job.request);
    thread.job = job;
    thread.worker.ref();
  }

  /** The worker has nothing to do, and no longer keeps the process alive. */
  #release(thread: Thread): void {
    thread.job = null;
    thread.worker.unref();
    this.#idle.push(thread);
  }

  #onMessage(thread: Thread, message: unknown): void {
    const { job } = thread;
    if (job === null || !answers(message, job.request)) return;
    this.#release(thread);
    this.#settle(job, () => {
      if ("result" in message) job.outcome.resolve(message.result);
      else job.outcome.reject(revive(message.thrown));
    });
    this.#assign();
  }

  #settle(job: Job, settle: () => void): void {
    this.#jobs.delete(job.outcome.promise);
    settle();
  }

  #lost(thread: Thread, error: unknown): void {
    if (!this.#threads.delete(thread)) return;
    const at = this.#idle.indexOf(thread);
    if (at !== -1) this.#idle.splice(at, 1);
    const { job } = thread;
    thread.job = null; // Its answer may be on its way.
    if (job !== null) this.#settle(job, () => job.outcome.reject(error));
    this.#assign();
  }

  /**
   * Takes no more work, waits for what there is, and ends the workers.
   *
   * @param options How long to wait: what is not done by then is ended, and its promises are
   *   rejected. And a signal that ends this wait; the shutdown goes on.
   * @throws {TypeError} When an option is of the wrong type.
   * @throws {RangeError} When the time is negative.
   * @throws {unknown} The signal's reason.
   */
  async shutdown(options: ExecutorShutdownOptions = {}): Promise<void> {
    checkShutdownOptions(options);
    const { timeout = Infinity, signal } = options;
    this.#isShutDown = true;
    const done = this.#end(timeout);
    await (signal === undefined ? done : abortable(done, signal));
  }

  async #end(timeout: number): Promise<void> {
    await this.#finished(timeout);
    this.#waiting.clear();
    for (const job of this.#jobs.values()) {
      const late = new Error(`The executor was shut down, and waited ${timeout} ms in vain`);
      this.#settle(job, () => job.outcome.reject(late));
    }
    await Promise.all([...this.#threads].map(({ worker }) => worker.terminate()));
  }

  /** Waits until all jobs are done, or for `timeout` ms. */
  async #finished(timeout: number): Promise<void> {
    const done = Promise.allSettled(this.#jobs.keys());
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = startTimer(resolve, timeout);
    await Promise.race([done, late]);
    clearTimeout(timer);
  }

  /** Waits for the work there is, and ends the workers. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.shutdown();
  }
}
