/**
 * What every event loop can do, and what it is given to call.
 *
 * @module
 */
import type { EventLoop } from "./event_loop.ts";
import type { ExceptionContext } from "./exception_context.ts";
import type { CreateTaskOptions, Task, TaskSource } from "./task.ts";

/**
 * What every event loop can do: all that {@linkcode EventLoop} can, which says how. To take this
 * type in place of the class lets others be handed over, in tests say.
 */
export interface AbstractEventLoop extends Pick<EventLoop, keyof EventLoop> {}

/** Called with the loop and what went wrong. */
export type ExceptionHandler = (loop: AbstractEventLoop, context: ExceptionContext) => void;

/** Makes the tasks of {@linkcode EventLoop.createTask}. */
export type TaskFactory = <T>(
  loop: AbstractEventLoop,
  source: TaskSource<T>,
  options: CreateTaskOptions,
) => Task<T>;
