import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { concat } from "@std/bytes/concat";
import { getEventLoop, openConnection, Protocol, Socket, socketPair } from "@asyncio/streams";
import { bytes, pattern, settled, text } from "../support.ts";

const loop = getEventLoop();
const { BrokenPipe, BadResource, ConnectionReset, Interrupted, NotConnected, WouldBlock } =
  Deno.errors;

Deno.test("what one end of a socket pair sends is at once at the other", () => {
  const [left, right] = socketPair();
  assertEquals(left.send(bytes("hello")), 5);
  assertEquals(text(right.recv(2)), "he");
  assertEquals(text(right.recv(100)), "llo");
  assertThrows(() => right.recv(1), WouldBlock);
  right.send(bytes("back"));
  assertEquals(text(left.recv(100)), "back");
  left.close();
  right.close();
});

Deno.test("sockSendAll() copies: the sender may use its array again at once", async () => {
  const [left, right] = socketPair();
  const data = bytes("abc");
  await loop.sockSendAll(left, data);
  data.fill(0);
  assertEquals(text(await loop.sockRecv(right, 10)), "abc");
  left.close();
  right.close();
});

Deno.test("a socket pair holds 64 KiB each way, and makes who sends more wait", async () => {
  const [left, right] = socketPair();
  const data = pattern(200_000);
  assertEquals(left.send(data), 65_536);
  assertThrows(() => left.send(data), WouldBlock);
  const sending = loop.sockSendAll(left, data.subarray(65_536));
  assertEquals(await settled(sending), false);
  const pieces: Uint8Array[] = [];
  for (let n = 0; n < data.length; n += pieces.at(-1)!.length) {
    pieces.push(await loop.sockRecv(right, 10_000));
  }
  await sending;
  assertEquals(concat(pieces), data);
  left.close();
  right.close();
});

Deno.test("sockRecvInto() says how many bytes came, and 0 at the end", async () => {
  const [left, right] = socketPair();
  const buffer = new Uint8Array(4);
  const receiving = loop.sockRecvInto(right, buffer);
  await loop.sockSendAll(left, "abcdef");
  assertEquals(await receiving, 4);
  assertEquals(text(buffer), "abcd");
  assertEquals(await loop.sockRecvInto(right, buffer), 2);
  left.close();
  assertEquals(await loop.sockRecvInto(right, buffer), 0);
  assertEquals(await loop.sockRecvInto(right, new Uint8Array()), 0);
  right.close();
});

Deno.test("one direction of a socket pair can be ended by itself", async () => {
  const [left, right] = socketPair();
  left.send(bytes("last"));
  await left.closeWrite();
  assertThrows(() => left.send(bytes("more")), BrokenPipe);
  assertEquals(text(await loop.sockRecv(right, 100)), "last");
  assertEquals((await loop.sockRecv(right, 100)).length, 0);
  await loop.sockSendAll(right, "answer");
  assertEquals(text(await loop.sockRecv(left, 100)), "answer");
  left.close();
  right.close();
});

Deno.test("closing one end is the end for who receives, and BrokenPipe for who sends", async () => {
  const [left, right] = socketPair();
  const receiving = loop.sockRecv(right, 1);
  left.close();
  assertEquals((await receiving).length, 0);
  await assertRejects(() => loop.sockSendAll(right, "x"), BrokenPipe);
  right.close();
});

Deno.test("closing one end ends the other's wait to send", async () => {
  const [left, right] = socketPair();
  const sending = assertRejects(() => loop.sockSendAll(right, new Uint8Array(100_000)), BrokenPipe);
  left.close();
  await sending;
  right.close();
});

Deno.test("an end that is closed with unread bytes resets the other", async () => {
  const [left, right] = socketPair();
  right.send(bytes("never read"));
  left.send(bytes("goodbye"));
  left.close();
  assertEquals(text(await loop.sockRecv(right, 100)), "goodbye");
  await assertRejects(() => loop.sockRecv(right, 100), ConnectionReset, "10 bytes");
  right.close();
});

Deno.test("close() ends what waits on that end, and refuses what comes", async () => {
  const [left, right] = socketPair();
  const receiving = assertRejects(() => loop.sockRecv(left, 1), Interrupted);
  const sending = assertRejects(() => loop.sockSendAll(left, new Uint8Array(100_000)), Interrupted);
  left.close();
  await Promise.all([receiving, sending]);
  assertEquals(left.closed, true);
  await assertRejects(() => loop.sockRecv(left, 1), BadResource);
  assertThrows(() => left.send(bytes("x")), BadResource);
  left.close();
  right.close();
});

Deno.test("an aborted sockRecv() loses no byte, an aborted wait to send ends", async () => {
  const [left, right] = socketPair();
  const controller = new AbortController();
  const { signal } = controller;
  const reason = new Error("enough");
  const receiving = loop.sockRecv(right, 10, { signal });
  const sending = loop.sockSendAll(right, new Uint8Array(100_000), { signal });
  controller.abort(reason);
  assertEquals(await assertRejects(() => receiving), reason);
  assertEquals(await assertRejects(() => sending), reason);
  left.send(bytes("kept"));
  assertEquals(text(await loop.sockRecv(right, 10)), "kept");
  assertEquals(await assertRejects(() => loop.sockRecv(right, 10, { signal })), reason);
  left.close();
  right.close();
});

Deno.test("streams over a socket pair: lines, half-close, closing", async () => {
  const [left, right] = socketPair();
  const [reader, writer] = await openConnection({ sock: left });
  const [theirs, peer] = await openConnection({ sock: right });
  writer.writeLines(["one\n", "two\n"]);
  writer.writeEof();
  assertEquals(text(await theirs.read()), "one\ntwo\n");
  peer.write("answer");
  peer.close();
  assertEquals(text(await reader.read()), "answer");
  assertEquals(writer.getExtraInfo("socket"), left);
  writer.close();
  await Promise.all([writer.waitClosed(), peer.waitClosed()]);
  assertEquals([left.closed, right.closed], [true, true]);
});

Deno.test("a stream over a socket pair waits for a peer that does not receive", async () => {
  const [left, right] = socketPair();
  const [, writer] = await openConnection({ sock: left });
  const data = pattern(300_000);
  writer.write(data);
  const drained = writer.drain();
  assertEquals(await settled(drained), false);
  const pieces: Uint8Array[] = [];
  for (let n = 0; n < data.length; n += pieces.at(-1)!.length) {
    pieces.push(await loop.sockRecv(right, 100_000));
  }
  await drained;
  assertEquals(concat(pieces), data);
  writer.close();
  await writer.waitClosed();
  right.close();
});

Deno.test("connectAcceptedSocket() hands one end of a socket pair to a protocol", async () => {
  const [left, right] = socketPair();
  const log: string[] = [];
  const lost = loop.createFuture<void>();
  class Log extends Protocol {
    override dataReceived(data: Uint8Array) {
      log.push(text(data));
    }
    override eofReceived() {
      log.push("eof");
    }
    override connectionLost(error: Error | null) {
      log.push(`lost ${error}`);
      lost.setResult();
    }
  }
  await loop.connectAcceptedSocket(() => new Log(), right);
  await loop.sockSendAll(left, "data");
  left.close();
  await lost;
  assertEquals(log, ["data", "eof", "lost null"]);
});

Deno.test("a socket that is not connected says so", async () => {
  const socket = new Socket();
  assertThrows(() => socket.recv(1), NotConnected, "sockConnect");
  assertThrows(() => socket.localAddr, NotConnected);
  await assertRejects(() => loop.sockSendAll(socket, "x"), NotConnected);
  await assertRejects(() => loop.sockAccept(socket), Error, "bind() and listen()");
  assertThrows(() => socket.listen(), Error, "bind() comes first");
  assertThrows(() => loop.addReader(socket, () => {}), NotConnected);
  socket.close();
  assertThrows(() => socket.recv(1), BadResource);
  assertThrows(
    () => socket.bind({ transport: "tcp", hostname: "127.0.0.1", port: 0 }),
    BadResource,
  );
});

Deno.test("sockets check their arguments at the call", async () => {
  const [left, right] = socketPair();
  assertThrows(() => left.recv(-1), RangeError, "n must be");
  await assertRejects(() => loop.sockRecv(left, -1), RangeError, "n must be");
  await assertRejects(() => loop.sockRecv(left, "1" as never), TypeError, "n is a number");
  await assertRejects(() => loop.sockRecv({} as Socket, 1), TypeError, "sock is a Socket");
  await assertRejects(() => loop.sockRecvInto(left, [] as never), TypeError, "buffer");
  await assertRejects(() => loop.sockSendAll(left, 1 as never), TypeError, "data");
  await assertRejects(() => loop.sockConnect(left, null as never), TypeError, "addr");
  await assertRejects(
    () => loop.sockConnect(left, { transport: "tcp", hostname: "127.0.0.1", port: 9 }),
    Error,
    "connected already",
  );
  await assertRejects(() => loop.sockAccept({} as never), TypeError, "Deno.Listener");
  assertThrows(() => new Socket({} as never), TypeError, "Deno.Conn");
  assertThrows(() => new Socket().bind({ transport: "udp", hostname: "", port: 0 }), TypeError);
  assertEquals((await loop.sockRecv(left, 0)).length, 0);
  assert(!left.closed);
  left.close();
  right.close();
});

Deno.test("two tasks that only talk over a socket pair let others run", async () => {
  const [left, right] = socketPair();
  const bounce = async (socket: Socket) => {
    for (let data; (data = await loop.sockRecv(socket, 10)).length > 0;) {
      if (socket.closed) return;
      await loop.sockSendAll(socket, data);
    }
  };
  const talks = Promise.allSettled([bounce(left), bounce(right)]);
  left.send(bytes("ping"));
  await new Promise((resolve) => setTimeout(resolve, 1));
  left.close();
  await talks;
  right.close();
});

Deno.test("a socket that a transport has is refused to everybody else, until that closes it", async () => {
  const [left, right] = socketPair();
  const factory = () => new Protocol();
  const [transport] = await loop.createConnection(factory, { sock: left });
  const taken = "is used by a transport";
  assertThrows(() => loop.addReader(left, () => {}), Error, taken);
  assertThrows(() => loop.removeReader(left), Error, taken);
  assertThrows(() => loop.addWriter(left, () => {}), Error, taken);
  await assertRejects(() => loop.sockRecv(left, 1), Error, taken);
  await assertRejects(() => loop.sockSendAll(left, "x"), Error, taken);
  await assertRejects(() => loop.createConnection(factory, { sock: left }), Error, taken);
  await assertRejects(() => loop.createUnixConnection(factory, null, { sock: left }), Error, taken);
  await assertRejects(() => loop.connectAcceptedSocket(factory, left), Error, taken);
  transport.abort();
  await assertRejects(() => loop.sockRecv(left, 1), BadResource);
  right.close();
});

Deno.test("a socket that no transport could be made of is its owner's again", async () => {
  const [left, right] = socketPair();
  const signal = AbortSignal.abort(new Error("enough"));
  const factory = () => new Protocol();
  await assertRejects(
    () => loop.createConnection(factory, { sock: left, signal }),
    Error,
    "enough",
  );
  await assertRejects(() => loop.connectAcceptedSocket(factory, left, { signal }), Error, "enough");
  await loop.sockSendAll(left, "x");
  assertEquals(text(right.recv(1)), "x");
  left.close();
  right.close();
});

Deno.test("what is no protocol is refused, and the connection closed", async () => {
  for (const wrong of [undefined, null, 5, Promise.reject(new Error("async"))]) {
    const [left, right] = socketPair();
    await assertRejects(
      () => loop.createConnection(() => wrong as never, { sock: left }),
      TypeError,
      "protocolFactory returns a protocol, not ",
    );
    assertEquals(left.closed, true);
    right.close();
  }
});

Deno.test("sockets refuse what is no count, no bytes, no address and no connection", async () => {
  const [left, right] = socketPair();
  const wrong = (value: unknown) => value as never;
  await assertRejects(() => loop.sockRecv(left, 0.5), TypeError, "n is an integer");
  assertThrows(() => left.recv(0.5), TypeError, "n is an integer");
  assertThrows(() => left.recv(NaN), TypeError, "n is a number");
  assertThrows(() => left.recvInto(wrong(new ArrayBuffer(4))), TypeError, "buffer is a Uint8Array");
  assertThrows(() => left.send(wrong("text")), TypeError, "data is a Uint8Array");
  assertThrows(() => left.send(wrong(undefined)), TypeError, "data is a Uint8Array");
  await assertRejects(() => left.read(wrong(4)), TypeError, "buffer is a Uint8Array");
  await assertRejects(() => left.write(wrong("text")), TypeError, "data is a Uint8Array");
  for (const source of [5, null, "text", {}]) {
    assertThrows(() => new Socket(wrong(source)), TypeError, "a socket is made of a Deno.Conn");
  }
  const tcp = { transport: "tcp", hostname: "127.0.0.1", port: 0 } as const;
  assertThrows(() => new Socket().bind({ ...tcp, port: wrong("80") }), TypeError, "addr.port");
  assertThrows(() => new Socket().bind({ ...tcp, port: -1 }), RangeError, "addr.port");
  assertThrows(() => new Socket().bind({ ...tcp, hostname: wrong(1) }), TypeError, "hostname");
  assertThrows(() => new Socket().bind({ transport: "unix", path: "" }), RangeError, "path");
  assertThrows(() => new Socket().bind({ ...tcp, transport: "udp" }), TypeError, "tcp or unix");
  left.close();
  right.close();
});
