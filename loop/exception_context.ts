/**
 * What an exception handler is told.
 *
 * @module
 */

/** What went wrong where no caller can be told, with asyncio's keys in camelCase. */
export interface ExceptionContext {
  /** What happened, in a sentence. */
  message: string;
  /** What was thrown. */
  exception?: unknown;
  /** The address of the peer concerned. */
  peername?: Deno.Addr | null | undefined;
  /** The transport concerned. */
  transport?: unknown;
  /** The protocol concerned. */
  protocol?: unknown;
  /** The future concerned. */
  future?: unknown;
  /** The task concerned. */
  task?: unknown;
  /** The callback's handle. */
  handle?: unknown;
  /** The socket or listener concerned. */
  socket?: unknown;
  /** The async generator concerned. */
  asyncgen?: unknown;
  /** What a handler that threw had been told. */
  context?: ExceptionContext | undefined;
  /** Where the object concerned was made, in debug mode. */
  sourceTraceback?: string | undefined;
}

/** Whoever takes what no caller can be told: an event loop. */
export interface ExceptionSink {
  /** Hands `context` to the exception handler in force. */
  callExceptionHandler(context: ExceptionContext): void;
}
