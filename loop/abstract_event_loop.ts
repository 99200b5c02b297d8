/**
 * What every event loop can do.
 *
 * @module
 */
import type { ExceptionContext } from "./exception_context.ts";
import type { Future } from "./future.ts";
import type { Handle } from "./handle.ts";
import type { LoopConnections } from "./loop_connections.ts";
import type { WaitOptions } from "../net/wait_options.ts";
import type { ScheduledTask, Scheduler } from "./scheduler.ts";
import type { CreateTaskOptions, Task, TaskSource } from "./task.ts";

/** Called with the loop and what went wrong. */
export type ExceptionHandler = (loop: AbstractEventLoop, context: ExceptionContext) => void;

/** Makes the tasks of {@linkcode AbstractEventLoop.createTask}. */
export type TaskFactory = <T>(
  loop: AbstractEventLoop,
  source: TaskSource<T>,
  options: CreateTaskOptions,
) => Task<T>;

/** What every event loop can do; {@linkcode EventLoop} says how. */
export interface AbstractEventLoop extends Scheduler, LoopConnections {
  /** Runs until {@linkcode AbstractEventLoop.stop} is called. */
  runForever(options?: WaitOptions): Promise<void>;
  /** Runs until `source` is done, and gives its result. */
  runUntilComplete<T>(source: TaskSource<T>, options?: WaitOptions): Promise<T>;
  /** Ends the run after the batch of callbacks that is under way. */
  stop(): void;
  /** Tells whether a run is under way. */
  isRunning(): boolean;
  /** Tells whether the loop is closed. */
  isClosed(): boolean;
  /** Closes the loop for good. */
  close(): void;
  /** Closes the async generators that the loop knows of. */
  shutdownAsyncGens(): Promise<void>;
  /** Closes the default executor. */
  shutdownDefaultExecutor(options?: { timeout?: number | undefined }): Promise<void>;
  /** Like `callSoon`, from where other threads' messages arrive. */
  callSoonThreadsafe<A extends unknown[]>(callback: (...args: A) => unknown, ...args: A): Handle;
  /** Makes a pending future. */
  createFuture<T = unknown>(): Future<T>;
  /** Starts a task in the next batch. */
  createTask<T>(source: TaskSource<T>, options?: CreateTaskOptions): Task<T>;
  /** The tasks that are not done. */
  allTasks(): ScheduledTask[];
  /** Sets who makes tasks; `null` means the default. */
  setTaskFactory(factory: TaskFactory | null): void;
  /** Who makes tasks, or `null` for the default. */
  getTaskFactory(): TaskFactory | null;
  /** Calls `callback` in the loop each time the process gets `signal`. */
  addSignalHandler<A extends unknown[]>(
    signal: Deno.Signal,
    callback: (...args: A) => unknown,
    ...args: A
  ): void;
  /** Takes the handler of `signal` back. */
  removeSignalHandler(signal: Deno.Signal): boolean;
  /** Sets who is told of errors that no caller can be told; `null` means the default. */
  setExceptionHandler(handler: ExceptionHandler | null): void;
  /** The handler in force, or `null` for the default. */
  getExceptionHandler(): ExceptionHandler | null;
  /** What is done with errors where no handler was set. */
  defaultExceptionHandler(context: ExceptionContext): void;
  /** Switches debug mode. */
  setDebug(enabled: boolean): void;
}
