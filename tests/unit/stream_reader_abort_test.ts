import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { StreamReader } from "../../net/stream_reader.ts";
import type { WaitOptions } from "../../net/wait_options.ts";
import { bytes, memoryStreams, settled, text } from "../support.ts";

const kinds: Record<string, (reader: StreamReader, options: WaitOptions) => Promise<Uint8Array>> = {
  "read(n)": (reader, options) => reader.read(10, options),
  "read()": (reader, options) => reader.read(-1, options),
  "readExactly()": (reader, options) => reader.readExactly(14, options),
  "readLine()": (reader, options) => reader.readLine(options),
  "readUntil()": (reader, options) => reader.readUntil("END", options),
};

for (const [name, read] of Object.entries(kinds)) {
  Deno.test(`${name} that is aborted loses no byte`, async () => {
    const { carrier, reader } = memoryStreams();
    const controller = new AbortController();
    const { signal } = controller;
    const aborted = read(reader, { signal });
    if (name !== "read(n)") {
      carrier.send("some ");
      assert(!await settled(aborted));
      carrier.send("more ");
      assert(!await settled(aborted));
    }
    const reason = new Error("enough");
    controller.abort(reason);
    assertStrictEquals(await assertRejects(() => aborted), reason);
    // The carrier's read is still under way: what it brings belongs to the next one.
    carrier.send("last");
    carrier.end();
    const expected = name === "read(n)" ? "last" : "some more last";
    assertEquals(text(await reader.read()), expected);
  });

  Deno.test(`${name} with an aborted signal rejects before a byte is taken`, async () => {
    const reader = new StreamReader();
    reader.feedData(bytes("0123456789\nabc END"));
    reader.feedEof();
    await assertRejects(
      () => read(reader, { signal: AbortSignal.abort(new Error("no")) }),
      Error,
      "no",
    );
    assertEquals(text(await reader.read()), "0123456789\nabc END");
  });
}

Deno.test("an abort after the answer has no effect", async () => {
  const reader = new StreamReader();
  const controller = new AbortController();
  const read = reader.read(1, { signal: controller.signal });
  reader.feedData(bytes("ab"));
  assertEquals(text(await read), "a");
  controller.abort();
  assertEquals(text(await reader.read(1, {})), "b");
});

Deno.test("read() to EOF, aborted several times, keeps the order of what came", async () => {
  const { carrier, reader } = memoryStreams();
  for (const piece of ["one ", "two ", "three "]) {
    const controller = new AbortController();
    const read = reader.read(-1, { signal: controller.signal });
    carrier.send(piece);
    await settled(read);
    controller.abort();
    await assertRejects(() => read);
  }
  carrier.end();
  assertEquals(text(await reader.read()), "one two three ");
});

Deno.test("a read refuses a signal that is none", async () => {
  const reader = new StreamReader();
  const signal = "soon" as unknown as AbortSignal;
  await assertRejects(() => reader.read(1, { signal }), TypeError);
  const next = reader.read(1);
  reader.feedData(bytes("x"));
  assertEquals(text(await next), "x");
});

Deno.test("a read that can be answered is answered while another waits, whatever the limit", async () => {
  const reader = new StreamReader({ limit: Infinity });
  const waiting = reader.readExactly(100);
  reader.feedData(new TextEncoder().encode("a line\n"));
  assertEquals(await reader.readLine(), new TextEncoder().encode("a line\n"));
  await assertRejects(() => reader.read(), Error, "another read is waiting");
  reader.feedData(new Uint8Array(100));
  assertEquals((await waiting).length, 100);
});
