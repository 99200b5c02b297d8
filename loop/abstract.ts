/**
 * The contracts of event loops and servers.
 *
 * @module
 */
import type { ExceptionContext } from "./exception_context.ts";

/** An event loop. */
export interface AbstractEventLoop {
  /** Hands `context` to the exception handler in force. */
  callExceptionHandler(context: ExceptionContext): void;
}
