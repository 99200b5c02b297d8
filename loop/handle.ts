/**
 * A callback that waits for its turn.
 *
 * @module
 */
import { callSafely } from "../net/call_safely.ts";
import { callSite } from "./debug.ts";
import type { ExceptionSink } from "./exception_context.ts";

/** What a callback needs of its loop. */
export interface CallbackOwner extends ExceptionSink {
  /** Tells whether debug mode is on. */
  getDebug(): boolean;
  /** In debug mode, a callback that takes longer than this many milliseconds is reported. */
  slowCallbackDuration: number;
}

/** Where a timer's handle waits. */
export interface TimerOwner {
  /** Takes a timer out, if it is still there. */
  remove(handle: TimerHandle): void;
}

const nothing = () => {};

/** Lets a handle's callback run, in the context it was made in; set by {@linkcode Handle}. */
export let release: (handle: Handle) => void;

/**
 * A callback given to {@linkcode EventLoop.callSoon}: it can be cancelled until it runs.
 *
 * @example
 * ```ts
 * import { getEventLoop, sleep } from "@asyncio/streams";
 * import { assertEquals } from "@std/assert";
 *
 * let calls = 0;
 * const handle = getEventLoop().callSoon(() => calls++);
 * handle.cancel();
 * await sleep(0);
 * assertEquals(handle.cancelled(), true);
 * assertEquals(calls, 0);
 * ```
 */
export class Handle {
  #callback: ((...args: never[]) => unknown) | null;
  #args: unknown[];
  #owner: CallbackOwner;
  #open: () => void = nothing;
  #cancelled = false;
  #sourceTraceback: string | undefined;

  /**
   * Made by the loop; `callback` is called at most once, when the loop says so.
   *
   * @param callback What to call.
   * @param args What to call it with.
   * @param owner The loop.
   */
  constructor(callback: (...args: never[]) => unknown, args: unknown[], owner: CallbackOwner) {
    if (typeof callback !== "function") {
      throw new TypeError(`A callback must be a function, got ${typeof callback}`);
    }
    this.#callback = callback;
    this.#args = args;
    this.#owner = owner;
    if (owner.getDebug()) this.#sourceTraceback = callSite();
    // A promise's reaction runs in the async context of its `then`: the platform keeps the
    // caller's context here with no `node:async_hooks`, whose first import takes 10 ms.
    new Promise<void>((open) => this.#open = open).then(() => this.#run());
  }

  static {
    release = (handle) => handle.#open();
  }

  /** Makes sure that the callback is not called; without effect once it was. */
  cancel(): void {
    this.#cancelled = true;
    this.#forget();
  }

  /** Tells whether {@linkcode Handle.cancel} was called. */
  cancelled(): boolean {
    return this.#cancelled;
  }

  /** A cancelled handle may be held for long: what it would have called must not be. */
  #forget(): void {
    this.#callback = null;
    this.#args = [];
    this.#open = nothing;
  }

  #run(): void {
    const callback = this.#callback as ((...args: unknown[]) => unknown) | null;
    if (callback === null) return;
    const args = this.#args;
    this.#forget();
    const debug = this.#owner.getDebug();
    const started = debug ? performance.now() : 0;
    callSafely(() => callback(...args), (exception) => this.#report(callback, exception));
    if (debug) this.#reportSlowness(callback, performance.now() - started);
  }

  #report(callback: { name: string }, exception: unknown): void {
    this.#owner.callExceptionHandler({
      message: `Exception in callback ${callback.name || "(anonymous)"}`,
      exception,
      handle: this,
      sourceTraceback: this.#sourceTraceback,
    });
  }

  #reportSlowness(callback: { name: string }, duration: number): void {
    if (duration < this.#owner.slowCallbackDuration) return;
    const made = this.#sourceTraceback === undefined ? "" : `, made at\n${this.#sourceTraceback}`;
    console.warn(
      `Callback ${callback.name || "(anonymous)"} took ${duration.toFixed(1)} ms${made}`,
    );
  }
}

/**
 * A callback given to {@linkcode EventLoop.callLater} or {@linkcode EventLoop.callAt}.
 *
 * @example
 * ```ts
 * import { getEventLoop } from "@asyncio/streams";
 * import { assertEquals } from "@std/assert";
 *
 * const loop = getEventLoop();
 * const handle = loop.callAt(loop.time() + 1000, () => {});
 * assertEquals(handle.when() > loop.time(), true);
 * handle.cancel();
 * ```
 */
export class TimerHandle extends Handle {
  #when: number;
  #timers: TimerOwner;

  /**
   * Made by the loop.
   *
   * @param when When to call, on the clock of {@linkcode EventLoop.time}.
   * @param callback What to call.
   * @param args What to call it with.
   * @param owner The loop.
   * @param timers Where the handle waits.
   */
  constructor(
    when: number,
    callback: (...args: never[]) => unknown,
    args: unknown[],
    owner: CallbackOwner,
    timers: TimerOwner,
  ) {
    super(callback, args, owner);
    this.#when = when;
    this.#timers = timers;
  }

  /** When the callback is due: milliseconds on the clock of {@linkcode EventLoop.time}. */
  when(): number {
    return this.#when;
  }

  /** Makes sure that the callback is not called, and frees the timer. */
  override cancel(): void {
    this.#timers.remove(this);
    super.cancel();
  }
}
