import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  getEventLoop,
  openConnection,
  Protocol,
  type SendableFile,
  SendfileNotAvailableError,
  type Socket,
  socketPair,
  startServer,
  type StreamReader,
  type StreamWriter,
} from "@asyncio/streams";
import { pattern, turns } from "../support.ts";

const loop = getEventLoop();

/** A file that is there for one test. */
async function temporaryFile(data: Uint8Array): Promise<Deno.FsFile & AsyncDisposable> {
  const path = await Deno.makeTempFile();
  await Deno.writeFile(path, data);
  const file = await Deno.open(path, { read: true });
  return Object.assign(file, {
    async [Symbol.asyncDispose]() {
      file.close();
      await Deno.remove(path);
    },
  });
}

const position = (file: Deno.FsFile) => file.seek(0, Deno.SeekMode.Current);

/** Streams to a server that hands its own ends over. */
async function connected() {
  const accepted = Promise.withResolvers<[StreamReader, StreamWriter]>();
  const server = await startServer((...ends) => accepted.resolve(ends), "127.0.0.1", 0);
  const [reader, writer] = await openConnection(
    "127.0.0.1",
    (server.sockets[0]!.addr as Deno.NetAddr).port,
  );
  const [theirs, peer] = await accepted.promise;
  return {
    reader,
    writer,
    theirs,
    peer,
    async [Symbol.asyncDispose]() {
      writer.transport.abort();
      peer.transport.abort();
      await Promise.allSettled([writer.waitClosed(), peer.waitClosed()]);
      server.close();
      await server.waitClosed();
    },
  };
}

async function sha256(pieces: AsyncIterable<Uint8Array>): Promise<string> {
  const { createHash } = await import("node:crypto");
  const hash = createHash("sha256");
  for await (const piece of pieces) hash.update(piece);
  return hash.digest("hex");
}

Deno.test("sendfile() sends a part of a file, in order with what is written", async () => {
  await using file = await temporaryFile(pattern(1000));
  await using ends = await connected();
  ends.writer.write("before ");
  const sent = await loop.sendfile(ends.writer.transport, file, { offset: 10, count: 20 });
  ends.writer.write(" after");
  ends.writer.writeEof();
  assertEquals(sent, 20);
  assertEquals(await position(file), 30);
  const received = await ends.theirs.read();
  assertEquals(received.subarray(7, 27), pattern(1000).subarray(10, 30));
  assertEquals(received.length, 33);
});

Deno.test("sendfile() without a count ends with the file; beyond its end there is nothing", async () => {
  await using file = await temporaryFile(pattern(1000));
  await using ends = await connected();
  const { transport } = ends.writer;
  assertEquals(await loop.sendfile(transport, file), 1000);
  assertEquals(await loop.sendfile(transport, file, { offset: 990, count: 50 }), 10);
  assertEquals(await loop.sendfile(transport, file, { offset: 5000 }), 0);
  assertEquals((await ends.theirs.readExactly(1010)).length, 1010);
});

Deno.test("64 MiB to a slow reader: each byte arrives, and never 1 MiB is in memory", async () => {
  const size = 64 << 20;
  await using file = await temporaryFile(pattern(size));
  await using ends = await connected();
  const { transport } = ends.writer;
  let most = 0;
  let read = 0;
  const watched: SendableFile = {
    seek: (offset, whence) => file.seek(offset, whence),
    async read(buffer) {
      const n = await file.read(buffer);
      read += n ?? 0;
      most = Math.max(most, transport.getWriteBufferSize() + buffer.length);
      return n;
    },
  };
  const sending = loop.sendfile(transport, watched);
  await ends.theirs.readExactly(1);
  await turns(20);
  assert(read < size, "the file was read to its end, though nobody reads");
  async function* received() {
    yield pattern(1);
    for (let left = size - 1; left > 0;) {
      const piece = await ends.theirs.read(1 << 20);
      left -= piece.length;
      yield piece;
    }
  }
  const checksum = await sha256(received());
  assertEquals(await sending, size);
  assertEquals(checksum, await sha256(ReadableStream.from([pattern(size)])));
  assert(most <= 1 << 20, `${most} bytes were in memory`);
});

Deno.test("the position is behind what was sent, too, when the connection is lost", async () => {
  const size = 16 << 20;
  await using file = await temporaryFile(pattern(size));
  await using ends = await connected();
  const sending = loop.sendfile(ends.writer.transport, file, { offset: 5 });
  const failing = assertRejects(() => sending, Error);
  const received = (await ends.theirs.readExactly(100_000)).length;
  ends.peer.transport.abort();
  await failing;
  const at = await position(file);
  assert(at >= 5 + received && at < size, `position ${at}`);
});

Deno.test("an aborted sendfile() leaves the position behind what was sent", async () => {
  const size = 16 << 20;
  await using file = await temporaryFile(pattern(size));
  await using ends = await connected();
  const controller = new AbortController();
  const reason = new Error("enough");
  const { signal } = controller;
  const sending = loop.sendfile(ends.writer.transport, file, { signal });
  await ends.theirs.readExactly(1000);
  controller.abort(reason);
  assertEquals(await assertRejects(() => sending), reason);
  // What the transport was handed still goes out.
  ends.writer.close();
  const received = 1000 + (await ends.theirs.read()).length;
  assert(received < size, `${received} bytes`);
  assertEquals(await position(file), received);
});

Deno.test("the position counts what an aborted sendfile() left with the transport", async () => {
  await using file = await temporaryFile(pattern(1_000_000));
  const [left, right] = socketPair();
  const [transport] = await loop.createConnection(() => new Protocol(), { sock: left });
  const controller = new AbortController();
  const sending = loop.sendfile(transport, file, { signal: controller.signal, offset: 7 });
  await loop.sockRecv(right, 1);
  assert(transport.getWriteBufferSize() > 0); // The pair holds 64 KiB.
  controller.abort();
  await assertRejects(() => sending, DOMException);
  const at = await position(file);
  transport.close();
  assertEquals(await receiveAll(right), pattern(1_000_000).subarray(8, at));
  right.close();
});

Deno.test("sendfile() over a transport that is closed meanwhile: what it was handed arrives", async () => {
  const size = 16 << 20;
  await using file = await temporaryFile(pattern(size));
  await using ends = await connected();
  const sending = loop.sendfile(ends.writer.transport, file);
  const failing = assertRejects(() => sending, Deno.errors.ConnectionAborted, "closed before");
  await ends.theirs.readExactly(1000);
  ends.writer.close();
  const received = 1000 + (await ends.theirs.read()).length;
  await failing;
  assert(received < size, `${received} bytes`);
  assertEquals(await position(file), received);
});

Deno.test("sendfile() over a transport that is closed meanwhile is an error", async () => {
  await using file = await temporaryFile(pattern(16 << 20));
  await using ends = await connected();
  const { transport } = ends.writer;
  const sending = loop.sendfile(transport, file);
  await ends.theirs.readExactly(1);
  transport.abort();
  await assertRejects(() => sending, Deno.errors.ConnectionAborted);
  await assertRejects(() => loop.sendfile(transport, file), Error, "closing");
});

Deno.test("nothing else is written while a file is sent", async () => {
  const data = pattern(16 << 20);
  await using file = await temporaryFile(data);
  await using another = await temporaryFile(data);
  await using ends = await connected();
  const { writer, theirs } = ends;
  const { transport } = writer;
  const refused = () => {
    const message = "write() while sendfile() is in progress";
    assertThrows(() => transport.write("x"), Error, message);
    assertThrows(() => writer.write(new Uint8Array(0)), Error, message);
    assertThrows(() => writer.writeLines(["x", "y"]), Error, message);
  };
  writer.write("before");
  const sending = loop.sendfile(transport, file);
  refused(); // From the call on.
  assertEquals(await theirs.readExactly(6), new TextEncoder().encode("before"));
  refused();
  await assertRejects(
    () => loop.sendfile(transport, another, { offset: 5 }),
    Error,
    "sendfile() while another one is in progress",
  );
  assertEquals(await position(another), 0);
  refused(); // The second one has not freed what the first one has.
  // A part of the file would go in the clear.
  await assertRejects(
    () => writer.startTls(true, { serverHostname: "localhost" }),
    Error,
    "startTls() while sendfile() is in progress",
  );
  const receiving = theirs.read();
  assertEquals(await sending, data.length);
  writer.write("after");
  writer.writeEof();
  const received = await receiving;
  assertEquals(firstDifference(received.subarray(0, data.length), data), -1);
  assertEquals(received.subarray(data.length), new TextEncoder().encode("after"));
});

Deno.test("a transport can be written to again, however its sendfile() has ended", async () => {
  await using file = await temporaryFile(pattern(10));
  await using ends = await connected();
  const { transport } = ends.writer;
  const reason = new Error("enough");
  const broken: SendableFile = {
    seek: (offset) => Promise.resolve(offset),
    read: () => Promise.reject(reason),
  };
  await assertRejects(() => loop.sendfile(transport, {} as never), TypeError);
  transport.write("a");
  await assertRejects(() => loop.sendfile(transport, broken), Error, "enough");
  transport.write("b");
  const signal = AbortSignal.abort(reason);
  await assertRejects(() => loop.sendfile(transport, file, { signal }), Error, "enough");
  transport.write("c");
  assertEquals(await loop.sendfile(transport, file), 10);
  transport.write("d");
  assertEquals((await ends.theirs.readExactly(14)).subarray(3, 13), pattern(10));
});

Deno.test("writeEof() ends a sendfile(); what the transport was handed arrives", async () => {
  const data = pattern(16 << 20);
  await using file = await temporaryFile(data);
  await using ends = await connected();
  const { transport } = ends.writer;
  const sending = loop.sendfile(transport, file);
  const failing = assertRejects(() => sending, Error, "after writeEof()");
  const first = await ends.theirs.readExactly(1);
  transport.writeEof();
  const received = first.length + (await ends.theirs.read()).length;
  await failing;
  assert(received < data.length, `${received} bytes`);
  assertEquals(await position(file), received);
});

/** Where two arrays begin to differ, or -1: an assertEquals() of megabytes takes seconds. */
function firstDifference(one: Uint8Array, other: Uint8Array): number {
  if (one.length !== other.length) return Math.min(one.length, other.length);
  return one.findIndex((byte, i) => byte !== other[i]);
}

async function receiveAll(socket: Socket): Promise<Uint8Array> {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  for (;;) {
    const piece = await loop.sockRecv(socket, 65_536);
    if (piece.length === 0) return await new Blob(pieces).bytes();
    pieces.push(piece as Uint8Array<ArrayBuffer>);
  }
}

/** A file that others have time to move before it is read. */
function slow(file: Deno.FsFile): SendableFile {
  return {
    seek: (offset, whence) => file.seek(offset, whence),
    async read(buffer) {
      await turns(1);
      return await file.read(buffer);
    },
  };
}

Deno.test("one file is sent over several connections at once", async () => {
  const data = pattern(2_000_000);
  await using file = await temporaryFile(data);
  await using one = await connected();
  await using other = await connected();
  const [left, right] = socketPair();
  const shared = slow(file);
  const [sent, all, middle, end] = await Promise.all([
    Promise.all([
      loop.sendfile(one.writer.transport, shared).finally(() => one.writer.writeEof()),
      loop.sendfile(other.writer.transport, shared, { offset: 3, count: 900_000 })
        .finally(() => other.writer.writeEof()),
      loop.sockSendfile(left, shared, { offset: 1_500_000 }).finally(() => left.close()),
    ]),
    one.theirs.read(),
    other.theirs.read(),
    receiveAll(right),
  ]);
  right.close();
  assertEquals(sent, [2_000_000, 900_000, 500_000]);
  assertEquals(firstDifference(all, data), -1);
  assertEquals(firstDifference(middle, data.subarray(3, 900_003)), -1);
  assertEquals(firstDifference(end, data.subarray(1_500_000)), -1);
});

Deno.test("a file that is being sent is not moved by a sendfile() that ends", async () => {
  const data = pattern(2_000_000);
  await using file = await temporaryFile(data);
  await using ends = await connected();
  const [left, right] = socketPair();
  const shared = slow(file);
  const { transport } = ends.writer;
  const [sent, received] = await Promise.all([
    loop.sendfile(transport, shared).finally(() => transport.writeEof()),
    ends.theirs.read(),
    (async () => {
      for (let i = 0; i < 20; i++) await loop.sockSendfile(left, shared, { offset: 7, count: 1 });
    })(),
  ]);
  left.close();
  right.close();
  assertEquals(sent, 2_000_000);
  assertEquals(firstDifference(received, data), -1);
});

Deno.test("a read that fails ends its own sendfile() only", async () => {
  await using file = await temporaryFile(pattern(10));
  await using one = await connected();
  await using other = await connected();
  const reason = new Error("a bad sector");
  let reads = 0;
  const shared: SendableFile = {
    seek: (offset, whence) => file.seek(offset, whence),
    read: (buffer) => reads++ === 0 ? Promise.reject(reason) : file.read(buffer),
  };
  const failing = loop.sendfile(one.writer.transport, shared, { offset: 5 });
  const sending = loop.sendfile(other.writer.transport, shared);
  assertEquals(await assertRejects(() => failing), reason);
  assertEquals(await sending, 10);
  assertEquals(await other.theirs.readExactly(10), pattern(10));
});

Deno.test("sockSendfile() sends a part of a file", async () => {
  await using file = await temporaryFile(pattern(1_000_000));
  const [left, right] = socketPair();
  const receiving = receiveAll(right);
  assertEquals(await loop.sockSendfile(left, file, { offset: 10, count: 900_000 }), 900_000);
  left.close();
  assertEquals(await receiving, pattern(1_000_000).subarray(10, 900_010));
  assertEquals(await position(file), 900_010);
  right.close();
});

Deno.test("a failed sockSendfile() leaves the position behind what was sent", async () => {
  await using file = await temporaryFile(pattern(1_000_000));
  const [left, right] = socketPair();
  const sending = loop.sockSendfile(left, file);
  await loop.sockRecv(right, 1000);
  right.close();
  await assertRejects(() => sending, Deno.errors.BrokenPipe);
  const at = await position(file);
  assert(at >= 65_536 && at <= 65_536 + 1000, `position ${at}`);
  left.close();
});

Deno.test("an aborted sockSendfile() sends no more, though there is room again", async () => {
  await using file = await temporaryFile(pattern(1_000_000));
  const [left, right] = socketPair();
  const controller = new AbortController();
  const wasRead = Promise.withResolvers<void>();
  const watched: SendableFile = {
    seek: (offset, whence) => file.seek(offset, whence),
    async read(buffer) {
      const n = await file.read(buffer);
      wasRead.resolve();
      return n;
    },
  };
  const sending = loop.sockSendfile(left, watched, { signal: controller.signal });
  await wasRead.promise;
  await turns();
  const received = right.recv(65_536).length; // All that the pair holds.
  controller.abort();
  await assertRejects(() => sending, DOMException);
  await turns();
  left.close();
  assertEquals(await position(file), received + (await receiveAll(right)).length);
  right.close();
});

Deno.test("with fallback: false there is no sendfile", async () => {
  await using file = await temporaryFile(pattern(10));
  await using ends = await connected();
  const [left, right] = socketPair();
  await assertRejects(
    () => loop.sendfile(ends.writer.transport, file, { fallback: false }),
    SendfileNotAvailableError,
  );
  await assertRejects(
    () => loop.sockSendfile(left, file, { fallback: false }),
    SendfileNotAvailableError,
  );
  left.close();
  right.close();
});

Deno.test("sendfile() checks its arguments at the call", async () => {
  await using file = await temporaryFile(pattern(10));
  await using ends = await connected();
  const { transport } = ends.writer;
  const signal = AbortSignal.abort(new Error("enough"));
  await assertRejects(() => loop.sendfile(transport, {} as never), TypeError, "file");
  await assertRejects(() => loop.sendfile({} as never, file), TypeError, "Transport");
  await assertRejects(() => loop.sendfile(transport, file, { offset: -1 }), RangeError, "offset");
  await assertRejects(() => loop.sendfile(transport, file, { count: 0 }), RangeError, "count");
  await assertRejects(() => loop.sendfile(transport, file, { count: 1.5 }), TypeError, "count");
  await assertRejects(() => loop.sendfile(transport, file, { signal }), Error, "enough");
});
