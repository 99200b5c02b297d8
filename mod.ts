/**
 * asyncio's Streams and Event Loop for Deno.
 *
 * @module
 */
export * from "./net/protocols.ts";
export * from "./net/transports.ts";
export type { WaitOptions } from "./net/wait_options.ts";
export * from "./server.ts";
export * from "./streams.ts";
export * from "./event_loop.ts";
export * from "./loop/abstract_event_loop.ts";
export * from "./loop/base_event_loop.ts";
export * from "./loop/errors.ts";
export type { ExceptionContext, ExceptionSink } from "./loop/exception_context.ts";
export { Future, type FutureOptions } from "./loop/future.ts";
export { type CallbackOwner, Handle, TimerHandle, type TimerOwner } from "./loop/handle.ts";
export type { ReadySource, ScheduledTask, Scheduler } from "./loop/scheduler.ts";
export { type CreateTaskOptions, Task, type TaskOptions, type TaskSource } from "./loop/task.ts";
