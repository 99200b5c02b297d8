import assert from "node:assert/strict";

/** See `@std/assert/equals`. */
export function assertEquals<T>(actual: T, expected: T, msg?: string): void {
  assert.deepStrictEqual(actual, expected, msg);
}
