/**
 * Which errors a caller was told.
 *
 * @module
 */

const told = new WeakSet<Error>();

/** Notes that a caller is being told why a connection ended, and returns that. */
export function tell<E extends Error>(error: E): E {
  told.add(error);
  return error;
}

/** Whether a caller was told `error`: then disposal need not say it again. */
export function wasTold(error: Error): boolean {
  return told.has(error);
}
