import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { IncompleteReadError } from "../../net/errors.ts";
import { Protocol } from "../../net/protocols.ts";
import { StreamReader } from "../../net/stream_reader.ts";
import { StreamReaderProtocol } from "../../net/stream_reader_protocol.ts";
import type { ReadTransport, Transport } from "../../net/transports.ts";
import { bytes, memoryProtocol, memoryStreams, settled, text, turns } from "../support.ts";

/** A transport of somebody else's that pushes: it notes when it is paused and resumed. */
class ForeignTransport implements ReadTransport {
  readonly calls: string[] = [];
  pauseReading = () => void this.calls.push("pause");
  resumeReading = () => void this.calls.push("resume");
  isReading = () => true;
  isClosing = () => false;
  close = () => {};
  getExtraInfo = (_name: string, defaultValue: unknown = null) => defaultValue as null;
  getProtocol = () => ({});
  setProtocol = () => {};
}

Deno.test("feedData() copies, and refuses what is no bytes and what comes after EOF", async () => {
  const reader = new StreamReader();
  const data = bytes("mine");
  reader.feedData(data);
  data.fill(0);
  assertThrows(() => reader.feedData("text" as unknown as Uint8Array), TypeError);
  reader.feedEof();
  assertThrows(() => reader.feedData(data), Error, "after feedEof");
  assertEquals(text(await reader.read()), "mine");
});

Deno.test("a foreign transport is paused above twice the limit and resumed at the limit", async () => {
  const reader = new StreamReader({ limit: 10 });
  const transport = new ForeignTransport();
  reader.setTransport(transport);
  reader.feedData(new Uint8Array(20));
  assertEquals(transport.calls, []);
  reader.feedData(new Uint8Array(1));
  reader.feedData(new Uint8Array(5));
  assertEquals(transport.calls, ["pause"]);
  await reader.readExactly(15);
  assertEquals(transport.calls, ["pause"]);
  await reader.readExactly(1);
  assertEquals(transport.calls, ["pause", "resume"]);
});

Deno.test("a foreign transport is resumed by readInto(), too", async () => {
  const reader = new StreamReader({ limit: 10 });
  const transport = new ForeignTransport();
  reader.setTransport(transport);
  reader.feedData(new Uint8Array(30));
  await reader.readInto(new Uint8Array(20));
  await turns();
  assertEquals(transport.calls, ["pause", "resume"]);
});

Deno.test("a foreign transport that tells the end as it is resumed loses no byte", async () => {
  for (const end of ["eofReceived", "connectionLost"] as const) {
    const reader = new StreamReader({ limit: 8 });
    const protocol = new StreamReaderProtocol(reader);
    const transport = new ForeignTransport();
    transport.resumeReading = () => void protocol[end](null);
    protocol.connectionMade(transport as unknown as Transport);
    const first = reader.readExactly(12);
    protocol.dataReceived(bytes("0123456789ab" + "cdefg"));
    assertEquals(text(await first), "0123456789ab");
    assertEquals(text(await reader.read()), "cdefg");
  }
});

Deno.test("a foreign transport is resumed by a read that needs more than is buffered", async () => {
  const reader = new StreamReader({ limit: 10 });
  const transport = new ForeignTransport();
  reader.setTransport(transport);
  reader.feedData(new Uint8Array(30));
  const read = reader.readExactly(40);
  assertEquals(transport.calls, ["pause", "resume"]);
  reader.feedData(new Uint8Array(10));
  assertEquals((await read).length, 40);
});

Deno.test("a foreign transport that is paused while a read waits is resumed for it", async () => {
  const reader = new StreamReader({ limit: 10 });
  const transport = new ForeignTransport();
  reader.setTransport(transport);
  const read = reader.readExactly(40);
  reader.feedData(new Uint8Array(30));
  assertEquals(transport.calls, ["pause"]);
  assert(!await settled(read));
  assertEquals(transport.calls, ["pause", "resume"]);
  reader.feedData(new Uint8Array(10));
  assertEquals((await read).length, 40);
});

Deno.test("a foreign transport is resumed when an overlong line is dropped", async () => {
  const reader = new StreamReader({ limit: 10 });
  const transport = new ForeignTransport();
  reader.setTransport(transport);
  reader.feedData(new Uint8Array(30));
  await assertRejects(() => reader.readLine(), RangeError);
  assertEquals(transport.calls, ["pause", "resume"]);
});

Deno.test("setTransport() refuses a second transport", () => {
  const reader = new StreamReader();
  reader.setTransport(new ForeignTransport());
  assertThrows(() => reader.setTransport(new ForeignTransport()), Error, "already");
  const { reader: own, transport } = memoryStreams();
  assertThrows(() => own.setTransport(transport), Error, "already");
});

Deno.test("setTransport() leaves feeding to the transport's protocol", async () => {
  class Upper extends Protocol {
    readonly reader = new StreamReader({ limit: 4 });
    override connectionMade(transport: Transport): void {
      this.reader.setTransport(transport);
    }
    override dataReceived(data: Uint8Array): void {
      this.reader.feedData(bytes(text(data).toUpperCase()));
    }
  }
  const protocol = new Upper();
  const { carrier, transport } = memoryProtocol(protocol);
  carrier.send("a line\n");
  assertEquals(text(await protocol.reader.readExactly(7)), "A LINE\n");
  carrier.send("more than twice the limit");
  await turns();
  assert(!transport.isReading());
  assertEquals((await protocol.reader.readExactly(25)).length, 25);
  await turns();
  assert(transport.isReading());
  transport.abort();
});

Deno.test("what a subclass overrides of StreamReaderProtocol or StreamReader is called", async () => {
  const log: string[] = [];
  class Tap extends StreamReaderProtocol {
    override dataReceived(data: Uint8Array): void {
      log.push("dataReceived");
      super.dataReceived(data);
    }
  }
  class End extends StreamReaderProtocol {
    override eofReceived(): boolean {
      const keepOpen = super.eofReceived();
      log.push(`eofReceived, at EOF: ${ended.atEof()}`);
      return keepOpen;
    }
  }
  class Fed extends StreamReader {
    override feedData(data: Uint8Array): void {
      log.push("feedData");
      super.feedData(data);
    }
  }
  const [tapped, ended, fed] = [new StreamReader(), new StreamReader(), new Fed()];
  const protocols = [new Tap(tapped), new End(ended), new StreamReaderProtocol(fed)];
  for (const [i, reader] of [tapped, ended, fed].entries()) {
    const { carrier, transport } = memoryProtocol(protocols[i]!);
    if (reader !== ended) carrier.send("x");
    carrier.end();
    assertEquals(text(await reader.read()), reader === ended ? "" : "x");
    transport.abort();
  }
  assertEquals(log, ["dataReceived", "eofReceived, at EOF: true", "feedData"]);
});

Deno.test("a subclass of StreamReader is told the end, whatever it is", async () => {
  const reset = new Deno.errors.ConnectionReset("reset");
  for (const how of ["eof", "abort", "reset"] as const) {
    const log: unknown[] = [];
    class Decoder extends StreamReader {
      override feedEof(): void {
        log.push("feedEof");
        super.feedEof();
      }
      override setException(exception: Error): void {
        log.push(exception);
        super.setException(exception);
      }
    }
    const { carrier, transport } = memoryProtocol(new StreamReaderProtocol(new Decoder()));
    if (how === "eof") carrier.end();
    else if (how === "reset") carrier.failReads(reset);
    else transport.abort();
    await turns(3);
    transport.abort();
    assertEquals(log[0], how === "reset" ? reset : "feedEof");
  }
});

Deno.test("a reader whose protocol gave way and came back is fed, and holds its transport back", async () => {
  const { carrier, reader, transport, protocol } = memoryStreams({ limit: 8 });
  carrier.send("one");
  assertEquals(text(await reader.readExactly(3)), "one");
  transport.setProtocol(new Protocol());
  transport.setProtocol(protocol);
  carrier.send("and then far more than that");
  await turns();
  assert(!transport.isReading());
  assertThrows(() => reader.setTransport(transport), Error, "already");
  carrier.end();
  assertEquals(text(await reader.read()), "and then far more than that");
  transport.abort();
});

Deno.test("a result that is empty may be transferred, and harms no other reader", async () => {
  const empty = new StreamReader();
  empty.feedEof();
  const { partial } = await assertRejects(() => empty.readExactly(1), IncompleteReadError);
  const results = [
    partial,
    await empty.readLine(),
    await empty.read(),
    await empty.read(5),
    await empty.read(0),
  ];
  for (const { buffer } of results) structuredClone(null, { transfer: [buffer as ArrayBuffer] });
  const other = new StreamReader();
  other.feedEof();
  assertEquals((await other.readLine()).slice(), new Uint8Array(0));
  assertEquals((await other.read(5)).slice(), new Uint8Array(0));
  assertEquals((await other.read(0)).slice(), new Uint8Array(0));
});

Deno.test("StreamReaderProtocol feeds its reader, and ends it with the connection", async () => {
  const reader = new StreamReader();
  const protocol = new StreamReaderProtocol(reader);
  protocol.dataReceived(bytes("line\nhalf"));
  assertEquals(text(await reader.readLine()), "line\n");
  assertEquals(protocol.eofReceived(), false);
  assertEquals(text(await reader.readLine()), "half");

  const lost = new StreamReader();
  const waiting = lost.readLine();
  new StreamReaderProtocol(lost).connectionLost(new Deno.errors.ConnectionReset("reset"));
  await assertRejects(() => waiting, Deno.errors.ConnectionReset, "reset");
  const closed = new StreamReader();
  new StreamReaderProtocol(closed).connectionLost(null);
  assert(closed.atEof());
});

Deno.test("StreamReaderProtocol without a loop leaves its callback's error to the runtime", async () => {
  const error = new Error("broken handler");
  const uncaught = Promise.withResolvers<unknown>();
  const listener = (event: ErrorEvent) => {
    event.preventDefault();
    uncaught.resolve(event.error);
  };
  addEventListener("error", listener);
  const protocol = new StreamReaderProtocol(new StreamReader(), () => Promise.reject(error));
  const { carrier } = memoryProtocol(protocol);
  carrier.end();
  assert(await uncaught.promise === error);
  removeEventListener("error", listener);
  await settled(Promise.resolve());
  assert(carrier.closed);
});

Deno.test("[Symbol.asyncIterator]() gives the lines, the last one without a newline", async () => {
  const { carrier, reader } = memoryStreams();
  carrier.send("one\ntw");
  carrier.send("o\n\nthree");
  carrier.end();
  const lines: string[] = [];
  for await (const line of reader) lines.push(text(line));
  assertEquals(lines, ["one\n", "two\n", "\n", "three"]);
});

Deno.test("[Symbol.asyncIterator]() can be left and gone on with", async () => {
  const reader = new StreamReader();
  reader.feedData(bytes("one\ntwo\nthree\n"));
  for await (const line of reader) {
    assertEquals(text(line), "one\n");
    break;
  }
  assertEquals(text(await reader.readLine()), "two\n");
  const iterator = reader[Symbol.asyncIterator]();
  assert(iterator[Symbol.asyncIterator]() === iterator);
});

Deno.test("readable gives the bytes up to EOF", async () => {
  const { carrier, reader } = memoryStreams();
  assert(reader.readable === reader.readable);
  carrier.send("web ");
  carrier.send("streams");
  carrier.end();
  assertEquals(await new Response(reader.readable).text(), "web streams");
});

Deno.test("readable reads nothing before it is asked to", async () => {
  const { carrier, reader } = memoryStreams();
  carrier.send("x");
  void reader.readable;
  await settled(Promise.resolve());
  assertEquals(carrier.reads, 0);
  assertEquals(text(await reader.read(1)), "x");
});

Deno.test("readable that is cancelled ends its wait and loses no byte", async () => {
  const { carrier, reader } = memoryStreams();
  const stream = reader.readable.getReader();
  carrier.send("first");
  assertEquals(text((await stream.read()).value!), "first");
  const waiting = stream.read();
  assert(!await settled(waiting));
  await stream.cancel("enough");
  assertEquals((await waiting).done, true);
  const next = reader.readLine();
  carrier.send("second\n");
  assertEquals(text(await next), "second\n");
});

Deno.test("readable fails with what ended the connection", async () => {
  const { carrier, reader } = memoryStreams();
  carrier.failReads(new Deno.errors.ConnectionReset("reset"));
  await assertRejects(
    () => new Response(reader.readable).arrayBuffer(),
    Deno.errors.ConnectionReset,
    "reset",
  );
});
