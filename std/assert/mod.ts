/**
 * The part of `@std/assert` that the tests and examples use, over `node:assert`:
 * the same signatures and the same kind of errors, for machines that can't reach JSR.
 *
 * @module
 */
import assertions from "node:assert/strict";
import { inspect } from "node:util";

/** Thrown by every function here. */
export class AssertionError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "AssertionError";
  }
}

type ErrorConstructor<E extends Error> = abstract new (...args: never[]) => E;

/** Runs one of Node's assertions, so that it throws this module's kind of error. */
function check(assertion: () => void, msg: string | undefined): void {
  try {
    assertion();
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    throw new AssertionError(msg === undefined ? detail : `${msg}\n${detail}`);
  }
}

function ensure(holds: boolean, failure: () => string, msg: string | undefined): void {
  if (!holds) throw new AssertionError(msg ? `${failure()}: ${msg}` : `${failure()}.`);
}

/** See `@std/assert/assert`. */
export function assert(expr: unknown, msg = ""): asserts expr {
  if (!expr) throw new AssertionError(msg);
}

/** See `@std/assert/false`. */
export function assertFalse(expr: unknown, msg = ""): asserts expr is false {
  if (expr) throw new AssertionError(msg);
}

/** See `@std/assert/fail`. */
export function fail(msg?: string): never {
  throw new AssertionError(`Failed assertion${msg ? `: ${msg}` : "."}`);
}

/** See `@std/assert/equals`. */
export function assertEquals<T>(actual: T, expected: T, msg?: string): void {
  check(() => assertions.deepStrictEqual(actual, expected), msg);
}

/** See `@std/assert/not-equals`. */
export function assertNotEquals<T>(actual: T, expected: T, msg?: string): void {
  check(() => assertions.notDeepStrictEqual(actual, expected), msg);
}

/** See `@std/assert/strict-equals`. */
export function assertStrictEquals<T>(
  actual: unknown,
  expected: T,
  msg?: string,
): asserts actual is T {
  check(() => assertions.strictEqual(actual, expected), msg);
}

/** See `@std/assert/not-strict-equals`. */
export function assertNotStrictEquals<T>(actual: T, expected: T, msg?: string): void {
  check(() => assertions.notStrictEqual(actual, expected), msg);
}

/** See `@std/assert/exists`. */
export function assertExists<T>(actual: T, msg?: string): asserts actual is NonNullable<T> {
  ensure(
    actual !== undefined && actual !== null,
    () => `Expected actual: "${actual}" to not be null or undefined`,
    msg,
  );
}

/** See `@std/assert/string-includes`. */
export function assertStringIncludes(actual: string, expected: string, msg?: string): void {
  ensure(
    actual.includes(expected),
    () => `Expected actual: "${actual}" to contain: "${expected}"`,
    msg,
  );
}

/** See `@std/assert/match`. */
export function assertMatch(actual: string, expected: RegExp, msg?: string): void {
  ensure(
    expected.test(actual),
    () => `Expected actual: "${actual}" to match: "${expected}"`,
    msg,
  );
}

/** See `@std/assert/greater`. */
export function assertGreater<T>(actual: T, expected: T, msg?: string): void {
  assert(actual > expected, msg ?? `Expect ${inspect(actual)} > ${inspect(expected)}`);
}

/** See `@std/assert/greater-or-equal`. */
export function assertGreaterOrEqual<T>(actual: T, expected: T, msg?: string): void {
  assert(actual >= expected, msg ?? `Expect ${inspect(actual)} >= ${inspect(expected)}`);
}

/** See `@std/assert/less`. */
export function assertLess<T>(actual: T, expected: T, msg?: string): void {
  assert(actual < expected, msg ?? `Expect ${inspect(actual)} < ${inspect(expected)}`);
}

/** See `@std/assert/less-or-equal`. */
export function assertLessOrEqual<T>(actual: T, expected: T, msg?: string): void {
  assert(actual <= expected, msg ?? `Expect ${inspect(actual)} <= ${inspect(expected)}`);
}

/** See `@std/assert/instance-of`. */
export function assertInstanceOf<T extends abstract new (...args: never[]) => unknown>(
  actual: unknown,
  expectedType: T,
  msg = "",
): asserts actual is InstanceType<T> {
  ensure(
    actual instanceof expectedType,
    () => `Expected object to be an instance of "${expectedType.name}" but was ${inspect(actual)}`,
    msg,
  );
}

/** See `@std/assert/is-error`. */
export function assertIsError<E extends Error = Error>(
  error: unknown,
  ErrorClass?: ErrorConstructor<E>,
  msgMatches?: string | RegExp,
  msg?: string,
): asserts error is E {
  ensure(error instanceof Error, () => `Expected "error" to be an Error object`, msg);
  const { message } = error as Error;
  ensure(
    ErrorClass === undefined || error instanceof ErrorClass,
    () => `Expected error to be instance of "${ErrorClass?.name}", but was ${inspect(error)}`,
    msg,
  );
  ensure(
    msgMatches === undefined ||
      (typeof msgMatches === "string" ? message.includes(msgMatches) : msgMatches.test(message)),
    () => `Expected error message to include ${inspect(msgMatches)}, but got ${inspect(message)}`,
    msg,
  );
}

/** See `@std/assert/throws`. */
export function assertThrows(fn: () => unknown, msg?: string): unknown;
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  ErrorClass: ErrorConstructor<E>,
  msgIncludes?: string,
  msg?: string,
): E;
export function assertThrows(
  fn: () => unknown,
  expected?: ErrorConstructor<Error> | string,
  msgIncludes?: string,
  msg?: string,
): unknown {
  try {
    fn();
  } catch (error) {
    if (typeof expected === "function") assertIsError(error, expected, msgIncludes, msg);
    return error;
  }
  const suffix = typeof expected === "string" ? expected : msg;
  throw new AssertionError(`Expected function to throw${suffix ? `: ${suffix}` : "."}`);
}

/** See `@std/assert/rejects`. */
export function assertRejects(fn: () => PromiseLike<unknown>, msg?: string): Promise<unknown>;
export function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  ErrorClass: ErrorConstructor<E>,
  msgIncludes?: string,
  msg?: string,
): Promise<E>;
export async function assertRejects(
  fn: () => PromiseLike<unknown>,
  expected?: ErrorConstructor<Error> | string,
  msgIncludes?: string,
  msg?: string,
): Promise<unknown> {
  const suffix = (typeof expected === "string" ? expected : msg) ?? "";
  const end = suffix ? `: ${suffix}` : ".";
  let promise: PromiseLike<unknown> | undefined;
  try {
    promise = fn();
    if (typeof promise?.then === "function") await promise;
    else promise = undefined;
  } catch (error) {
    if (promise === undefined) {
      throw new AssertionError(`Function throws when expected to reject${end}`, { cause: error });
    }
    if (typeof expected === "function") assertIsError(error, expected, msgIncludes, msg);
    return error;
  }
  if (promise === undefined) {
    throw new AssertionError(`Function throws when expected to reject${end}`);
  }
  throw new AssertionError(`Expected function to reject${end}`);
}
