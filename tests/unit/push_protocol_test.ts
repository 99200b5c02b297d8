import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { BufferedProtocol, Protocol } from "../../net/protocols.ts";
import { StreamReader } from "../../net/stream_reader.ts";
import { StreamReaderProtocol } from "../../net/stream_reader_protocol.ts";
import { StreamTransport } from "../../net/stream_transport.ts";
import type { Transport } from "../../net/transports.ts";
import { MemoryCarrier } from "../memory_carrier.ts";
import { memoryProtocol, memoryStreams, pattern, Sink, text, turns } from "../support.ts";

/** A protocol that notes every call. */
class Recorder extends Protocol {
  readonly calls: string[] = [];
  transport!: Transport;
  keepOpen = false;
  error: Error | null | undefined;

  override connectionMade(transport: Transport): void {
    this.transport = transport;
    this.calls.push("made");
  }
  override dataReceived(data: Uint8Array): void {
    this.calls.push(`data ${text(data)}`);
  }
  override eofReceived(): boolean {
    this.calls.push("eof");
    return this.keepOpen;
  }
  override connectionLost(error: Error | null): void {
    this.error = error;
    this.calls.push("lost");
  }
  override pauseWriting(): void {
    this.calls.push("pause");
  }
  override resumeWriting(): void {
    this.calls.push("resume");
  }
}

const error = new Error("broken protocol");

Deno.test("a protocol is called in asyncio's order", async () => {
  const protocol = new Recorder();
  const { carrier, transport } = memoryProtocol(protocol);
  assertStrictEquals(protocol.transport, transport);
  assertStrictEquals(transport.getProtocol(), protocol);
  carrier.send("one");
  await turns();
  carrier.send("two");
  carrier.end();
  await turns(4);
  assertEquals(protocol.calls, ["made", "data one", "data two", "eof", "lost"]);
  assertStrictEquals(protocol.error, null);
  assert(carrier.closed);
});

Deno.test("eofReceived() that returns true keeps the connection open for writing", async () => {
  const protocol = new Recorder();
  protocol.keepOpen = true;
  const { carrier, transport } = memoryProtocol(protocol);
  carrier.end();
  await turns(3);
  assert(!transport.isClosing());
  transport.write("answer");
  transport.close();
  await turns(3);
  assertEquals(carrier.receivedText, "answer");
  assertEquals(protocol.calls, ["made", "eof", "lost"]);
});

Deno.test("eofReceived() that returns true keeps nothing open where there is no half-close", async () => {
  const protocol = new Recorder();
  protocol.keepOpen = true;
  const { carrier } = memoryProtocol(protocol, new MemoryCarrier({ canCloseWrite: false }));
  carrier.end();
  await turns(4);
  assertEquals(protocol.calls, ["made", "eof", "lost"]);
  assert(carrier.closed);
});

Deno.test("connectionLost() is told why a read or a write failed", async () => {
  for (const how of ["failReads", "failWrites"] as const) {
    const protocol = new Recorder();
    const { carrier, transport } = memoryProtocol(protocol);
    const error = new Deno.errors.ConnectionReset("reset");
    carrier[how](error);
    transport.write("x");
    await turns(3);
    assertStrictEquals(protocol.error, error);
  }
});

Deno.test("connectionLost() is told of a foreign carrier's read() that throws", async () => {
  const protocol = new Recorder();
  const carrier = new MemoryCarrier();
  carrier.read = () => {
    throw error;
  };
  memoryProtocol(protocol, carrier);
  await turns();
  assertStrictEquals(protocol.error, error);
  assert(carrier.closed);
});

Deno.test("pauseReading() holds data and EOF back until resumeReading()", async () => {
  const protocol = new Recorder();
  const { carrier, transport } = memoryProtocol(protocol);
  await turns();
  transport.pauseReading();
  transport.pauseReading();
  assert(!transport.isReading());
  carrier.send("held");
  await turns();
  assert(!carrier.reading, "nothing is read while paused");
  assertEquals(protocol.calls, ["made"]);
  transport.resumeReading();
  transport.resumeReading();
  assertEquals(protocol.calls, ["made", "data held"]);
  transport.pauseReading();
  carrier.end();
  await turns();
  assertEquals(protocol.calls, ["made", "data held"]);
  transport.resumeReading();
  await turns(3);
  assertEquals(protocol.calls, ["made", "data held", "eof", "lost"]);
});

Deno.test("pauseReading() stops a stream, too, until resumeReading()", async () => {
  const { carrier, reader, transport } = memoryStreams();
  transport.pauseReading();
  const line = reader.readLine();
  carrier.send("line\n");
  await turns();
  assertEquals(carrier.reads, 0);
  transport.resumeReading();
  assertEquals(text(await line), "line\n");
});

Deno.test("pauseWriting() is called above the high mark, resumeWriting() at the low one, in turn", async () => {
  const protocol = new Recorder();
  const { carrier, transport } = memoryProtocol(protocol);
  transport.setWriteBufferLimits({ high: 10, low: 4 });
  carrier.credit = 0;
  transport.write("0123456789");
  assertEquals(protocol.calls, ["made"]);
  transport.write("0");
  transport.write("1");
  assertEquals(protocol.calls, ["made", "pause"]);
  carrier.allow(7);
  await turns();
  assertEquals(protocol.calls, ["made", "pause"]);
  carrier.allow(1);
  await turns();
  assertEquals(protocol.calls, ["made", "pause", "resume"]);
  assertEquals(transport.getWriteBufferSize(), 4);
});

const throwing = () => {
  throw error;
};

Deno.test("writeEof() and close() in resumeWriting() half-close once, behind the last byte", async () => {
  for (const close of [false, true]) {
    const protocol = new Recorder();
    protocol.resumeWriting = () => {
      transport.writeEof();
      if (close) transport.close();
    };
    const { carrier, transport } = memoryProtocol(protocol);
    carrier.credit = 100_000;
    const data = pattern(200_000);
    transport.setWriteBufferLimits({ high: 1, low: 0 });
    transport.write(data);
    await turns();
    carrier.allow();
    await turns(4);
    assertEquals(carrier.received, data);
    assert(carrier.halfClosed);
    assertEquals(protocol.error, undefined, "a second half-close would fail");
    carrier.end();
    await turns(4);
    assertStrictEquals(protocol.error, null);
  }
});

Deno.test("an error in a callback that receives is reported, and ends the connection", async () => {
  for (const name of ["dataReceived", "eofReceived"] as const) {
    const protocol = new Recorder();
    protocol[name] = throwing;
    const { carrier, sink } = memoryProtocol(protocol);
    if (name === "dataReceived") carrier.send("x");
    carrier.end();
    await turns(4);
    assertEquals(sink.contexts.map((context) => context.exception), [error]);
    assertEquals(sink.contexts[0]?.peername, carrier.remoteAddr);
    assertStrictEquals(protocol.error, error);
    assert(carrier.closed);
  }
});

Deno.test("an error in any other callback is reported, and the connection goes on", async () => {
  for (const name of ["connectionMade", "pauseWriting", "resumeWriting"] as const) {
    const protocol = new Recorder();
    protocol[name] = throwing;
    const { carrier, transport, sink } = memoryProtocol(protocol);
    transport.write(new Uint8Array(100_000));
    await turns(3);
    carrier.send("x");
    await turns();
    assertEquals(sink.contexts.map((context) => context.exception), [error]);
    assertEquals(protocol.calls.at(-1), "data x");
    assertEquals(carrier.received.length, 100_000);
    transport.abort();
  }
});

Deno.test("what an async method of a protocol rejects with is reported, and ends no process", async () => {
  const rejecting = () => Promise.reject(error) as never;
  for (const name of ["connectionMade", "dataReceived", "connectionLost"] as const) {
    const protocol = new Recorder();
    protocol[name] = rejecting;
    const { carrier, transport, sink } = memoryProtocol(protocol);
    carrier.send("x");
    await turns(3);
    assertEquals(transport.isClosing(), name === "dataReceived");
    transport.abort();
    await turns();
    assertEquals(sink.contexts.map((context) => context.exception), [error]);
  }
  const protocol = new Buffered();
  protocol.bufferUpdated = rejecting;
  const { carrier, sink } = memoryProtocol(protocol);
  carrier.send("x");
  await turns(3);
  assertEquals(sink.contexts[0]?.exception, error);
  assert(carrier.closed);
});

Deno.test("an error in connectionLost() is reported", async () => {
  const protocol = new Recorder();
  protocol.connectionLost = throwing;
  const { transport, sink } = memoryProtocol(protocol);
  transport.abort();
  await turns();
  assertEquals(sink.contexts.map((context) => context.exception), [error]);
});

Deno.test("setProtocol() in mid-stream: what comes next goes to the new protocol", async () => {
  const first = new Recorder();
  const second = new Recorder();
  first.dataReceived = (data) => {
    first.calls.push(`data ${text(data)}`);
    first.transport.setProtocol(second);
  };
  const { carrier, transport } = memoryProtocol(first);
  carrier.send("one");
  await turns();
  carrier.send("two");
  carrier.end();
  await turns(4);
  assertStrictEquals(transport.getProtocol(), second);
  assertEquals(first.calls, ["made", "data one"]);
  assertEquals(second.calls, ["data two", "eof", "lost"]);
});

Deno.test("setProtocol() takes a stream's connection over, with the read under way", async () => {
  const { carrier, reader, transport } = memoryStreams();
  carrier.send("HELLO\n");
  assertEquals(text(await reader.readLine()), "HELLO\n");
  reader.readLine().catch(() => {});
  assert(carrier.reading);
  const protocol = new Recorder();
  transport.setProtocol(protocol);
  transport.setProtocol(protocol);
  carrier.send("pushed");
  await turns();
  carrier.send("again");
  carrier.end();
  await turns(4);
  assertEquals(protocol.calls, ["data pushed", "data again", "eof", "lost"]);
});

Deno.test("setProtocol() takes over a read that ends in EOF or fails", async () => {
  for (const how of ["end", "failReads"] as const) {
    const { carrier, reader, transport } = memoryStreams();
    reader.readLine().catch(() => {});
    const protocol = new Recorder();
    transport.setProtocol(protocol);
    const error = new Deno.errors.ConnectionReset("reset");
    if (how === "end") carrier.end();
    else carrier.failReads(error);
    await turns(4);
    assertEquals(protocol.calls, how === "end" ? ["eof", "lost"] : ["lost"]);
    assertStrictEquals(protocol.error, how === "end" ? null : error);
  }
});

Deno.test("setProtocol() behind an end that a stream has read tells it no second time", async () => {
  const { carrier, reader, transport } = memoryStreams();
  carrier.end();
  assertEquals((await reader.read()).length, 0);
  const next = new Recorder();
  transport.setProtocol(next);
  transport.write("answer");
  await turns(3);
  assertEquals(next.calls, []);
  assertEquals(carrier.receivedText, "answer");
  transport.close();
  await turns(3);
  assertEquals(next.calls, ["lost"]);
});

Deno.test("setProtocol() between close() and the last byte starts no second read", async () => {
  const { carrier, reader, transport } = memoryStreams();
  const line = reader.readLine();
  carrier.credit = 0;
  transport.write("last words");
  await turns();
  assert(carrier.reading);
  transport.close();
  const next = new Recorder();
  transport.setProtocol(next);
  carrier.allow();
  carrier.end();
  await turns(4);
  assertEquals([carrier.receivedText, carrier.halfClosed, next.error], ["last words", true, null]);
  transport.abort();
  reader.feedEof();
  await line;
});

Deno.test("setProtocol() while the transport closes leaves no rejection behind", async () => {
  const { carrier, reader, transport } = memoryStreams();
  carrier.credit = 0;
  transport.write("x");
  reader.readLine().catch(() => {});
  transport.close();
  const protocol = new Recorder();
  transport.setProtocol(protocol);
  transport.abort();
  await turns(3);
  assertEquals(protocol.calls, ["lost"]);
});

Deno.test("a protocol can hand its connection over to streams", async () => {
  const protocol = new Recorder();
  const { carrier, transport } = memoryProtocol(protocol);
  carrier.send("PUSHED");
  await turns();
  const reader = new StreamReader();
  const streams = new StreamReaderProtocol(reader);
  transport.setProtocol(streams);
  streams.connectionMade(transport);
  const line = reader.readLine();
  carrier.send("a line\n");
  assertEquals(text(await line), "a line\n");
  const data = pattern(500_000);
  carrier.send(data);
  assertEquals(await reader.readExactly(data.length), data);
  const rest = reader.read();
  carrier.send("the rest");
  carrier.end();
  assertEquals(text(await rest), "the rest");
  assertEquals(protocol.calls, ["made", "data PUSHED"]);
  transport.abort();
});

Deno.test("getProtocol() throws before there is one", () => {
  const transport = new StreamTransport({ carrier: new MemoryCarrier(), loop: new Sink() });
  assertThrows(() => transport.getProtocol(), Error, "no protocol");
});

/** Receives into a buffer of its own. */
class Buffered extends BufferedProtocol {
  readonly buffer = new Uint8Array(4);
  received = "";
  lost: Error | null | undefined;
  override getBuffer(_sizeHint: number): Uint8Array {
    return this.buffer;
  }
  override bufferUpdated(n: number): void {
    this.received += text(this.buffer.subarray(0, n));
  }
  override connectionLost(error: Error | null): void {
    this.lost = error;
  }
}

Deno.test("a BufferedProtocol receives into its own buffer", async () => {
  const protocol = new Buffered();
  const { carrier, transport } = memoryProtocol(protocol);
  carrier.send("abcdefghij");
  await turns(3);
  assertEquals(protocol.received, "abcdefghij");
  await turns();
  transport.pauseReading();
  carrier.send("kl");
  await turns();
  assertEquals(protocol.received, "abcdefghij");
  transport.resumeReading();
  carrier.send("mnopqr");
  carrier.end();
  await turns(4);
  assertEquals(protocol.received, "abcdefghijklmnopqr");
  assertStrictEquals(protocol.lost, null);
});

Deno.test("a BufferedProtocol is asked for its buffer only when there is something to put into it", async () => {
  let asked = 0;
  class Counting extends Buffered {
    override getBuffer(): Uint8Array {
      asked++;
      return this.buffer;
    }
  }
  const protocol = new Counting();
  const { carrier, transport } = memoryProtocol(protocol);
  await turns();
  assertEquals(asked, 0);
  carrier.send("abcd");
  await turns();
  assertEquals([asked, protocol.received], [1, "abcd"]);
  transport.abort();
});

Deno.test("a BufferedProtocol that pauses, or gives way, in bufferUpdated() gets no more", async () => {
  const next = new Recorder();
  class Pausing extends Buffered {
    override bufferUpdated(n: number): void {
      super.bufferUpdated(n);
      transport.pauseReading();
      if (this.received.length === 8) transport.setProtocol(next);
    }
  }
  const protocol = new Pausing();
  const { carrier, transport } = memoryProtocol(protocol);
  carrier.send("abcdefghij");
  await turns();
  assertEquals(protocol.received, "abcd");
  transport.resumeReading();
  await turns();
  assertEquals([protocol.received, next.calls], ["abcdefgh", []]);
  transport.resumeReading();
  assertEquals(next.calls, ["data ij"]);
  transport.abort();
});

Deno.test("a BufferedProtocol that pauses and resumes at each byte is not called within itself", async () => {
  let depth = 0;
  class Bytewise extends Buffered {
    override readonly buffer = new Uint8Array(1);
    override bufferUpdated(n: number): void {
      assertEquals(depth++, 0);
      super.bufferUpdated(n);
      transport.pauseReading();
      transport.resumeReading();
      depth--;
    }
  }
  const protocol = new Bytewise();
  const { carrier, transport, sink } = memoryProtocol(protocol);
  const sent = "0123456789".repeat(3_000);
  carrier.send(sent);
  while (protocol.received.length < sent.length && sink.contexts.length === 0) await turns();
  assertEquals(protocol.received, sent);
  transport.abort();
});

Deno.test("a BufferedProtocol whose connection another protocol takes gives up the read under way", async () => {
  const protocol = new Buffered();
  const { carrier, transport } = memoryProtocol(protocol);
  const next = new Recorder();
  transport.setProtocol(next);
  carrier.send("late");
  await turns();
  assertEquals([protocol.received, next.calls], ["", ["data late"]]);
  transport.abort();
});

Deno.test("a BufferedProtocol takes over what was held for another one, in its own pieces", async () => {
  const first = new Recorder();
  const { carrier, transport } = memoryProtocol(first);
  transport.pauseReading();
  carrier.send("0123456789");
  await turns();
  const protocol = new Buffered();
  transport.setProtocol(protocol);
  transport.resumeReading();
  assertEquals(protocol.received, "0123456789");
  transport.abort();
});

Deno.test("a BufferedProtocol that gives no buffer, or an empty one, is reported", async () => {
  const wrong: [() => unknown, typeof RangeError | typeof TypeError][] = [
    [() => new Uint8Array(0), RangeError],
    [() => undefined, TypeError],
    [() => new ArrayBuffer(8), TypeError],
  ];
  for (const [getBuffer, kind] of wrong) {
    const protocol = new Buffered();
    protocol.getBuffer = getBuffer as () => Uint8Array;
    const { carrier, sink } = memoryProtocol(protocol);
    carrier.send("data");
    await turns();
    assert(sink.contexts[0]?.exception instanceof kind);
    assert(carrier.closed);
  }
  class Half extends BufferedProtocol {
    override bufferUpdated(): void {}
  }
  const { carrier, sink } = memoryProtocol(new Half());
  carrier.send("data");
  await turns();
  assert(sink.contexts[0]?.exception instanceof TypeError);
});
