// What CPython's StreamReader does that nobody should copy, and what ours does instead. The recorder
// keeps clear of each of these.
import { LimitOverrunError, StreamReader } from "@asyncio/streams";
import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (data: Uint8Array) => new TextDecoder().decode(data);

for (const name of ["readLine", "readExactly", "readUntil"] as const) {
  Deno.test(`${name}() rejects when bytes and an exception come in one turn`, async () => {
    const reader = new StreamReader();
    const pending = name === "readExactly" ? reader.readExactly(3) : reader[name]();
    const exception = new Error("lost");
    reader.feedData(bytes("ab"));
    reader.setException(exception);
    assertStrictEquals(await assertRejects(() => pending), exception);
  });
}

Deno.test("an aborted read() puts back what it had gathered, before what came behind", async () => {
  const reader = new StreamReader({ limit: 1 });
  reader.feedData(bytes("ab"));
  const abort = new AbortController();
  const pending = reader.read(-1, { signal: abort.signal });
  for (const more of ["cd", "ef"]) {
    reader.feedData(bytes(more));
    await new Promise((resolve) => setImmediate(resolve));
  }
  reader.feedData(bytes("g"));
  abort.abort("enough");
  assertEquals(await pending.catch((reason) => reason), "enough");
  assertEquals(text(await reader.readExactly(7)), "abcdefg");
});

Deno.test("a search finds a separator after another read took bytes from under it", async () => {
  const reader = new StreamReader();
  reader.feedData(bytes("0123456789"));
  const pending = reader.readUntil("\r\n");
  assertEquals(text(await reader.read(8)), "01234567");
  reader.feedData(bytes("\r\nrest"));
  assertEquals(text(await pending), "89\r\n");
  assertEquals(text(await reader.read(4)), "rest");
});

Deno.test("a refused read() takes nothing", async () => {
  const reader = new StreamReader();
  reader.feedData(bytes("ab"));
  const pending = reader.readExactly(4);
  await assertRejects(() => reader.read(), Error, "another read is waiting");
  reader.feedData(bytes("cd"));
  assertEquals(text(await pending), "abcd");
});

Deno.test("of separators that end at one place the longest counts against the limit", async () => {
  const reader = new StreamReader({ limit: 2 });
  reader.feedData(bytes("ab\r\nabc\r\n"));
  assertEquals(text(await reader.readUntil(["\n", "\r\n"])), "ab\r\n");
  const error = await assertRejects(() => reader.readUntil(["\n", "\r\n"]), LimitOverrunError);
  assertEquals(error.consumed, 3);
});
