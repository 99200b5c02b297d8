import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { PrefixedCarrier } from "../../net/prefixed_carrier.ts";
import { MemoryCarrier } from "../memory_carrier.ts";
import { bytes, settled, text } from "../support.ts";

/** What one read gives: text, or `null` at the end. */
async function readText(carrier: PrefixedCarrier, size = 100): Promise<string | null> {
  const buffer = new Uint8Array(size);
  const n = await carrier.read(buffer);
  return n === null ? null : text(buffer.subarray(0, n));
}

Deno.test("PrefixedCarrier gives out the bytes ahead, then the read under way, then reads on", async () => {
  const inner = new MemoryCarrier();
  const carrier = new PrefixedCarrier(inner, {
    bytes: bytes("ahead"),
    pending: Promise.resolve(bytes("pending")),
  });
  inner.send("later");
  inner.end();
  const pieces = [];
  for (let piece; (piece = await readText(carrier, 4)) !== null;) pieces.push(piece);
  assertEquals(pieces, ["ahea", "d", "pend", "ing", "late", "r"]);
});

Deno.test("PrefixedCarrier reads no more behind an end that came ahead", async () => {
  const inner = new MemoryCarrier();
  const carrier = new PrefixedCarrier(inner, { pending: Promise.resolve(null) });
  for (let i = 0; i < 2; i++) assertStrictEquals(await readText(carrier), null);
  assertEquals(inner.reads, 0);
});

Deno.test("PrefixedCarrier says goodbye as what is beneath it would", async () => {
  const plain = new MemoryCarrier();
  plain.send("unread");
  const left = new PrefixedCarrier(plain, {}).goodbye();
  assert(!await settled(left), "what was not read is taken in up to the end");
  assert(plain.halfClosed);
  plain.end();
  await left;

  const inner = new MemoryCarrier({ canCloseWrite: false, extraInfo: { socket: "its own" } });
  let goodbyes = 0;
  inner.goodbye = () => (goodbyes++, Promise.resolve());
  const carrier = new PrefixedCarrier(inner, {});
  await carrier.goodbye();
  assertEquals([goodbyes, inner.halfClosed, carrier.canCloseWrite], [1, false, false]);
  assertEquals(carrier.extraInfo, { socket: "its own" });
  assertEquals(new PrefixedCarrier(plain, {}).extraInfo, { socket: plain });
});
