/**
 * What runs on a worker's thread, and what it and its executor tell each other.
 *
 * @module
 */

/** A function, given by its source text or by its module. */
export type Callee = { source: string } | { module: string; name: string };

/** The one key of {@linkcode WorkerRequest}'s arguments. */
export const ARGS = "args";

/**
 * What a worker is asked: to call a function. The arguments are in a map: in objects and arrays Deno looks
 * at each byte on its way to a worker, which takes 2 s for 10 MB.
 */
export type WorkerRequest = Callee & { args: Map<typeof ARGS, unknown[]> };

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

/** What a worker answers. */
export type WorkerAnswer = { result: unknown } | { thrown: Thrown };

/** The worker's program. It is sent as source text, so it stands alone. */
async function main(): Promise<void> {
  const { parentPort } = await import("node:worker_threads");
  /** Compiled once, so that what is called often gets fast. */
  const functions = new Map<string, (...args: unknown[]) => unknown>();

  async function find(request: WorkerRequest): Promise<(...args: unknown[]) => unknown> {
    if ("source" in request) {
      const { source } = request;
      if (!functions.has(source)) {
        functions.set(source, (0, eval)(`(${source}\n)\n//# sourceURL=runInExecutor`));
      }
      return functions.get(source)!;
    }
    const { module, name } = request;
    const func = (await import(module))[name];
    if (typeof func === "function") return func;
    throw new TypeError(`${module} exports no function named "${name}"`);
  }

  function describe(error: unknown): Thrown {
    if (!(error instanceof Error)) return { value: error };
    const { name, message, stack } = error;
    const isDom = error instanceof DOMException;
    const properties: Record<string, unknown> = {};
    for (const key of ["cause", "errors", ...Object.keys(error)]) {
      if (key === "name" || !Object.hasOwn(error, key)) continue;
      try {
        properties[key] = structuredClone(Reflect.get(error, key));
      } catch {
        // It can't be sent; the rest of the error can.
      }
    }
    return { name, message, stack, isDom, properties };
  }

  function explain(error: unknown, request: WorkerRequest): Thrown {
    const thrown = describe(error);
    if ("message" in thrown && error instanceof ReferenceError && "source" in request) {
      thrown.message += ": a function that a worker is sent must be self-contained, and uses its " +
        "arguments, what is global and what it imports itself";
    }
    return thrown;
  }

  parentPort!.on("message", async (request: WorkerRequest) => {
    let answer: WorkerAnswer;
    try {
      const func = await find(request);
      answer = { result: await func(...request.args.get("args")!) };
    } catch (error) {
      answer = { thrown: explain(error, request) };
    }
    try {
      parentPort!.postMessage(answer);
    } catch (error) {
      const what = "result" in answer ? "the function's result" : "what the function threw";
      const text = (error as Error).message;
      const thrown = new TypeError(`${what} can't be sent to another thread: ${text}`);
      parentPort!.postMessage({ thrown: describe(thrown) });
    }
  });
}

/** The URL of the worker's program: one that needs no permission to load. */
export const workerUrl = new URL(
  `data:text/javascript,${encodeURIComponent(`(${main})()`)}`,
);

const errorKinds: Readonly<Record<string, unknown>> = {
  ...Deno.errors,
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
};

/** Makes again what was thrown on the other thread. */
export function revive(thrown: Thrown): unknown {
  if ("value" in thrown) return thrown.value;
  const { name, message, stack, isDom, properties } = thrown;
  if (isDom) return new DOMException(message, name);
  const kind = (errorKinds[name] ?? Error) as ErrorConstructor;
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
