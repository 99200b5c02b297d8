import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { findByte } from "../../net/find_byte.ts";

const memory = (data: Uint8Array) => {
  const chunk = new Uint8Array((data.length + 3) & ~3);
  chunk.set(data);
  return { chunk, words: new Int32Array(chunk.buffer) };
};

Deno.test("findByte() agrees with a plain loop, for any bytes, range and alignment", () => {
  // Few different bytes, so that there are matches; those that word tricks get wrong among them.
  const byte = fc.constantFrom(0, 1, 2, 10, 11, 127, 128, 129, 254, 255);
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 40 }),
      fc.array(byte, { maxLength: 40 }),
      byte,
      fc.nat(40),
      fc.nat(40),
      (noise, some, wanted, a, b) => {
        for (const data of [noise, Uint8Array.from(some)]) {
          const from = Math.min(a, b, data.length);
          const to = Math.min(Math.max(a, b), data.length);
          const { chunk, words } = memory(data);
          const naive = data.subarray(0, to).indexOf(wanted, from);
          assertEquals(findByte(chunk, words, wanted, from, to), naive);
        }
      },
    ),
    { numRuns: 2_000 },
  );
});

Deno.test("findByte() finds each byte value at each place", () => {
  const { chunk, words } = memory(new Uint8Array(12));
  for (let value = 0; value < 256; value++) {
    chunk.fill(value ^ 1);
    for (let at = 0; at < 12; at++) {
      chunk[at] = value;
      for (let from = 0; from <= 12; from++) {
        assertEquals(findByte(chunk, words, value, from, 12), from <= at ? at : -1);
      }
      assertEquals(findByte(chunk, words, value, 0, at), -1);
      chunk[at] = value ^ 1;
    }
  }
});
