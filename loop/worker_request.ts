/**
 * From a function to what a worker can be sent.
 *
 * @module
 */
import { show } from "../net/validate.ts";
import type { Executable } from "./executor.ts";
import { ARGS, type Callee, type WorkerRequest } from "./worker_main.ts";

/** The source texts of functions that were sent before. */
const sources = new WeakMap<object, string>();

/**
 * Says how a worker finds `func`, and what to call it with: copies, for it may be long before a
 * worker is free, and the caller may use his own again at once.
 */
export function toRequest<A extends unknown[], R>(func: Executable<A, R>, args: A): WorkerRequest {
  return { ...find(func), args: new Map([[ARGS, copy(args)]]) };
}

function copy<A extends unknown[]>(args: A): A {
  try {
    return structuredClone(args);
  } catch (error) {
    const text = (error as Error).message;
    throw new TypeError(`An argument can't be sent to a worker: ${text}`, { cause: error });
  }
}

function find<A extends unknown[], R>(func: Executable<A, R>): Callee {
  if (typeof func === "function") return { source: sourceOf(func) };
  if (typeof func !== "object" || func === null || func.module === undefined) {
    throw new TypeError(
      `An executor runs a function, or { module, name } of an exported one, not ${show(func)}`,
    );
  }
  const name = func.name ?? func.func?.name;
  if (typeof name !== "string" || name === "") {
    throw new TypeError("A module's function needs a name: the one that it is exported under");
  }
  const module = URL.parse(func.module);
  if (module === null) {
    throw new TypeError(
      `module is an absolute URL, as import.meta.resolve() gives it, not ${show(func.module)}`,
    );
  }
  return { module: module.href, name };
}

function sourceOf(func: (...args: never[]) => unknown): string {
  let source = sources.get(func);
  if (source === undefined) {
    source = Function.prototype.toString.call(func);
    if (/\{\s*\[native code\]\s*\}$/.test(source)) {
      throw new TypeError(
        `${func.name || "The function"} is built in or bound and has no source text to send to a ` +
          "worker: wrap it in an arrow function",
      );
    }
    checkStandsAlone(source);
    sources.set(func, source);
  }
  return source;
}

function checkStandsAlone(source: string): void {
  try {
    new Function(`return (${source}\n)`); // Compiled, and not run.
  } catch (error) {
    throw new TypeError(
      "A method's source text can't be sent to a worker: wrap it in a function or an arrow function",
      { cause: error },
    );
  }
}
