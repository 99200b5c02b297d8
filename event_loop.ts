/**
 * The event loop's API on Deno's own loop.
 *
 * @module
 */
import type { AbstractEventLoop } from "./loop/abstract_event_loop.ts";
import { current } from "./loop/current.ts";
import { EventLoop } from "./loop/event_loop.ts";
import type { Handle } from "./loop/handle.ts";
import type { TaskSource } from "./loop/task.ts";
import { checkFlag, checkSignal, checkTime } from "./net/validate.ts";
import type { WaitOptions } from "./net/wait_options.ts";

export { SocketEventLoop } from "./loop/socket_event_loop.ts";
export type { AddrInfo, GetAddrInfoOptions } from "./net/names.ts";
export type { ReadablePipe, WritablePipe } from "./net/pipes.ts";
export type { SendableFile, SendfileOptions } from "./net/sendfile.ts";
export { EventLoop, type LoopStartTlsOptions } from "./loop/event_loop.ts";
export type { LocalAddr } from "./net/connect.ts";
export type {
  ConnectAcceptedSocketOptions,
  ConnectionOptions,
  CreateConnectionOptions,
  CreateConnectionSockOptions,
  CreateUnixConnectionOptions,
} from "./net/open_carrier.ts";
export type { DatagramEndpointOptions, RemoteAddr } from "./net/open_datagram.ts";
export type {
  CreateServerOptions,
  CreateServerSockOptions,
  CreateUnixServerOptions,
  ServingOptions,
  TcpServingOptions,
} from "./net/open_listeners.ts";

/** The loop of {@linkcode setEventLoop}, or the default one once it is made. */
let theLoop: EventLoop | null = null;
/** Times the sleep of those whom no run wakes; no `stop()` reaches it. */
let sleepers: EventLoop | null = null;

/**
 * The loop whose run is under way, or else that of {@linkcode getEventLoop}: this never fails, for
 * Deno's own loop always runs.
 *
 * @returns The loop.
 *
 * @example
 * ```ts
 * import { getRunningLoop, run } from "@asyncio/streams";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(await run(() => getRunningLoop().isRunning()), true);
 * assertEquals(getRunningLoop().isRunning(), false);
 * ```
 */
export function getRunningLoop(): EventLoop {
  if (current.running !== null) return current.running as EventLoop;
  if (theLoop === null || theLoop.isClosed()) theLoop = new EventLoop({ free: true });
  return theLoop;
}

/**
 * The loop whose run is under way; without one, the loop of {@linkcode setEventLoop}, or the
 * default loop.
 *
 * The default loop calls callbacks from the start, with no `run` at all, until it is stopped. Like
 * any other it then waits for its next run.
 *
 * @returns The loop.
 *
 * @example
 * ```ts
 * import { getEventLoop, sleep } from "@asyncio/streams";
 * import { assertEquals } from "@std/assert";
 *
 * let called = false;
 * getEventLoop().callSoon(() => called = true);
 * await sleep(1);
 * assertEquals(called, true);
 * ```
 */
export function getEventLoop(): EventLoop {
  return getRunningLoop();
}

/**
 * Sets the loop that {@linkcode getEventLoop} gives while none runs.
 *
 * @param loop The loop, or `null` for the default one.
 * @throws {TypeError} When it is neither.
 *
 * @example
 * ```ts
 * import { getEventLoop, newEventLoop, setEventLoop } from "@asyncio/streams";
 * import { assertEquals } from "@std/assert";
 *
 * using loop = newEventLoop();
 * setEventLoop(loop);
 * assertEquals(getEventLoop() === loop, true);
 * setEventLoop(null);
 * ```
 */
export function setEventLoop(loop: EventLoop | null): void {
  if (loop !== null && !(loop instanceof EventLoop)) {
    throw new TypeError(`setEventLoop() takes an EventLoop or null, got ${typeof loop}`);
  }
  theLoop = loop;
}

/**
 * Makes a loop, which calls callbacks only while it is run.
 *
 * @returns The loop; close it when it is no longer needed.
 *
 * @example
 * ```ts
 * import { newEventLoop } from "@asyncio/streams";
 * import { assertEquals } from "@std/assert";
 *
 * using loop = newEventLoop();
 * assertEquals(await loop.runUntilComplete(() => 42), 42);
 * ```
 */
export function newEventLoop(): EventLoop {
  return new EventLoop();
}

/** Options of {@linkcode run}. */
export interface RunOptions {
  /** Switches debug mode on or off; by default the environment decides, see `getDebug`. */
  debug?: boolean | undefined;
  /** Cancels `main` when aborted; `run` then rejects with its reason. */
  signal?: AbortSignal | undefined;
}

/**
 * Runs `main` in a loop of its own, and cleans up: tasks that are left are cancelled and waited
 * for, async generators and the default executor shut down, and the loop is closed. A task whose
 * function takes no signal can't be told: it is not waited for, and what it does goes on.
 *
 * Ctrl-C ends the process, as ever in Deno: {@linkcode EventLoop.addSignalHandler} is there for
 * programs that have to do something first.
 *
 * @param main The function to call, which is given an `AbortSignal`, or a promise.
 * @param options Whether to debug, and a signal that cancels `main`.
 * @returns What `main` returns.
 * @throws {TypeError} When an argument is of the wrong type.
 * @throws {Error} When a loop is running.
 * @throws {unknown} What `main` throws.
 *
 * @example
 * ```ts
 * import { run, sleep } from "@asyncio/streams";
 * import { assertEquals } from "@std/assert";
 *
 * const result = await run(async () => {
 *   await sleep(1);
 *   return "done";
 * });
 * assertEquals(result, "done");
 * ```
 */
export async function run<T>(main: TaskSource<T>, options: RunOptions = {}): Promise<T> {
  const { debug, signal } = options;
  if (current.running !== null) throw new Error("run() can't be called while a loop is running");
  checkFlag("debug", debug);
  checkSignal(signal);
  using loop = newEventLoop();
  if (debug !== undefined) loop.setDebug(debug);
  const task = loop.createTask(main, { signal });
  try {
    return await loop.runUntilComplete(task);
  } catch (error) {
    throw task.cancelled() && signal?.aborted ? signal.reason : error;
  } finally {
    await cancelAllTasks(loop);
    await loop.runUntilComplete(() => loop.shutdownAsyncGens());
    await loop.runUntilComplete(() => loop.shutdownDefaultExecutor());
  }
}

async function cancelAllTasks(loop: AbstractEventLoop): Promise<void> {
  const tasks = loop.allTasks();
  for (const task of tasks) task.cancel("run() is over");
  await loop.runUntilComplete(() => Promise.allSettled(tasks));
  for (const task of tasks) {
    const exception = task.cancelled() ? null : task.exception();
    if (exception === null) continue;
    loop.callExceptionHandler({ message: "A task failed as run() ended", exception, task });
  }
}

/**
 * Waits; it keeps the process alive, and goes on when the run that it began in is over.
 *
 * @param ms How many milliseconds; 0 or less waits for one batch of callbacks, `Infinity` for ever.
 * @returns Nothing.
 * @throws {RangeError} When `ms` is `NaN`.
 * @throws {TypeError} When `ms` is not a number.
 *
 * @example
 * ```ts
 * import { sleep } from "@asyncio/streams";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(await sleep(1, "awake"), "awake");
 * ```
 */
export function sleep(ms: number): Promise<void>;
/**
 * Waits like the one above, then gives `result`.
 *
 * @typeParam T The type of the result.
 * @param ms How many milliseconds; 0 or less waits for one batch of callbacks, `Infinity` for ever.
 * @param result What to give.
 * @param options A signal that ends the wait.
 * @returns The result.
 * @throws {RangeError} When `ms` is `NaN`.
 * @throws {TypeError} When `ms` is not a number.
 * @throws {unknown} The signal's reason, when it is aborted.
 */
export function sleep<T>(ms: number, result: T, options?: WaitOptions): Promise<T>;
export async function sleep<T>(ms: number, result?: T, options: WaitOptions = {}): Promise<T> {
  const { signal } = options;
  checkSignal(signal);
  checkTime("ms", ms);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const abort = () => reject(signal?.reason);
  signal?.addEventListener("abort", abort);
  const cancel = wake(ms, resolve);
  try {
    await promise;
    return result as T;
  } finally {
    cancel();
    signal?.removeEventListener("abort", abort);
  }
}

/** Calls `callback` in `ms` milliseconds, in its turn in the run that is under way. */
function wake(ms: number, callback: () => void): () => void {
  const loop = getSleepersLoop();
  const due = loop.time() + ms;
  const handles = [schedule(loop, ms, callback)];
  // The run may end before: who sleeps may be a server's handler, which knows nothing of somebody's
  // run() elsewhere. Where the loop runs again by then, the sleeper keeps its turn.
  const runEnded = () => {
    const wakeUp = () => loop.isRunning() ? current.whenEnded.add(runEnded) : callback();
    handles[1] = schedule(getSleepersLoop(), due - loop.time(), wakeUp);
  };
  if (loop === current.running) current.whenEnded.add(runEnded);
  return () => {
    current.whenEnded.delete(runEnded);
    for (const handle of handles) handle.cancel();
  };
}

function getSleepersLoop(): EventLoop {
  return (current.running as EventLoop | null) ?? (sleepers ??= new EventLoop({ free: true }));
}

function schedule(loop: EventLoop, ms: number, callback: () => void): Handle {
  return ms > 0 ? loop.callLater(ms, callback) : loop.callSoon(callback);
}
