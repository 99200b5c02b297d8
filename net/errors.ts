/**
 * The errors of reads.
 *
 * @module
 */

/**
 * A read ended before it had what was asked for.
 *
 * @example
 * ```ts
 * import { IncompleteReadError, StreamReader } from "@asyncio/streams";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const reader = new StreamReader();
 * reader.feedData(new Uint8Array([1, 2, 3]));
 * reader.feedEof();
 * const error = await assertRejects(() => reader.readExactly(5), IncompleteReadError);
 * assertEquals(error.partial, new Uint8Array([1, 2, 3]));
 * assertEquals(error.expected, 5);
 * ```
 */
export class IncompleteReadError extends Deno.errors.UnexpectedEof {
  /** The bytes that came before the end. */
  readonly partial: Uint8Array;
  /** How many bytes were asked for, or `null` where the read had no fixed size. */
  readonly expected: number | null;

  /**
   * Makes the error.
   *
   * @param partial The bytes that came before the end.
   * @param expected How many bytes were asked for, or `null`.
   */
  constructor(partial: Uint8Array, expected: number | null) {
    super(
      expected === null
        ? `the stream ended after ${partial.length} bytes, before a separator`
        : `the stream ended after ${partial.length} of ${expected} expected bytes`,
    );
    this.name = "IncompleteReadError";
    this.partial = partial;
    this.expected = expected;
  }
}

/**
 * No separator came within the reader's limit. The bytes stay in the buffer.
 *
 * @example
 * ```ts
 * import { LimitOverrunError, StreamReader } from "@asyncio/streams";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const reader = new StreamReader({ limit: 4 });
 * reader.feedData(new TextEncoder().encode("far too long\n"));
 * const error = await assertRejects(() => reader.readUntil("\n"), LimitOverrunError);
 * assertEquals(error.consumed, 12);
 * assertEquals((await reader.read(100)).length, 13);
 * ```
 */
export class LimitOverrunError extends RangeError {
  /** How many of the buffered bytes are known to belong to the overlong piece. */
  readonly consumed: number;

  /**
   * Makes the error.
   *
   * @param message What happened.
   * @param consumed How many of the buffered bytes are known to belong to the overlong piece.
   */
  constructor(message: string, consumed: number) {
    super(message);
    this.name = "LimitOverrunError";
    this.consumed = consumed;
  }
}
