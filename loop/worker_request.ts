/**
 * What an executor and its workers tell each other: a function there, a result or an error back.
 *
 * @module
 */
import { show } from "../net/validate.ts";
import type { Executable } from "./executor.ts";

/** A function, given by its source text or by its module. */
export type Callee = { source: string } | { module: string; name: string };

/** The one key of {@linkcode WorkerRequest}'s arguments. */
export const ARGS = "args";

/**
 * What a worker is asked: to call a function. The arguments are in a map: in objects and arrays Deno looks
 * at each byte on its way to a worker, which takes 2 s for 10 MB.
 */
export type WorkerRequest = Callee & { id: number; args: Map<typeof ARGS, unknown[]> };

/** A thrown value that crossed to another thread; errors keep more than a structured clone does. */
export type Thrown =
  | { value: unknown }
  | {
    name: string;
    message: string;
    stack: string | undefined;
    isDom: boolean;
    /** The error's own properties, such as `code`, `cause` and `errors`, where they can be sent. */
    properties: Record<string, unknown>;
  };

/** What a worker answers: with the request's number, as what it calls may post messages of its own. */
export type WorkerAnswer = { id: number } & ({ result: unknown } | { thrown: Thrown });

/** The source texts of functions that were sent before. */
const sources = new WeakMap<object, string>();
let requests = 0;

/**
 * Says how a worker finds `func`, and what to call it with: copies, for it may be long before a
 * worker is free, and the caller may use his own again at once.
 */
export function toRequest<A extends unknown[], R>(func: Executable<A, R>, args: A): WorkerRequest {
  return { ...find(func), id: ++requests, args: new Map([[ARGS, copy(args)]]) };
}

/** Whether a worker's message is its answer to `request`. */
export function answers(message: unknown, request: WorkerRequest): message is WorkerAnswer {
  return (message as Partial<WorkerAnswer> | null | undefined)?.id === request.id;
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

const errorKinds: ReadonlyMap<string, unknown> = new Map(Object.entries({
  ...Deno.errors,
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
}));

/** Makes again what was thrown on the other thread. */
export function revive(thrown: Thrown): unknown {
  if ("value" in thrown) return thrown.value;
  const { name, message, stack, isDom, properties } = thrown;
  if (isDom) return new DOMException(message, name);
  const kind = (errorKinds.get(name) ?? Error) as ErrorConstructor;
  const error = name === "AggregateError" ? new AggregateError([], message) : new kind(message);
  const hidden = { configurable: true, writable: true, enumerable: false };
  Object.defineProperty(error, "name", { ...hidden, value: name });
  if (stack !== undefined) Object.defineProperty(error, "stack", { ...hidden, value: stack });
  for (const [key, value] of Object.entries(properties)) {
    const enumerable = key !== "cause" && key !== "errors";
    Object.defineProperty(error, key, { ...hidden, enumerable, value });
  }
  return error;
}
