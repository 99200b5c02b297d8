// `readInto()`: what is moved, and whose the array is while the connection stores in it.
import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import type { Protocol } from "../../net/protocols.ts";
import { StreamReader } from "../../net/stream_reader.ts";
import { MemoryCarrier } from "../memory_carrier.ts";
import { bytes, memoryStreams, pattern, settled, text } from "../support.ts";

/** More than enough for a connection to store in it directly. */
const LONG = 65_536;

Deno.test("readInto() moves what has come and fits, and no more", async () => {
  const reader = new StreamReader();
  reader.feedData(bytes("abcdef"));
  const target = bytes("........");
  assertEquals(await reader.readInto(target.subarray(1, 5)), 4);
  assertEquals(text(target), ".abcd...");
  assertEquals(await reader.readInto(target), 2);
  assertEquals(text(target), "efbcd...");
});

Deno.test("readInto() waits for at least one byte, and is 0 at EOF, again and again", async () => {
  const reader = new StreamReader();
  const target = new Uint8Array(LONG);
  const read = reader.readInto(target);
  assert(!await settled(read));
  reader.feedData(bytes("x"));
  assertEquals(await read, 1);
  assertEquals(text(target.subarray(0, 1)), "x");
  const last = reader.readInto(target);
  reader.feedEof();
  assertEquals(await last, 0);
  assertEquals(await reader.readInto(target), 0);
});

Deno.test("readInto() is 0 for an empty array, even while another read waits", async () => {
  const reader = new StreamReader();
  const waiting = reader.readInto(new Uint8Array(1));
  assertEquals(await reader.readInto(new Uint8Array(0)), 0);
  await assertRejects(() => reader.readInto(new Uint8Array(1)), Error, "another read is waiting");
  reader.feedData(bytes("a"));
  assertEquals(await waiting, 1);
});

Deno.test("readInto() takes only a Uint8Array, and says so before a set exception", async () => {
  const reader = new StreamReader();
  reader.setException(new Error("set"));
  for (const target of [new ArrayBuffer(4), "text", [1], null]) {
    // @ts-expect-error what the types forbid
    await assertRejects(() => reader.readInto(target), TypeError, "takes a Uint8Array");
  }
  await assertRejects(() => reader.readInto(new Uint8Array(1)), Error, "set");
});

Deno.test("readInto() has the connection store in a long array, and nothing is buffered", async () => {
  const { carrier, reader, writer } = memoryStreams();
  const sent = pattern(50_000);
  const target = new Uint8Array(LONG);
  for (let round = 0; round < 3; round++) {
    const read = reader.readInto(target);
    carrier.send(sent);
    assertEquals(await read, sent.length);
    assertEquals(target.subarray(0, sent.length), sent);
    target.fill(0);
  }
  carrier.end();
  assertEquals(await reader.readInto(target), 0);
  writer.close();
  await writer.waitClosed();
});

Deno.test("readInto() reads ahead of a short array", async () => {
  const { carrier, reader, writer } = memoryStreams();
  carrier.send("abcdef");
  const target = new Uint8Array(2);
  const got: string[] = [];
  for (let i = 0; i < 3; i++) got.push(text(target.subarray(0, await reader.readInto(target))));
  assertEquals([got, carrier.reads], [["ab", "cd", "ef"], 1]);
  writer.close();
  await writer.waitClosed();
});

Deno.test("readInto() changes no result of an earlier read", async () => {
  const { carrier, reader, writer } = memoryStreams();
  const results: Uint8Array[] = [];
  const target = new Uint8Array(3_000);
  for (let i = 0; i < 100; i++) {
    carrier.send(new Uint8Array(4_000).fill(i));
    results.push(await reader.readExactly(1_000));
    for (let n = 0; n < 3_000;) n += await reader.readInto(target);
    assertEquals(target, new Uint8Array(3_000).fill(i));
  }
  results.forEach((result, i) => assertEquals(result, new Uint8Array(1_000).fill(i)));
  writer.close();
  await writer.waitClosed();
});

for (const length of [100, LONG]) {
  Deno.test(`an aborted readInto() of ${length} bytes leaves its array alone and loses no byte`, async () => {
    const { carrier, reader, writer } = memoryStreams();
    const controller = new AbortController();
    const target = new Uint8Array(length);
    const read = reader.readInto(target, { signal: controller.signal });
    assert(!await settled(read) && carrier.reading);
    const reason = new Error("enough");
    controller.abort(reason);
    assertStrictEquals(await assertRejects(() => read), reason);
    carrier.send("late");
    assertEquals(text(await reader.readExactly(4)), "late");
    assertEquals(target, new Uint8Array(length));
    writer.close();
    await writer.waitClosed();
  });
}

/** A carrier whose read under way outlives `close()`, until the test lets it end. */
class Lingering extends MemoryCarrier {
  letGo: () => void = () => {};

  override read(buffer: Uint8Array): Promise<number | null> {
    const released = new Promise<void>((resolve) => this.letGo = resolve);
    return super.read(buffer).finally(() => released);
  }
}

for (const ending of ["abort", "close"] as const) {
  Deno.test(`after ${ending}(), readInto() settles only once nothing is stored any more`, async () => {
    const carrier = new Lingering();
    const { reader, writer } = memoryStreams({}, carrier);
    const read = reader.readInto(new Uint8Array(LONG));
    if (ending === "abort") writer.transport.abort();
    else writer.close();
    await writer.waitClosed();
    assert(carrier.closed && !await settled(read), "the carrier's read is still under way");
    carrier.letGo();
    assertEquals(await read, 0);
  });
}

Deno.test("readInto() refuses an array that was transferred, or gets lost while it waits", async () => {
  const { carrier, reader, writer, transport } = memoryStreams();
  const gone = new Uint8Array(LONG);
  gone.buffer.transfer();
  await assertRejects(() => reader.readInto(gone), TypeError, "transferred");
  transport.pauseReading(); // So that the connection has not been asked yet.
  for (const length of [100, LONG]) {
    const memory = new ArrayBuffer(length, { maxByteLength: length });
    const read = reader.readInto(new Uint8Array(memory));
    memory.resize(0);
    carrier.send("kept");
    transport.resumeReading();
    await assertRejects(() => read, TypeError, "detached or shrunk");
    transport.pauseReading();
  }
  transport.resumeReading();
  assertEquals(text(await reader.readExactly(8)), "keptkept");
  writer.close();
  await writer.waitClosed();
});

Deno.test("bytes fed in the turn of an exception answer readInto(), as they do every read", async () => {
  for (const length of [100, LONG]) {
    const reader = new StreamReader();
    const target = new Uint8Array(length);
    const read = reader.readInto(target);
    reader.feedData(bytes("abc"));
    reader.setException(new Error("set"));
    assertEquals([await read, text(target.subarray(0, 3))], [3, "abc"]);
    await assertRejects(() => reader.readInto(target), Error, "set");
  }
});

Deno.test("a connection that breaks rejects readInto()", async () => {
  const { carrier, reader, writer } = memoryStreams();
  const read = reader.readInto(new Uint8Array(LONG));
  const broken = new Deno.errors.ConnectionReset("gone");
  carrier.failReads(broken);
  assertStrictEquals(await assertRejects(() => read), broken);
  await writer.waitClosed().catch(() => {});
});

Deno.test("an exception that is set ends readInto() with the next bytes, or with the connection", async () => {
  for (const next of ["bytes", "end"]) {
    const { carrier, reader, writer } = memoryStreams();
    const read = reader.readInto(new Uint8Array(LONG));
    const exception = new Error("set");
    reader.setException(exception);
    assert(!await settled(read));
    if (next === "bytes") carrier.send("x");
    else writer.transport.abort();
    assertStrictEquals(await assertRejects(() => read), exception);
    writer.close();
    await writer.waitClosed();
  }
});

Deno.test("what is fed by hand while readInto() waits comes before what the connection stores", async () => {
  const { carrier, reader, writer } = memoryStreams();
  const target = new Uint8Array(LONG);
  const read = reader.readInto(target);
  reader.feedData(bytes("abc"));
  assert(!await settled(read));
  carrier.send("def");
  assertEquals(await read, 6);
  assertEquals(text(target.subarray(0, 6)), "abcdef");

  const last = reader.readInto(target);
  reader.feedEof();
  carrier.send("ghi");
  assertEquals([await last, text(target.subarray(0, 3))], [3, "ghi"]);
  assertEquals(await reader.readInto(target), 0);
  writer.close();
  await writer.waitClosed();
});

Deno.test("a protocol that takes over gets what was stored for readInto()", async () => {
  const { carrier, reader, transport } = memoryStreams();
  const read = reader.readInto(new Uint8Array(LONG));
  const got: string[] = [];
  const heir: Protocol = { dataReceived: (data) => void got.push(text(data)) };
  transport.setProtocol(heir);
  carrier.send("yours");
  assert(!await settled(read));
  assertEquals(got, ["yours"]);
  transport.abort();
});
