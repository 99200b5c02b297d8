import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { acceptFrom } from "../../net/accept.ts";
import { FakeListener } from "../fake_listener.ts";
import { settled, Sink, turns } from "../support.ts";

/** Accepts once from a scripted listener, which `close()` closes on purpose. */
function accepting(listener: FakeListener) {
  const sink = new Sink();
  const closed = Promise.withResolvers<void>();
  let isClosed = false;
  const accepted = acceptFrom(listener, () => isClosed, closed.promise, sink);
  const close = () => {
    isClosed = true;
    listener.close();
    closed.resolve();
  };
  return { accepted, close, sink };
}

/** What accept fails with when there are no descriptors left. */
const emfile = () => new Error("Too many open files (os error 24)");

Deno.test("acceptFrom() passes over peers that left before, at once and in silence", async () => {
  const listener = new FakeListener();
  listener.push(new Deno.errors.NotConnected("left"));
  listener.push(new Deno.errors.ConnectionAborted("left"));
  listener.push(new Deno.errors.ConnectionReset("left"));
  const conn = listener.connect();
  const { accepted, sink } = accepting(listener);
  assert(await settled(accepted), "it waited");
  assertStrictEquals(await accepted as unknown, conn);
  assertEquals(sink.contexts, []);
});

Deno.test("acceptFrom() reports a lack of descriptors once, waits, and goes on", async () => {
  const listener = new FakeListener();
  const error = emfile();
  listener.push(error);
  listener.push(emfile());
  const { accepted, sink } = accepting(listener);
  const context = await sink.next();
  assertStrictEquals(context.exception, error);
  assertStrictEquals(context.socket, listener);
  assert(context.message.includes("127.0.0.1:7"), context.message);
  await turns(20);
  assertEquals(listener.accepts, 1, "a busy loop");
  const conn = listener.connect();
  assertStrictEquals(await accepted as unknown, conn);
  assertEquals([listener.accepts, sink.contexts.length], [3, 1]);
});

Deno.test("acceptFrom() ends its wait when the listener is closed", async () => {
  const listener = new FakeListener();
  listener.push(emfile());
  const { accepted, close, sink } = accepting(listener);
  await sink.next();
  close();
  assert(await settled(accepted), "it goes on waiting");
  assertStrictEquals(await accepted, null);
  assertEquals(sink.contexts.length, 1);
});

Deno.test("acceptFrom() ends when the listener is closed while it accepts", async () => {
  const { accepted, close, sink } = accepting(new FakeListener());
  close();
  assertStrictEquals(await accepted, null);
  assertEquals(sink.contexts, []);
});

Deno.test("acceptFrom() ends when somebody else has closed the listener, and says so", async () => {
  const listener = new FakeListener();
  const error = new Deno.errors.BadResource("closed");
  listener.push(error);
  const { accepted, sink } = accepting(listener);
  assertStrictEquals(await accepted, null);
  assertEquals(sink.contexts.map(({ exception }) => exception), [error]);
});
