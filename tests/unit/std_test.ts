// What the tests rely on in `@std`: it has to hold for the stand-ins in std/ and for the
// real packages, so that either can run the suite.
import {
  assert,
  assertEquals,
  AssertionError,
  assertMatch,
  assertNotEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { deadline, delay } from "@std/async";
import { concat, equals } from "@std/bytes";

Deno.test("assertEquals() compares bytes by value and throws an AssertionError", () => {
  assertEquals(new Uint8Array([1, 2]), new Uint8Array([1, 2]));
  assertNotEquals(new Uint8Array([1, 2]), new Uint8Array([1, 3]));
  assertThrows(() => assertEquals<unknown>({ a: 1 }, { a: "1" }, "extra"), AssertionError, "extra");
  assertThrows(() => assertStrictEquals({}, {}), AssertionError);
  assertThrows(() => assert(0, "nothing"), AssertionError, "nothing");
});

Deno.test("assertThrows() returns the error, and minds its class and message", () => {
  const error = new RangeError("too far");
  const fail = () => {
    throw error;
  };
  assertStrictEquals(assertThrows(fail, RangeError, "far"), error);
  assertThrows(() => assertThrows(fail, TypeError), AssertionError, "RangeError");
  assertThrows(() => assertThrows(fail, RangeError, "near"), AssertionError, "too far");
  assertThrows(() => assertThrows(() => {}), AssertionError, "Expected function to throw");
});

Deno.test("assertRejects() returns the error, and tells a rejection from a throw", async () => {
  const error = new RangeError("too far");
  assertStrictEquals(await assertRejects(() => Promise.reject(error), RangeError, "far"), error);
  assertStrictEquals(await assertRejects(() => Promise.reject(error)), error);
  await assertRejects(
    () => assertRejects(() => Promise.reject(error), TypeError),
    AssertionError,
  );
  await assertRejects(
    () => assertRejects(() => Promise.resolve()),
    AssertionError,
    "Expected function to reject",
  );
  await assertRejects(
    () =>
      assertRejects(() => {
        throw error;
      }),
    AssertionError,
    "Function throws when expected to reject",
  );
});

Deno.test("assertMatch() throws when nothing matches", () => {
  assertMatch("abc", /b/);
  assertThrows(() => assertMatch("abc", /d/), AssertionError, "abc");
});

Deno.test("delay() rejects with the signal's reason", async () => {
  const reason = new Error("enough");
  const controller = new AbortController();
  const waiting = assertRejects(
    () => delay(60_000, { signal: controller.signal }),
    Error,
    "enough",
  );
  controller.abort(reason);
  assertStrictEquals(await waiting, reason);
  await delay(0);
});

Deno.test("deadline() ends in a TimeoutError, or in what the promise gives", async () => {
  assertEquals(await deadline(Promise.resolve(1), 60_000), 1);
  const error = await assertRejects(() => deadline(new Promise(() => {}), 1), DOMException);
  assertEquals(error.name, "TimeoutError");
});

Deno.test("concat() and equals() work on any view", () => {
  const bytes = new Uint8Array([0, 1, 2, 3]).subarray(1);
  assertEquals(concat([bytes, new Uint8Array([4])]), new Uint8Array([1, 2, 3, 4]));
  assert(equals(bytes, new Uint8Array([1, 2, 3])));
  assert(!equals(bytes, new Uint8Array([1, 2])));
});
