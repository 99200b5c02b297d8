/**
 * Calls of callbacks whose errors no caller can be told.
 *
 * @module
 */

/**
 * Calls `callback`; what it throws, or what the promise it returns rejects with, goes to `report`. An
 * `async` method is a callback like any other: left alone, its error would end the process.
 *
 * @param callback What to call.
 * @param report Who is told of an error, now or later; it must not throw.
 * @returns What `callback` returns, or `undefined` when it throws.
 */
export function callSafely<T>(callback: () => T, report: (error: unknown) => void): T | undefined {
  try {
    const result = callback();
    if (result instanceof Promise) result.catch(report);
    return result;
  } catch (error) {
    report(error);
    return undefined;
  }
}
