/**
 * The errors of asyncio's event loop.
 *
 * @module
 */

/**
 * A future or task was cancelled.
 *
 * `cause` is the reason of the `AbortSignal` that asked for it, if one did.
 *
 * @example
 * ```ts
 * import { CancelledError, getEventLoop } from "@asyncio/streams";
 * import { assertThrows } from "@std/assert";
 *
 * const future = getEventLoop().createFuture();
 * future.cancel();
 * assertThrows(() => future.result(), CancelledError);
 * ```
 */
export class CancelledError extends Error {
  /** The error's name. */
  override readonly name = "CancelledError";
}

/**
 * A future was asked for what it does not have yet, or told what it has already.
 *
 * @example
 * ```ts
 * import { getEventLoop, InvalidStateError } from "@asyncio/streams";
 * import { assertThrows } from "@std/assert";
 *
 * const future = getEventLoop().createFuture();
 * assertThrows(() => future.result(), InvalidStateError, "Result is not ready");
 * ```
 */
export class InvalidStateError extends Error {
  /** The error's name. */
  override readonly name = "InvalidStateError";
}

/**
 * The system can't send this file over this transport, and no fallback was allowed.
 *
 * @example
 * ```ts
 * import { SendfileNotAvailableError } from "@asyncio/streams";
 * import { assertEquals } from "@std/assert";
 *
 * const error = new SendfileNotAvailableError("Not over TLS");
 * assertEquals(error.name, "SendfileNotAvailableError");
 * ```
 */
export class SendfileNotAvailableError extends Error {
  /** The error's name. */
  override readonly name = "SendfileNotAvailableError";
}
