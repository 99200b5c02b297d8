/**
 * Who is told of errors that no caller can be told, and how.
 *
 * @module
 */
import { callSafely } from "../net/call_safely.ts";
import type { ExceptionContext } from "./exception_context.ts";

/** Prints `context`: the message, the exception, then what else is known. */
export function printException(context: ExceptionContext): void {
  const { message, exception, sourceTraceback, ...rest } = context;
  const details: unknown[] = [];
  if (exception !== undefined) details.push(...withHidden(exception));
  if (Object.keys(rest).length > 0) details.push(rest);
  if (sourceTraceback !== undefined) details.push(`\nMade at\n${sourceTraceback}`);
  console.error(message, ...details);
}

/** `exception` and, where disposal failed, too, what hides in it: Deno prints neither. */
function withHidden(exception: unknown): unknown[] {
  if (!(exception instanceof SuppressedError)) return [exception];
  const { error, suppressed } = exception;
  return [exception, "\nFirst:", ...withHidden(suppressed), "\nThen:", ...withHidden(error)];
}

/**
 * Calls `handler`, and `fallback` with the whole story if that throws or rejects; it never throws itself.
 *
 * @param context What went wrong.
 * @param handler Who is to be told, or `null` for `fallback`.
 * @param fallback The default handler, which a subclass of the loop may have replaced.
 */
export function tell(
  context: ExceptionContext,
  handler: ((context: ExceptionContext) => void) | null,
  fallback: (context: ExceptionContext) => void,
): void {
  callSafely(() => (handler ?? fallback)(context), (exception) => {
    const message = "Unhandled error in exception handler";
    const failure: ExceptionContext = { message, exception, context };
    if (handler === null) return printException(failure);
    tell(failure, null, fallback);
  });
}
