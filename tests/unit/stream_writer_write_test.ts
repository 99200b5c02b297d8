import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { FlowControlMixin } from "../../net/flow_control.ts";
import { Sender } from "../../net/sender.ts";
import { StreamWriter } from "../../net/stream_writer.ts";
import { nextTurn } from "../../net/turn.ts";
import { MemoryCarrier } from "../memory_carrier.ts";
import { bytes, memoryStreams, pattern, settled, text, turns } from "../support.ts";

Deno.test("write() leaves within its turn, on its own", async () => {
  const { carrier, writer } = memoryStreams();
  writer.write("lone");
  assertEquals(carrier.writes.length, 0);
  await nextTurn();
  assertEquals(carrier.receivedText, "lone");
});

Deno.test("write() leaves at once when the reader has to wait", () => {
  const { carrier, reader, writer } = memoryStreams();
  writer.write("request");
  reader.readLine();
  assertEquals(carrier.receivedText, "request");
});

Deno.test("write() above the high-water mark leaves at once", () => {
  const { carrier, writer } = memoryStreams();
  writer.write(new Uint8Array(65_536));
  assertEquals(carrier.received.length, 0);
  writer.write("x");
  assertEquals(carrier.received.length, 65_537);
});

Deno.test("write() that failed is not tried again", async () => {
  const { carrier, writer } = memoryStreams();
  let writes = 0;
  carrier.write = () => (writes++, Promise.reject(new Deno.errors.BrokenPipe("gone")));
  writer.write("x");
  await assertRejects(() => writer.waitClosed(), Deno.errors.BrokenPipe);
  assertEquals(writes, 1);
});

Deno.test("a Sender that is held sends what was written before, and not a byte more", async () => {
  for (const underWay of [true, false]) {
    const carrier = new MemoryCarrier();
    const [writingPaused, sentAll, sendFailed] = [() => {}, () => {}, () => {}];
    const sender = new Sender({ carrier, writingPaused, sentAll, sendFailed });
    carrier.credit = 0;
    sender.write("in the ");
    if (underWay) sender.flush();
    sender.write("clear");
    const sent = sender.hold();
    sender.write("secret");
    carrier.allow(5);
    assert(!await settled(sent));
    carrier.allow();
    await sent;
    await turns();
    assertEquals([carrier.receivedText, sender.length], ["in the clear", 6]);
    sender.release();
    assertEquals(carrier.receivedText, "in the clearsecret");
    await turns();
    await sender.hold(); // Nothing is left to send.
  }
});

Deno.test("many writes in one turn become one call to the carrier", async () => {
  const { carrier, writer } = memoryStreams();
  for (let i = 0; i < 500; i++) writer.write("0123456789");
  await turns();
  assertEquals(carrier.writes.map((write) => write.length), [5_000]);
});

Deno.test("write() copies: the caller may use its array again at once", async () => {
  const { carrier, writer } = memoryStreams();
  const data = bytes("mine");
  writer.write(data);
  data.fill(0);
  writer.writeLines([data.fill(65), "é€😀"]);
  data.fill(0);
  await turns();
  assertEquals(carrier.receivedText, "mineAAAAé€😀");
});

Deno.test("write() survives a peer that takes a few bytes at a time", async () => {
  const { carrier, writer } = memoryStreams();
  carrier.maxWrite = 7;
  const data = pattern(10_000);
  writer.write(data);
  writer.close();
  await writer.waitClosed();
  assertEquals(carrier.received, data);
});

Deno.test("write() and writeLines() refuse what is neither bytes nor text, before anything is sent", async () => {
  const { carrier, writer } = memoryStreams();
  for (const wrong of [5, null, undefined, {}, [1], new ArrayBuffer(1)]) {
    assertThrows(() => writer.write(wrong as string), TypeError, "Uint8Array or a string");
  }
  assertThrows(() => writer.writeLines(["sent?", 5 as unknown as string]), TypeError, "not 5");
  assertThrows(() => writer.writeLines(5 as unknown as string[]), TypeError);
  await turns();
  assertEquals(carrier.received.length, 0);
});

Deno.test("write() throws after close() and after writeEof()", async () => {
  const { writer } = memoryStreams();
  writer.close();
  assertThrows(() => writer.write("late"), Error, "after close()");
  assertThrows(() => writer.writeLines(["late"]), Error, "after close()");
  await writer.waitClosed();
  assertThrows(() => writer.write("late"), Error, "after close()");
  const half = memoryStreams();
  half.writer.writeEof();
  assertThrows(() => half.writer.write("late"), Error, "after writeEof()");
});

Deno.test("write() drops what is written after the connection was lost, and drain() says why", async () => {
  const { carrier, reader, writer } = memoryStreams();
  const error = new Deno.errors.ConnectionReset("reset");
  carrier.failReads(error);
  await assertRejects(() => reader.read(1), Deno.errors.ConnectionReset);
  writer.write("dropped");
  assertEquals(writer.transport.getWriteBufferSize(), 0);
  assertStrictEquals(await assertRejects(() => writer.drain()), error);
  assertStrictEquals(await assertRejects(() => writer.waitClosed()), error);
});

Deno.test("drain() returns at once up to the high-water mark, and waits for the low one", async () => {
  const { carrier, writer } = memoryStreams();
  assertEquals(writer.transport.getWriteBufferLimits(), { low: 16_384, high: 65_536 });
  carrier.credit = 0;
  writer.write(new Uint8Array(65_536));
  await writer.drain();
  writer.write("x");
  const [one, two] = [writer.drain(), writer.drain()];
  assert(!await settled(one));
  carrier.allow(65_537 - 16_385);
  assert(!await settled(one));
  carrier.allow(1);
  await one;
  await two;
  assertEquals(writer.transport.getWriteBufferSize(), 16_384);
});

Deno.test("drain() ends by its signal, and can be called again", async () => {
  const { carrier, writer } = memoryStreams();
  carrier.credit = 0;
  writer.write(new Uint8Array(100_000));
  const controller = new AbortController();
  const draining = writer.drain({ signal: controller.signal });
  const reason = new Error("enough");
  controller.abort(reason);
  assertStrictEquals(await assertRejects(() => draining), reason);
  const again = writer.drain();
  carrier.allow();
  await again;
});

Deno.test("drain() and waitClosed() with an aborted signal reject, whatever the connection's state", async () => {
  const reason = new Error("enough");
  const signal = AbortSignal.abort(reason);
  const { writer, protocol } = memoryStreams();
  const both = [() => writer.drain({ signal }), () => writer.waitClosed({ signal })];
  for (const wait of both) assertStrictEquals(await assertRejects(wait), reason);
  writer.close();
  await writer.waitClosed();
  for (const wait of both) assertStrictEquals(await assertRejects(wait), reason);
  protocol.connectionLost(null);
});

Deno.test("FlowControlMixin.connectionLost() counts once", async () => {
  const { transport } = memoryStreams();
  const protocol = new FlowControlMixin();
  const writer = new StreamWriter(transport, protocol);
  protocol.connectionLost(null);
  protocol.connectionLost(new Error("too late"));
  await writer.waitClosed();
  transport.abort();
});

Deno.test("drain() that waits rejects when the connection is lost", async () => {
  for (const how of ["write", "read", "abort"]) {
    const { carrier, writer, reader } = memoryStreams();
    carrier.credit = 0;
    writer.write(new Uint8Array(100_000));
    const draining = writer.drain();
    const error = new Deno.errors.ConnectionReset("reset");
    if (how === "write") carrier.failWrites(error);
    else if (how === "abort") writer.transport.abort();
    else {
      carrier.failReads(error);
      await assertRejects(() => reader.read(1));
    }
    await assertRejects(() => draining, Deno.errors.ConnectionReset);
    await assertRejects(() => writer.drain(), Deno.errors.ConnectionReset);
  }
});

Deno.test("drain() rejects in a loop that only writes and drains", async () => {
  const { carrier, writer } = memoryStreams();
  carrier.failWrites(new Deno.errors.BrokenPipe("gone"));
  await assertRejects(async () => {
    for (;;) {
      writer.write("x");
      await writer.drain();
    }
  }, Deno.errors.BrokenPipe);
});

Deno.test("drain() rejects with the reader's exception", async () => {
  const { reader, writer } = memoryStreams();
  const error = new Error("from outside");
  reader.setException(error);
  assertStrictEquals(await assertRejects(() => writer.drain()), error);
});

Deno.test("drain() and waitClosed() that nobody holds end no process", async () => {
  const { carrier, reader, writer } = memoryStreams();
  carrier.credit = 0;
  writer.write(new Uint8Array(100_000));
  writer.drain();
  writer.waitClosed();
  carrier.failWrites(new Deno.errors.ConnectionReset("reset"));
  await turns(5);
  writer.drain();
  writer.waitClosed();
  const closing = memoryStreams();
  closing.carrier.end();
  closing.writer.close();
  closing.writer.drain();
  reader.setException(new Error("from outside"));
  writer.drain();
  await turns(5);
});

Deno.test("a writer that is never read from lets timers have their turn", async () => {
  const { writer } = memoryStreams();
  let fired = false;
  const timer = Promise.withResolvers<void>();
  setTimeout(() => {
    fired = true;
    timer.resolve();
  });
  let rounds = 0;
  for (; !fired; rounds++) {
    writer.write("x");
    await writer.drain();
    assert(rounds < 10_000_000, "no timer ever fired");
  }
  await timer.promise;
});

Deno.test("setWriteBufferLimits() fills in what is left out, as asyncio does", () => {
  const { transport } = memoryStreams();
  const limits = (...args: Parameters<typeof transport.setWriteBufferLimits>) => {
    transport.setWriteBufferLimits(...args);
    return transport.getWriteBufferLimits();
  };
  assertEquals(limits({ high: 100 }), { high: 100, low: 25 });
  assertEquals(limits({ low: 100 }), { high: 400, low: 100 });
  assertEquals(limits({ high: 10, low: 5 }), { high: 10, low: 5 });
  assertEquals(limits({ high: 0 }), { high: 0, low: 0 });
  assertEquals(limits(), { high: 65_536, low: 16_384 });
});

Deno.test("setWriteBufferLimits() refuses what makes no sense", () => {
  const { transport } = memoryStreams();
  for (const wrong of [{ high: 1, low: 2 }, { low: -1 }, { high: -1 }, { high: NaN }]) {
    assertThrows(() => transport.setWriteBufferLimits(wrong), RangeError, "must be >=");
  }
  const wrong = { high: "1" as unknown as number };
  assertThrows(() => transport.setWriteBufferLimits(wrong), TypeError);
  assertEquals(transport.getWriteBufferLimits(), { high: 65_536, low: 16_384 });
});

Deno.test("setWriteBufferLimits() counts for what is buffered already", async () => {
  const { carrier, writer, transport } = memoryStreams();
  carrier.credit = 0;
  writer.write(new Uint8Array(1_000));
  await writer.drain();
  transport.setWriteBufferLimits({ high: 0 });
  const draining = writer.drain();
  assert(!await settled(draining));
  carrier.allow();
  await draining;
  assertEquals(carrier.received.length, 1_000);
});

Deno.test("getExtraInfo() knows the addresses, the carrier and what the carrier knows", () => {
  const { carrier, writer } = memoryStreams();
  assertStrictEquals(writer.getExtraInfo("peername"), carrier.remoteAddr);
  assertStrictEquals(writer.getExtraInfo("sockname"), carrier.localAddr);
  assertStrictEquals(writer.getExtraInfo("socket"), carrier);
  assertStrictEquals(writer.getExtraInfo("cipher"), null);
  assertStrictEquals(writer.getExtraInfo("cipher", "none"), "none");
  assertStrictEquals(writer.getExtraInfo("made up"), null);
  assertStrictEquals(writer.getExtraInfo("made up", 5), 5);
});

Deno.test("writable writes, waits for the peer, and closes the connection", async () => {
  const { carrier, writer } = memoryStreams();
  assert(writer.writable === writer.writable);
  await ReadableStream.from(["web ", bytes("streams")]).pipeTo(writer.writable);
  assertEquals(carrier.receivedText, "web streams");
  assert(carrier.closed);

  const slow = memoryStreams();
  slow.carrier.credit = 0;
  const sink = slow.writer.writable.getWriter();
  const written = sink.write(new Uint8Array(100_000));
  assert(!await settled(written));
  slow.carrier.allow();
  await written;
  sink.write("left");
  await sink.close();
  assertEquals(text(slow.carrier.received.subarray(100_000)), "left");
});

Deno.test("writable that is aborted aborts the connection", async () => {
  const { carrier, writer } = memoryStreams();
  carrier.credit = 0;
  writer.write("never sent");
  await writer.writable.abort("enough");
  assert(carrier.closed);
  await writer.waitClosed();
});
