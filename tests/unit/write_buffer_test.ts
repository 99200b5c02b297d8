import { assert, assertEquals, assertNotStrictEquals } from "@std/assert";
import { concat } from "@std/bytes/concat";
import fc from "fast-check";
import { WriteBuffer } from "../../net/write_buffer.ts";
import { bytes, pattern } from "../support.ts";

type Step =
  | { op: "bytes"; n: number }
  | { op: "text"; text: string }
  | { op: "send" }
  | { op: "sent"; part: number };

const sizes = fc.oneof(fc.nat(50), fc.nat(5_000), fc.constantFrom(4_095, 4_096, 65_537, 300_000));
const texts = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({ unit: fc.constantFrom("a", "é", "€", "😀") }),
  fc.record({ unit: fc.constantFrom("a", "é", "€", "😀"), n: fc.nat(120_000) })
    .map(({ unit, n }) => unit.repeat(n)),
);
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.record({ op: fc.constant("bytes" as const), n: sizes }),
    fc.record({ op: fc.constant("text" as const), text: texts }),
    fc.record({ op: fc.constant("send" as const) }),
    fc.record({
      op: fc.constant("sent" as const),
      part: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
  ),
  { maxLength: 30 },
);

/** Takes out all that is left. */
function drain(buffer: WriteBuffer): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  while (buffer.length > 0) {
    const head = buffer.head();
    pieces.push(head.slice());
    buffer.sent(head.length);
  }
  return pieces;
}

Deno.test("WriteBuffer gives out the bytes that went in, in order, while it is being sent from", () => {
  fc.assert(
    fc.property(steps, (list) => {
      const buffer = new WriteBuffer();
      const expected: Uint8Array[] = [];
      const out: Uint8Array[] = [];
      let head: Uint8Array | null = null;
      let copy = new Uint8Array(0);
      for (const step of list) {
        if (step.op === "bytes") {
          const data = pattern(step.n);
          expected.push(data.slice());
          buffer.append(data);
          data.fill(0); // The caller may use it again at once.
        } else if (step.op === "text") {
          expected.push(bytes(step.text));
          buffer.append(step.text);
        } else if (step.op === "send" && head === null && buffer.length > 0) {
          head = buffer.head();
          assert(head.length > 0);
          copy = head.slice();
        } else if (step.op === "sent" && head !== null) {
          // What is being sent must not change until it is.
          assertEquals(head, copy);
          const n = Math.max(1, Math.floor(step.part * head.length));
          out.push(copy.subarray(0, n));
          buffer.sent(n);
          head = null;
        }
      }
      if (head !== null) {
        assertEquals(head, copy);
        out.push(copy);
        buffer.sent(copy.length);
      }
      out.push(...drain(buffer));
      assertEquals(concat(out), concat(expected));
      assertEquals(buffer.length, 0);
    }),
    { numRuns: 300 },
  );
});

Deno.test("WriteBuffer gathers small writes into one piece", () => {
  const buffer = new WriteBuffer();
  for (let i = 0; i < 1_000; i++) buffer.append("0123456789");
  assertEquals(buffer.head().length, 10_000);
});

Deno.test("WriteBuffer.clear() leaves the page that is being sent to its carrier", () => {
  const buffer = new WriteBuffer();
  buffer.append("on its way");
  const head = buffer.head();
  const copy = head.slice();
  buffer.clear();
  assertEquals(buffer.length, 0);
  const other = new WriteBuffer();
  other.append("something else");
  assertNotStrictEquals(other.head().buffer, head.buffer);
  assertEquals(head, copy);
});

Deno.test("WriteBuffer keeps what another buffer writes out of its pages", () => {
  const [one, two] = [new WriteBuffer(), new WriteBuffer()];
  one.append("one");
  drain(one);
  two.append("two"); // On the page that `one` gave back.
  one.append("more");
  assertEquals([drain(two), drain(one)], [[bytes("two")], [bytes("more")]]);
});

Deno.test("WriteBuffer.clear() gives back each page once, however often it is called", () => {
  const buffer = new WriteBuffer();
  buffer.append(new Uint8Array(4_096));
  buffer.head(); // It is being sent: what comes next goes to pages of its own.
  for (let i = 0; i < 3; i++) buffer.append(new Uint8Array(262_144));
  buffer.clear();
  buffer.clear();
  const others = Array.from({ length: 8 }, () => {
    const other = new WriteBuffer();
    other.append(new Uint8Array(262_144));
    return other.head().buffer;
  });
  assertEquals(new Set(others).size, others.length, "two buffers share a page");
  buffer.append("anew");
  assertEquals(drain(buffer), [bytes("anew")]);
});

Deno.test("WriteBuffer.append() splits text at the end of a page between characters", () => {
  for (let room = 0; room < 8; room++) {
    for (const written of ["é", "€", "😀", "€€", "a😀"]) {
      const buffer = new WriteBuffer();
      buffer.append(new Uint8Array(4_096));
      buffer.head(); // A page that is being sent is not moved to a larger one.
      buffer.sent(1);
      buffer.append(new Uint8Array(262_144 - room));
      buffer.append(written);
      assertEquals(concat(drain(buffer)).subarray(-bytes(written).length), bytes(written));
    }
  }
});

Deno.test("WriteBuffer gathers into one piece what comes after all was sent, too", () => {
  const buffer = new WriteBuffer();
  buffer.append("first");
  drain(buffer);
  for (let i = 0; i < 1_000; i++) buffer.append("0123456789");
  assertEquals(buffer.head().length, 10_000);
});

Deno.test("WriteBuffer keeps no more than 4 MiB of free pages of a size", () => {
  const fill = () => {
    const buffers = Array.from({ length: 20 }, () => new WriteBuffer());
    const pages = buffers.map((buffer) => {
      buffer.append(new Uint8Array(262_144));
      return buffer.head().buffer;
    });
    buffers.forEach((buffer) => buffer.sent(262_144));
    return pages;
  };
  const before = new Set(fill());
  assertEquals(fill().filter((page) => before.has(page)).length, 16);
});
