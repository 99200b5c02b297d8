/**
 * What runs on a worker's thread.
 *
 * @module
 */

import type { Thrown, WorkerAnswer, WorkerRequest } from "./worker_request.ts";

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

  let isRunning = false;
  /** What a function has left behind must not fail the next one's call. */
  function onLeftBehind(event: ErrorEvent | PromiseRejectionEvent): void {
    if (isRunning) return; // It may be this one's, which might wait for ever: the worker ends.
    event.preventDefault();
    const error = "reason" in event ? event.reason : event.error;
    console.error("Unhandled exception in what a function left behind on a worker:", error);
  }
  addEventListener("error", onLeftBehind);
  addEventListener("unhandledrejection", onLeftBehind);

  parentPort!.on("message", async (request: WorkerRequest) => {
    const { id } = request;
    let answer: WorkerAnswer;
    isRunning = true;
    try {
      const func = await find(request);
      answer = { id, result: await func(...request.args.get("args")!) };
    } catch (error) {
      answer = { id, thrown: explain(error, request) };
    } finally {
      isRunning = false;
    }
    try {
      parentPort!.postMessage(answer);
    } catch (error) {
      const what = "result" in answer ? "the function's result" : "what the function threw";
      const text = (error as Error).message;
      const thrown = new TypeError(`${what} can't be sent to another thread: ${text}`);
      parentPort!.postMessage({ id, thrown: describe(thrown) });
    }
  });
}

/** The URL of the worker's program: one that needs no permission to load. */
export const workerUrl = new URL(
  `data:text/javascript,${encodeURIComponent(`(${main})()`)}`,
);
