import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  CancelledError,
  type ExceptionContext,
  Future,
  getEventLoop,
  InvalidStateError,
  newEventLoop,
  sleep,
} from "@asyncio/streams";

Deno.test("a future is pending, then has a result", async () => {
  const future = getEventLoop().createFuture<number>();
  assertEquals([future.done(), future.cancelled()], [false, false]);
  assertThrows(() => future.result(), InvalidStateError, "Result is not ready");
  assertThrows(() => future.exception(), InvalidStateError, "Exception is not set");
  future.setResult(1);
  assertEquals([future.done(), future.cancelled()], [true, false]);
  assertEquals(future.result(), 1);
  assertEquals(future.exception(), null);
  assertEquals(await future, 1);
  assertEquals(await future.then((n) => n + 1), 2);
});

Deno.test("a future has an exception, which await and result() throw", async () => {
  const future = getEventLoop().createFuture();
  const error = new RangeError("no");
  future.setException(error);
  assertEquals(future.exception(), error);
  assertThrows(() => future.result(), RangeError, "no");
  await assertRejects(async () => await future, RangeError, "no");
  assertEquals(await future.then(null, (reason) => reason), error);
  assertThrows(() => future.setException("no" as unknown as Error), TypeError, "Error");
});

Deno.test("a future can be cancelled", async () => {
  const future = getEventLoop().createFuture();
  assertEquals(future.cancel("too late"), true);
  assertEquals(future.cancel(), false);
  assertEquals([future.done(), future.cancelled()], [true, true]);
  assertThrows(() => future.result(), CancelledError, "too late");
  assertThrows(() => future.exception(), CancelledError, "too late");
  await assertRejects(async () => await future, CancelledError, "too late");
});

Deno.test("a future ends once", () => {
  const future = getEventLoop().createFuture<number>();
  future.setResult(1);
  assertThrows(() => future.setResult(2), InvalidStateError, "done already");
  assertThrows(() => future.setException(new Error()), InvalidStateError, "done already");
  assertEquals(future.cancel(), false);
  assertEquals(future.result(), 1);
});

Deno.test("a future knows its loop, and shows its state", () => {
  using loop = newEventLoop();
  const future = new Future({ loop });
  assert(future.getLoop() === loop);
  assertEquals(Deno.inspect(future), "Future <pending>");
  future.cancel();
  assertEquals(Deno.inspect(future), "Future <cancelled>");
});

Deno.test("a done callback that throws goes to the exception handler", async () => {
  using loop = newEventLoop();
  const contexts: ExceptionContext[] = [];
  loop.setExceptionHandler((_loop, context) => void contexts.push(context));
  const future = loop.createFuture();
  future.addDoneCallback(() => {
    throw new Error("in a callback");
  });
  future.setResult(1);
  await loop.runUntilComplete(() => sleep(0));
  assertEquals(contexts.map(({ exception }) => (exception as Error).message), ["in a callback"]);
});

Deno.test("an exception that nobody asks for is reported, once, behind the callbacks", async () => {
  using loop = newEventLoop();
  const contexts: ExceptionContext[] = [];
  loop.setExceptionHandler((_loop, context) => void contexts.push(context));
  const lost = loop.createFuture();
  lost.addDoneCallback(() => assertEquals(contexts, []));
  lost.setException(new Error("lost"));
  const asked = loop.createFuture();
  asked.addDoneCallback(() => asked.exception());
  asked.setException(new Error("asked for"));
  const awaited = loop.createFuture();
  awaited.then(null, () => {});
  awaited.setException(new Error("awaited"));
  await loop.runUntilComplete(() => sleep(1));
  assertEquals(contexts.length, 1);
  assertEquals(contexts[0]?.message, "Future exception was never retrieved");
  assert(contexts[0]?.future === lost);
});

Deno.test("an exception that nobody asks for is reported though the loop is closed", async () => {
  const loop = newEventLoop();
  const messages: unknown[] = [];
  loop.setExceptionHandler((_loop, { exception }) => {
    messages.push((exception as Error).message);
  });
  const late = loop.createFuture();
  loop.createFuture().setException(new Error("before"));
  loop.close();
  assertEquals(messages, ["before"]);
  late.setException(new Error("after"));
  await null;
  assertEquals(messages, ["before", "after"]);
});

Deno.test("await goes on though the loop was closed before the future ended", async () => {
  const loop = newEventLoop();
  const future = loop.createFuture<string>();
  loop.close();
  const awaiting = future.then((text) => text);
  await null;
  future.setResult("all the same");
  assertEquals(await awaiting, "all the same");
});
