/**
 * What runs functions elsewhere.
 *
 * @module
 */

import { checkNumber, checkSignal } from "../net/validate.ts";

/**
 * A function that a module exports. Elsewhere the module is imported anew, so it should do nothing but
 * define things; `import.meta.url` names the module that it stands in.
 *
 * @example
 * ```ts
 * import type { ModuleFunction } from "@asyncio/streams";
 * import { assertEquals } from "@std/assert";
 *
 * // In checksum.ts: export function checksum(data: Uint8Array) { … }
 * const checksum: ModuleFunction<[Uint8Array], number> = {
 *   module: import.meta.resolve("./checksum.ts"),
 *   name: "checksum",
 * };
 * assertEquals(checksum.name, "checksum");
 * ```
 */
export interface ModuleFunction<A extends unknown[] = unknown[], R = unknown> {
  /** The module's absolute URL: `import.meta.url`, or `import.meta.resolve("./module.ts")`. */
  module: string | URL;
  /** The name it is exported under; that of `func` by default. */
  name?: string | undefined;
  /** The function itself, where it is at hand: the types of arguments and result come from it. */
  func?: ((...args: A) => R | PromiseLike<R>) | undefined;
}

/** What an executor can run: a function, or one that a module exports. */
export type Executable<A extends unknown[] = unknown[], R = unknown> =
  | ((...args: A) => R | PromiseLike<R>)
  | ModuleFunction<A, R>;

/** How long an executor may take to finish. */
export interface ExecutorShutdownOptions {
  /**
   * After how many milliseconds to give up work that is not done.
   *
   * @default {Infinity}
   */
  timeout?: number | undefined;
  /** Ends the wait: it is rejected with the signal's reason. The shutdown goes on. */
  signal?: AbortSignal | undefined;
}

/** Checks how long to wait for an executor; a signal that is aborted already is thrown. */
export function checkShutdownOptions({ timeout, signal }: ExecutorShutdownOptions): void {
  if (timeout !== undefined) checkNumber("timeout", timeout, 0);
  checkSignal(signal);
}

/**
 * Whatever has a `submit` method.
 *
 * @example One that runs functions right here
 * ```ts
 * import { getEventLoop } from "@asyncio/streams";
 * import { assertEquals } from "@std/assert";
 *
 * const inline = {
 *   submit: <A extends unknown[], R>(func: (...args: A) => R, ...args: A) => func(...args),
 * };
 * assertEquals(await getEventLoop().runInExecutor(inline, Math.max, 1, 2), 2);
 * ```
 */
export interface Executor {
  /**
   * Runs a function.
   *
   * @param func The function.
   * @param args What to call it with.
   * @returns What it returns, or a promise of it.
   */
  submit<A extends unknown[], R>(func: Executable<A, R>, ...args: A): R | PromiseLike<R>;
  /** Takes back what {@linkcode Executor.submit} returned `result` for, if it has not begun. */
  cancel?(result: unknown): boolean;
  /** Takes no more work, waits for what there is, and frees what the executor holds. */
  shutdown?(options?: ExecutorShutdownOptions): void | PromiseLike<void>;
}
