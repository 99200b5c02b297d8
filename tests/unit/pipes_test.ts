import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  FlowControlMixin,
  getEventLoop,
  Protocol,
  StreamReader,
  StreamReaderProtocol,
  StreamWriter,
  type WriteTransport,
} from "@asyncio/streams";
import { bytes, pattern, settled, text, turns } from "../support.ts";

const loop = getEventLoop();

/** Logs what a transport calls. */
class Log extends Protocol {
  readonly log: string[] = [];
  readonly lost = Promise.withResolvers<Error | null>();
  override connectionMade() {
    this.log.push("made");
  }
  override dataReceived(data: Uint8Array) {
    this.log.push(text(data));
  }
  override eofReceived() {
    this.log.push("eof");
  }
  override connectionLost(error: Error | null) {
    this.log.push("lost");
    this.lost.resolve(error);
  }
}

Deno.test("connectReadPipe() pushes a stream's bytes, then its end", async () => {
  const stream = ReadableStream.from([bytes("one"), bytes(""), bytes("two")]);
  const [transport, protocol] = await loop.connectReadPipe(() => new Log(), stream);
  assertEquals(transport.getExtraInfo("pipe"), stream);
  assertEquals(transport.getExtraInfo("peername"), null);
  assertEquals(await protocol.lost.promise, null);
  assertEquals(protocol.log, ["made", "one", "two", "eof", "lost"]);
  assert(transport.isClosing());
});

Deno.test("a read pipe whose stream never waits lets others run, and stops when paused", async () => {
  let pulled = 0;
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      pulled++;
      controller.enqueue(new Uint8Array(1));
    },
  }, { highWaterMark: 0 });
  const [transport, protocol] = await loop.connectReadPipe(() => new Log(), stream);
  await turns();
  transport.pauseReading();
  await turns();
  const before = pulled;
  await turns();
  assertEquals(pulled, before);
  transport.resumeReading();
  await turns();
  assert(pulled > before);
  transport.close();
  await protocol.lost.promise;
});

Deno.test("closing a read pipe cancels its stream", async () => {
  const cancelled = Promise.withResolvers<void>();
  const stream = new ReadableStream<Uint8Array>({ cancel: () => cancelled.resolve() });
  const [transport, protocol] = await loop.connectReadPipe(() => new Log(), stream);
  transport.close();
  await cancelled.promise;
  assertEquals(await protocol.lost.promise, null);
  assertEquals(protocol.log, ["made", "lost"]);
});

Deno.test("a read pipe whose cancel() never ends is closed all the same", async () => {
  const stream = new ReadableStream<Uint8Array>({ cancel: () => new Promise(() => {}) });
  const [transport, protocol] = await loop.connectReadPipe(() => new Log(), stream);
  transport.close();
  assertEquals(await protocol.lost.promise, null);
});

Deno.test("a read pipe's error, or what is no bytes, is told to connectionLost()", async () => {
  const failing = new ReadableStream<Uint8Array>({ pull: () => Promise.reject(new Error("bad")) });
  const [, protocol] = await loop.connectReadPipe(() => new Log(), failing);
  assertEquals((await protocol.lost.promise)?.message, "bad");
  const words = ReadableStream.from(["text"]) as unknown as ReadableStream<Uint8Array>;
  const [, second] = await loop.connectReadPipe(() => new Log(), words);
  const error = await second.lost.promise;
  assert(error instanceof TypeError && error.message.includes("Uint8Array"));
});

Deno.test("a read pipe's stream that fails with nothing has failed all the same", async () => {
  for (const reason of [null, undefined]) {
    const reader = new StreamReader();
    const stream = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(bytes("cut")),
      pull: (controller) => controller.error(reason),
    });
    await loop.connectReadPipe(() => new StreamReaderProtocol(reader, null, loop), stream);
    await assertRejects(() => reader.read(), Deno.errors.BrokenPipe, "failed");
  }
});

Deno.test("a StreamReader reads a pipe", async () => {
  const reader = new StreamReader();
  const stream = ReadableStream.from([bytes("one\ntw"), bytes("o\n")]);
  await loop.connectReadPipe(() => new StreamReaderProtocol(reader, null, loop), stream);
  assertEquals(text(await reader.readLine()), "one\n");
  assertEquals(text(await reader.readLine()), "two\n");
  assertEquals(reader.atEof() || (await reader.read()).length === 0, true);
});

Deno.test("connectWritePipe() writes in order, and closes behind the last byte", async () => {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const [transport, protocol] = await loop.connectWritePipe(() => new Log(), writable);
  assertEquals(transport.getExtraInfo("pipe"), writable);
  const data = pattern(300_000);
  transport.write(data.subarray(0, 7));
  transport.write(data.subarray(7));
  transport.close();
  assertEquals(await new Response(readable).bytes(), data);
  assertEquals(await protocol.lost.promise, null);
});

Deno.test("what a write pipe's stream was given is its own: a later write never changes it", async () => {
  const kept: Uint8Array[] = [];
  const keep = new TransformStream<Uint8Array, Uint8Array>({
    transform: (data) => void kept.push(data),
  });
  const [transport, protocol] = await loop.connectWritePipe(() => new Log(), keep.writable);
  const reading = new Response(keep.readable).bytes();
  for (const word of ["one", "two", "three"]) {
    transport.write(word);
    await turns();
  }
  transport.close();
  await protocol.lost.promise;
  await reading;
  assertEquals(kept.map(text), ["one", "two", "three"]);
});

Deno.test("a StreamWriter over a pipe waits for who reads it", async () => {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const [transport, protocol] = await loop.connectWritePipe(
    () => new FlowControlMixin(),
    writable,
  );
  const writer = new StreamWriter(transport as never, protocol, null, loop);
  writer.write(new Uint8Array(100_000));
  writer.write(new Uint8Array(100_000));
  const drained = writer.drain();
  assertEquals(await settled(drained), false);
  const received = new Response(readable).bytes();
  await drained;
  writer.close();
  assertEquals((await received).length, 200_000);
});

Deno.test("a write pipe whose reader has gone is lost, though nothing is written", async () => {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const [, protocol] = await loop.connectWritePipe(() => new Log(), writable);
  await readable.cancel(new Deno.errors.BrokenPipe("reader gone"));
  assertEquals((await protocol.lost.promise)?.message, "reader gone");
});

Deno.test("writeEof() and abort() of a write pipe", async () => {
  const open = async (): Promise<[WriteTransport, Log, Promise<string>]> => {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const ends = await loop.connectWritePipe(() => new Log(), writable);
    return [...ends, new Response(readable).text().catch(() => "aborted")];
  };
  const [transport, protocol, received] = await open();
  assertEquals(transport.canWriteEof(), true);
  transport.write("all");
  transport.writeEof();
  assertEquals(await received, "all");
  assertEquals(await protocol.lost.promise, null);
  const [aborted, log, nothing] = await open();
  aborted.abort();
  assertEquals(await nothing, "aborted");
  assertEquals(await log.lost.promise, null);
});

Deno.test("connectReadPipe() and connectWritePipe() check their arguments at the call", async () => {
  const stream = new Blob(["x"]).stream();
  await assertRejects(
    () => loop.connectReadPipe(() => new Log(), {} as never),
    TypeError,
    "readable",
  );
  await assertRejects(
    () => loop.connectWritePipe(() => new Log(), stream as never),
    TypeError,
    "writable",
  );
  await assertRejects(() => loop.connectReadPipe(null as never, stream), TypeError, "protocol");
  const reader = stream.getReader();
  await assertRejects(() => loop.connectReadPipe(() => new Log(), stream), TypeError, "else");
  await reader.cancel();
});
