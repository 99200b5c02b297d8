/**
 * Which errors a caller was told.
 *
 * @module
 */

const told = new WeakSet<object>();

/** Notes that a caller is being told why a connection ended, and returns that. */
export function tell<E>(error: E): E {
  // A signal's reason may be anything.
  if (typeof error === "object" && error !== null) told.add(error);
  return error;
}

/** Whether a caller was told `error`: then disposal need not say it again. */
export function wasTold(error: unknown): boolean {
  return told.has(error as object);
}
