/**
 * What futures and tasks need of their loop.
 *
 * @module
 */
import type { CallbackOwner, Handle, TimerHandle } from "./handle.ts";

/** A task as its loop sees it. */
export interface ScheduledTask extends PromiseLike<unknown> {
  /** Asks the task to end. */
  cancel(message?: string): boolean;
  /** Tells whether it ended. */
  done(): boolean;
  /** Tells whether it ended as cancelled. */
  cancelled(): boolean;
  /** What it failed with, or `null`. */
  exception(): unknown;
}

/** Who has callbacks that are to run in every batch, as long as something lasts. */
export interface ReadySource {
  /** Whether there are any for the next batch. */
  isReady(): boolean;
  /** Gives those of the batch that begins. */
  takeReady(): Handle[];
  /** Drops them all: the loop is closed. */
  clear(): void;
}

/** A loop as its futures and tasks see it: the part that calls callbacks. */
export interface Scheduler extends CallbackOwner {
  /** Calls `callback` in the next batch; see {@linkcode EventLoop.callSoon}. */
  callSoon<A extends unknown[]>(callback: (...args: A) => unknown, ...args: A): Handle;
  /** Calls `callback` in `delay` milliseconds; see {@linkcode EventLoop.callLater}. */
  callLater<A extends unknown[]>(
    delay: number,
    callback: (...args: A) => unknown,
    ...args: A
  ): TimerHandle;
  /** Calls `callback` at a time of the loop's clock; see {@linkcode EventLoop.callAt}. */
  callAt<A extends unknown[]>(
    when: number,
    callback: (...args: A) => unknown,
    ...args: A
  ): TimerHandle;
  /** The loop's clock, in milliseconds. */
  time(): number;
  /** Runs a handle made earlier in the next batch. */
  addHandle(handle: Handle): void;
  /** Has the loop look after a task that begins. */
  addTask(task: ScheduledTask): void;
  /** Has the loop forget a task that ended. */
  removeTask(task: ScheduledTask): void;
  /** Calls `check` behind the callbacks that wait now, or when the loop is closed before. */
  addCheck(check: () => void): void;
}
