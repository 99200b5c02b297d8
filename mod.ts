/**
 * asyncio's Streams and Event Loop for Deno.
 *
 * @module
 */
export * from "./net/protocols.ts";
export { Socket } from "./net/socket.ts";
export { socketPair } from "./net/socket_pair.ts";
export * from "./net/transports.ts";
export {
  type CertChain,
  createDefaultContext,
  type CreateDefaultContextOptions,
  type SSLContext,
  type TLSVersion,
} from "./net/tls/context.ts";
export {
  SSLCertVerificationError,
  type SSLCertVerificationReason,
  SSLError,
  type SSLErrorReason,
} from "./net/tls/errors.ts";
export type { PeerCertificate } from "./net/tls/peer_cert.ts";
export type {
  ClientSSLOptions,
  ServerSSLOptions,
  SSLTimeoutOptions,
  StartTlsOptions,
} from "./net/tls/plan.ts";
export type { WaitOptions } from "./net/wait_options.ts";
export * from "./server.ts";
export * from "./streams.ts";
export * from "./subprocess.ts";
export * from "./event_loop.ts";
export * from "./loop/abstract_event_loop.ts";
export * from "./loop/base_event_loop.ts";
export { SystemEventLoop } from "./loop/system_event_loop.ts";
export * from "./loop/errors.ts";
export type {
  Executable,
  Executor,
  ExecutorShutdownOptions,
  ModuleFunction,
} from "./loop/executor.ts";
export { WorkerExecutor, type WorkerExecutorOptions } from "./loop/worker_executor.ts";
export type { ExceptionContext, ExceptionSink } from "./loop/exception_context.ts";
export { Future, type FutureOptions } from "./loop/future.ts";
export { type CallbackOwner, Handle, TimerHandle, type TimerOwner } from "./loop/handle.ts";
export type { ReadySource, ScheduledTask, Scheduler } from "./loop/scheduler.ts";
export { type CreateTaskOptions, Task, type TaskOptions, type TaskSource } from "./loop/task.ts";
