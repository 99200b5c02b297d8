/**
 * The part of the event loop that schedules: callbacks, timers, futures, tasks and signals.
 *
 * @module
 */
import { LONGEST_TIMER } from "../net/timers.ts";
import { checkSignal, checkTime, show } from "../net/validate.ts";
import type { WaitOptions } from "../net/wait_options.ts";
import type { AbstractEventLoop, ExceptionHandler, TaskFactory } from "./abstract_event_loop.ts";
import { current } from "./current.ts";
import { isDebugAsked } from "./debug.ts";
import type { ExceptionContext } from "./exception_context.ts";
import { printException, tell } from "./exception_handling.ts";
import type { ExecutorShutdownOptions } from "./executor.ts";
import { Future, madeAt } from "./future.ts";
import { Handle, release, TimerHandle } from "./handle.ts";
import { reportOpenTransports } from "./open_transports.ts";
import type { ReadySource, ScheduledTask, Scheduler } from "./scheduler.ts";
import { SignalHandlers } from "./signals.ts";
import { type CreateTaskOptions, Task, type TaskSource } from "./task.ts";
import { Turns } from "./turns.ts";

/** Options of {@linkcode BaseEventLoop}. */
export interface EventLoopOptions {
  /**
   * Whether callbacks also run outside of a run, until `stop()` is called the first time. The
   * default loop is free; by default a loop is not.
   */
  free?: boolean | undefined;
}

/**
 * asyncio's `BaseEventLoop`: what schedules; {@linkcode EventLoop} adds the rest.
 *
 * Callbacks run in batches. A batch is what was ready when it began: first what
 * {@linkcode BaseEventLoop.callSoon} was given, in order, then the timers that are due. It runs in
 * one turn of Deno's loop, and what it adds belongs to the next.
 *
 * @example
 * ```ts
 * import { newEventLoop } from "@asyncio/streams";
 * import { assertEquals } from "@std/assert";
 *
 * using loop = newEventLoop();
 * const order: string[] = [];
 * loop.callLater(2, () => loop.stop());
 * loop.callLater(1, () => order.push("later"));
 * loop.callSoon(() => order.push("soon"));
 * await loop.runForever();
 * assertEquals(order, ["soon", "later"]);
 * ```
 */
export abstract class BaseEventLoop implements Scheduler, Disposable {
  /** In debug mode, a callback that takes longer than this many milliseconds is reported. */
  slowCallbackDuration = 100;

  #turns: Turns;
  #isClosed = false;
  #debug = isDebugAsked();
  #exceptionHandler: ExceptionHandler | null = null;
  #taskFactory: TaskFactory | null = null;
  #tasks = new Set<ScheduledTask>();
  #checks = new Set<() => void>();
  #signalHandlers = new SignalHandlers();

  /**
   * Makes a loop; `newEventLoop()` is the usual way.
   *
   * @param options Whether the loop is free.
   */
  constructor({ free = false }: EventLoopOptions = {}) {
    this.#turns = new Turns(() => this.time(), free);
  }

  /**
   * Runs until {@linkcode BaseEventLoop.stop} is called; if it was called before, for one batch.
   * The process does not end for lack of work meanwhile.
   *
   * @param options A signal that ends the run.
   * @throws {Error} When the loop is closed, or this or another loop runs.
   */
  async runForever({ signal }: WaitOptions = {}): Promise<void> {
    this.#assertRunnable();
    checkSignal(signal);
    const end = () => this.#turns.endRun();
    signal?.addEventListener("abort", end);
    // Keeps Deno from ending for lack of work.
    const keepAlive = setInterval(() => {}, LONGEST_TIMER);
    current.running = this;
    try {
      await new Promise<void>((resolve) => this.#turns.run(resolve));
    } finally {
      current.running = null;
      for (const callback of current.whenEnded) callback();
      current.whenEnded.clear();
      clearInterval(keepAlive);
      signal?.removeEventListener("abort", end);
    }
    signal?.throwIfAborted();
  }

  /**
   * Runs until a future is done, or a task made of a function or a promise.
   *
   * @param source What to wait for.
   * @param options A signal that ends the run; a task goes on at the next.
   * @returns The result.
   * @throws {RangeError} When the future belongs to another loop.
   * @throws {Error} When the loop is closed, stopped before, or this or another loop runs.
   * @throws {unknown} What the future or task failed with.
   */
  async runUntilComplete<T>(source: TaskSource<T>, options: WaitOptions = {}): Promise<T> {
    this.#assertRunnable();
    checkSignal(options.signal);
    const future = source instanceof Future ? source as Future<T> : this.createTask(source);
    if (future.getLoop() !== this) throw new RangeError("The future belongs to another loop");
    let isOver = false;
    const end = () => {
      // The run was ended early, and this waited for the next one.
      if (isOver) return;
      // Asked for here, for it is handed over only after this batch.
      if (!future.cancelled()) future.exception();
      this.#turns.endRun();
    };
    future.addDoneCallback(end);
    try {
      await this.runForever(options);
    } finally {
      isOver = true;
      future.removeDoneCallback(end);
    }
    if (!future.done()) throw new Error("The event loop was stopped before the future was done");
    return future.result();
  }

  /**
   * Ends the run: the batch of callbacks that is under way finishes, and the callbacks that it
   * adds wait for the next run. Outside of a batch, one more runs. A loop that is free no longer
   * is.
   */
  stop(): void {
    this.#turns.stop();
  }

  /** Tells whether a run is under way: in a free loop callbacks are called without one. */
  isRunning(): boolean {
    return current.running === this;
  }

  /** Tells whether the loop is closed. */
  isClosed(): boolean {
    return this.#isClosed;
  }

  /**
   * Closes the loop for good; it may be called twice. Callbacks that wait are dropped, signal
   * handlers taken back, and tasks that are not done reported; in debug mode, transports that are
   * open, too.
   *
   * @throws {Error} When the loop runs.
   */
  close(): void {
    if (this.isRunning()) throw new Error("A running event loop can't be closed: stop() it first");
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#turns.clear();
    this.#signalHandlers.clear();
    for (const check of this.#checks) check();
    this.#checks.clear();
    for (const task of this.#tasks) {
      this.callExceptionHandler({
        message: "The loop of a pending task was closed",
        task,
        sourceTraceback: task instanceof Future ? madeAt(task) : undefined,
      });
    }
    this.#tasks.clear();
    reportOpenTransports(this);
  }

  /** Closes the loop: see {@linkcode BaseEventLoop.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  /**
   * Has nothing to do: JavaScript tells no loop of its async generators, and whoever iterates
   * one ends it. It is there so that ported code works.
   */
  shutdownAsyncGens(): Promise<void> {
    return Promise.resolve();
  }

  /**
   * Waits for the default executor's work and closes it.
   *
   * @param _options How many milliseconds to wait at most, and a signal that ends the wait.
   */
  shutdownDefaultExecutor(_options: ExecutorShutdownOptions = {}): Promise<void> {
    return Promise.resolve();
  }

  /**
   * Calls `callback` in the next batch, exactly once, after all that was given before. It runs in
   * the async context (`AsyncLocalStorage`) of this call. What it throws, or the promise it returns
   * rejects with, goes to the exception handler.
   *
   * @param callback What to call.
   * @param args What to call it with.
   * @returns A handle that can cancel it.
   * @throws {TypeError} When `callback` is not a function.
   * @throws {Error} When the loop is closed.
   */
  callSoon<A extends unknown[]>(callback: (...args: A) => unknown, ...args: A): Handle {
    this.#assertOpen();
    const handle = new Handle(callback, args, this);
    this.#turns.add(handle);
    return handle;
  }

  /**
   * Like {@linkcode BaseEventLoop.callSoon}. A function can't be sent to another thread: a worker
   * posts a message, and what handles it here uses this.
   *
   * @param callback What to call.
   * @param args What to call it with.
   * @returns A handle that can cancel it.
   *
   * @example From a message port, whose other end may be in a worker
   * ```ts
   * import { getEventLoop } from "@asyncio/streams";
   * import { assertEquals } from "@std/assert";
   *
   * const loop = getEventLoop();
   * const future = loop.createFuture<string>();
   * const { port1, port2 } = new MessageChannel();
   * port1.onmessage = ({ data }) => loop.callSoonThreadsafe((text) => future.setResult(text), data);
   * port2.postMessage("hello");
   * assertEquals(await future, "hello");
   * port1.close();
   * port2.close();
   * ```
   */
  callSoonThreadsafe<A extends unknown[]>(callback: (...args: A) => unknown, ...args: A): Handle {
    return this.callSoon(callback, ...args);
  }

  /**
   * Calls `callback` once, in `delay` milliseconds. There is no longest delay. Equal times run in
   * the order they were asked for in.
   *
   * @param delay How long to wait, in milliseconds; 0 or less means the next batch, `Infinity` for ever.
   * @param callback What to call.
   * @param args What to call it with.
   * @returns A handle that can cancel it.
   * @throws {RangeError} When `delay` is `NaN`.
   * @throws {TypeError} When `delay` is not a number, or `callback` not a function.
   * @throws {Error} When the loop is closed.
   */
  callLater<A extends unknown[]>(
    delay: number,
    callback: (...args: A) => unknown,
    ...args: A
  ): TimerHandle {
    checkTime("delay", delay);
    return this.callAt(this.time() + delay, callback, ...args);
  }

  /**
   * Calls `callback` once, when the loop's clock shows `when`.
   *
   * @param when A time on the clock of {@linkcode BaseEventLoop.time}, in milliseconds.
   * @param callback What to call.
   * @param args What to call it with.
   * @returns A handle that can cancel it.
   * @throws {RangeError} When `when` is `NaN`.
   * @throws {TypeError} When `when` is not a number, or `callback` not a function.
   * @throws {Error} When the loop is closed.
   */
  callAt<A extends unknown[]>(
    when: number,
    callback: (...args: A) => unknown,
    ...args: A
  ): TimerHandle {
    checkTime("when", when);
    this.#assertOpen();
    const { timers } = this.#turns;
    const handle = new TimerHandle(when, callback, args, this, timers);
    timers.add(handle);
    return handle;
  }

  /**
   * The loop's clock in milliseconds: that of `performance.now()`.
   *
   * The timers follow it. A subclass may have another, say for tests: it is looked at in every
   * batch, and when the time that was left by it has passed.
   */
  time(): number {
    return performance.now();
  }

  /** Makes a future that this loop calls the callbacks of. */
  createFuture<T = unknown>(): Future<T> {
    return new Future<T>({ loop: this });
  }

  /**
   * Makes a task of a function, called in the next batch, or of a promise.
   *
   * @param source The function, which is given the task's `AbortSignal`, or the promise.
   * @param options The task's name, and a signal that cancels it.
   * @returns The task.
   * @throws {TypeError} When `source` is neither, or an option is of the wrong type.
   * @throws {Error} When the loop is closed.
   */
  createTask<T>(source: TaskSource<T>, options: CreateTaskOptions = {}): Task<T> {
    this.#assertOpen();
    if (this.#taskFactory !== null) return this.#taskFactory(this.#self, source, options);
    return new Task(source, { ...options, loop: this });
  }

  /** The tasks that are not done. */
  allTasks(): ScheduledTask[] {
    return [...this.#tasks];
  }

  /** Sets who makes the tasks of {@linkcode BaseEventLoop.createTask}; `null` for the default. */
  setTaskFactory(factory: TaskFactory | null): void {
    assertFunctionOrNull(factory, "A task factory");
    this.#taskFactory = factory;
  }

  /** Who makes tasks, or `null` for the default. */
  getTaskFactory(): TaskFactory | null {
    return this.#taskFactory;
  }

  /**
   * Calls `callback` in the loop each time the process gets `signal`, in place of what would
   * happen otherwise and of the handler before it. A handler keeps no process alive.
   *
   * @param signal The signal's name, such as `"SIGINT"`.
   * @param callback What to call; it runs in the async context of this call.
   * @param args What to call it with.
   * @throws {TypeError} When the platform has no such signal, or it can't be caught.
   * @throws {Error} When the loop is closed.
   */
  addSignalHandler<A extends unknown[]>(
    signal: Deno.Signal,
    callback: (...args: A) => unknown,
    ...args: A
  ): void {
    this.#assertOpen();
    if (typeof callback !== "function") {
      throw new TypeError(`A callback must be a function, got ${typeof callback}`);
    }
    this.#signalHandlers.set(signal, () => this.callSoonThreadsafe(callback, ...args));
  }

  /** Takes the handler of `signal` back; `false` when there is none. */
  removeSignalHandler(signal: Deno.Signal): boolean {
    return this.#signalHandlers.remove(signal);
  }

  /**
   * Sets who is told of errors that no caller can be told.
   *
   * @param handler Called with the loop and the context; `null` means
   *   {@linkcode BaseEventLoop.defaultExceptionHandler}.
   * @throws {TypeError} When it is neither a function nor `null`.
   */
  setExceptionHandler(handler: ExceptionHandler | null): void {
    assertFunctionOrNull(handler, "An exception handler");
    this.#exceptionHandler = handler;
  }

  /** The handler in force, or `null` for the default one. */
  getExceptionHandler(): ExceptionHandler | null {
    return this.#exceptionHandler;
  }

  /** Prints `context` to the standard error output. */
  defaultExceptionHandler(context: ExceptionContext): void {
    printException(context);
  }

  /**
   * Hands `context` to the exception handler in force. If that throws, or returns a promise that
   * rejects, the default one is told of both errors.
   */
  callExceptionHandler(context: ExceptionContext): void {
    const handler = this.#exceptionHandler;
    tell(
      context,
      handler && ((context) => handler(this.#self, context)),
      (context) => this.defaultExceptionHandler(context),
    );
  }

  /**
   * Tells whether debug mode is on: slow callbacks are reported, and transports that are open when
   * the loop is closed; reports say where callbacks, futures, tasks and transports were made.
   *
   * It is on from the start where the environment variable `ASYNCIO_DEBUG` is set, to anything but
   * `0`, and may be read without asking the user.
   */
  getDebug(): boolean {
    return this.#debug;
  }

  /**
   * Switches debug mode.
   *
   * @param enabled Whether it is on.
   * @throws {TypeError} When that is not a boolean.
   */
  setDebug(enabled: boolean): void {
    if (typeof enabled !== "boolean") {
      throw new TypeError(`enabled is a boolean, not ${show(enabled)}`);
    }
    this.#debug = enabled;
  }

  /** For futures: runs a handle made earlier in the next batch; at once, if the loop is closed. */
  addHandle(handle: Handle): void {
    if (this.#isClosed) release(handle);
    else this.#turns.add(handle);
  }

  /** For tasks: has the loop look after a task that begins. */
  addTask(task: ScheduledTask): void {
    this.#tasks.add(task);
  }

  /** For tasks: has the loop forget a task that ended. */
  removeTask(task: ScheduledTask): void {
    this.#tasks.delete(task);
  }

  /** For futures: calls `check` behind the callbacks that wait, or when the loop is closed. */
  addCheck(check: () => void): void {
    if (this.#isClosed) return queueMicrotask(check);
    this.#checks.add(check);
    this.callSoon(() => {
      this.#checks.delete(check);
      check();
    });
  }

  /**
   * For sockets: asks `source` for callbacks at the start of each batch from now on.
   *
   * @param source Who is asked.
   * @returns What to call when it has become ready.
   */
  addReadySource(source: ReadySource): () => void {
    return this.#turns.addSource(source);
  }

  /** The loop as others see it: all that are made are {@linkcode EventLoop}s, this class is abstract. */
  get #self(): AbstractEventLoop {
    return this as unknown as AbstractEventLoop;
  }

  #assertOpen(): void {
    if (this.#isClosed) throw new Error("The event loop is closed");
  }

  #assertRunnable(): void {
    this.#assertOpen();
    if (this.isRunning()) throw new Error("This event loop is already running");
    if (current.running !== null) {
      throw new Error("An event loop can't be run while another one is running");
    }
  }
}

function assertFunctionOrNull(value: unknown, what: string): void {
  if (value === null || typeof value === "function") return;
  throw new TypeError(`${what} must be a function or null, got ${typeof value}`);
}
