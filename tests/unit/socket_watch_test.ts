import { AsyncLocalStorage } from "node:async_hooks";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { getEventLoop, newEventLoop, socketPair } from "@asyncio/streams";
import { bytes, text, turns } from "../support.ts";

Deno.test("a reader is called once a batch for as long as there is something to receive", async () => {
  using loop = newEventLoop();
  const [left, right] = socketPair();
  const log: string[] = [];
  loop.addReader(left, (prefix: string) => {
    const data = text(left.recv(1));
    log.push(prefix + data);
    loop.callSoon(() => log.push("-"));
    // Some batches later, in which nothing more should have happened.
    if (data === "c") loop.callLater(20, () => loop.stop());
  }, "<");
  right.send(bytes("abc"));
  await loop.runForever();
  assertEquals(log, ["<a", "-", "<b", "-", "<c", "-"]);
  left.close();
  right.close();
});

Deno.test("a reader is called again when more comes, and at the end", async () => {
  using loop = newEventLoop();
  const [left, right] = socketPair();
  const log: string[] = [];
  loop.addReader(left, () => {
    const data = text(left.recv(100));
    log.push(data);
    if (data === "") loop.stop();
    else if (data === "one") loop.callLater(1, () => right.send(bytes("two")));
    else right.close();
  });
  right.send(bytes("one"));
  await loop.runForever();
  assertEquals(log, ["one", "two", ""]);
  left.close();
});

Deno.test("a writer is called once a batch while there is room, and again when there is", async () => {
  using loop = newEventLoop();
  const [left, right] = socketPair();
  let calls = 0;
  loop.addWriter(left, () => {
    calls++;
    left.send(new Uint8Array(40_000));
  });
  loop.callLater(30, () => loop.stop());
  await loop.runForever();
  assertEquals(calls, 2);
  right.recv(1);
  loop.callLater(30, () => loop.stop());
  await loop.runForever();
  assertEquals(calls, 3);
  left.close();
  right.close();
});

Deno.test("a reader or writer that is taken back is not called, though it was ready", async () => {
  using loop = newEventLoop();
  const [left, right] = socketPair();
  const log: string[] = [];
  right.send(bytes("x"));
  loop.addReader(left, () => {
    log.push("reader");
    assertEquals(loop.removeWriter(left), true);
    assertEquals(loop.removeReader(left), true);
    assertEquals(loop.removeReader(left), false);
  });
  loop.addWriter(left, () => log.push("writer"));
  loop.callLater(30, () => loop.stop());
  await loop.runForever();
  assertEquals(log, ["reader"]);
  left.close();
  right.close();
});

Deno.test("addReader() takes the place of the reader before", async () => {
  using loop = newEventLoop();
  const [left, right] = socketPair();
  const log: string[] = [];
  right.send(bytes("x"));
  loop.addReader(left, () => log.push("first"));
  loop.addReader(left, () => {
    log.push("second");
    left.recv(1);
    loop.stop();
  });
  await loop.runForever();
  assertEquals(log, ["second"]);
  left.close();
  right.close();
});

Deno.test("a socket that is closed is watched no more", async () => {
  using loop = newEventLoop();
  const [left, right] = socketPair();
  let calls = 0;
  loop.addReader(left, () => calls++);
  loop.callLater(1, () => left.close());
  loop.callLater(30, () => loop.stop());
  await loop.runForever();
  assertEquals(calls, 0);
  assertEquals(loop.removeReader(left), false);
  right.close();
});

Deno.test("what a reader throws goes to the exception handler, and it is called again", async () => {
  using loop = newEventLoop();
  const [left, right] = socketPair();
  const messages: string[] = [];
  loop.setExceptionHandler((_loop, { message }) => void messages.push(message));
  right.send(bytes("ab"));
  loop.addReader(left, function onData() {
    if (text(left.recv(1)) === "b") loop.stop();
    throw new Error("broken");
  });
  await loop.runForever();
  assertEquals(messages, Array(2).fill("Exception in callback onData"));
  left.close();
  right.close();
});

Deno.test("each call of a reader runs in the async context of addReader()", async () => {
  using loop = newEventLoop();
  const storage = new AsyncLocalStorage<string>();
  const [left, right] = socketPair();
  const seen: (string | undefined)[] = [];
  storage.run("mine", () =>
    loop.addReader(left, () => {
      seen.push(storage.getStore());
      if (left.recv(1)[0] === 0) loop.stop();
    }));
  storage.run("other", () => right.send(new Uint8Array([1, 1])));
  loop.callLater(2, () => right.send(new Uint8Array([0])));
  await loop.runForever();
  assertEquals(seen, ["mine", "mine", "mine"]);
  left.close();
  right.close();
});

Deno.test("the default loop calls readers with no run", async () => {
  const loop = getEventLoop();
  const [left, right] = socketPair();
  const received = loop.createFuture<string>();
  loop.addReader(left, () => {
    loop.removeReader(left);
    received.setResult(text(left.recv(10)));
  });
  right.send(bytes("hello"));
  assertEquals(await received, "hello");
  left.close();
  right.close();
});

Deno.test("a loop that is closed watches no socket", async () => {
  const loop = newEventLoop();
  const [left, right] = socketPair();
  let calls = 0;
  loop.addReader(left, () => calls++);
  loop.close();
  right.send(bytes("x"));
  await turns();
  assertEquals(calls, 0);
  assertThrows(() => loop.addReader(left, () => {}), Error, "closed");
  assert(!left.closed);
  left.close();
  right.close();
});
