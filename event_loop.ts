/**
 * The event loop's API on Deno's own loop.
 *
 * @module
 */
import type { ExceptionContext, ExceptionSink } from "./loop/exception_context.ts";

/** Called with the loop and what went wrong. */
export type ExceptionHandler = (loop: EventLoop, context: ExceptionContext) => void;

/** asyncio's event loop over Deno's own. */
export class EventLoop implements ExceptionSink {
  #exceptionHandler: ExceptionHandler | null = null;

  /** Sets who is told of errors that no caller can be told; `null` means the default. */
  setExceptionHandler(handler: ExceptionHandler | null): void {
    this.#exceptionHandler = handler;
  }

  /** The handler in force, or `null` for the default one. */
  getExceptionHandler(): ExceptionHandler | null {
    return this.#exceptionHandler;
  }

  /** Prints `context` to the standard error output. */
  defaultExceptionHandler(context: ExceptionContext): void {
    const { message, exception, ...rest } = context;
    console.error(message, ...(exception === undefined ? [] : [exception]), rest);
  }

  /** Hands `context` to the exception handler in force. */
  callExceptionHandler(context: ExceptionContext): void {
    if (this.#exceptionHandler === null) return this.defaultExceptionHandler(context);
    try {
      this.#exceptionHandler(this, context);
    } catch (exception) {
      this.defaultExceptionHandler({ message: "Unhandled error in exception handler", exception });
      this.defaultExceptionHandler(context);
    }
  }
}

const theLoop = new EventLoop();

/** The loop in use; it never fails, for Deno's loop always runs. */
export function getRunningLoop(): EventLoop {
  return theLoop;
}
