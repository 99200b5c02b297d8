import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { acceptFrom } from "../../net/accept.ts";
import { FakeListener } from "../fake_listener.ts";
import { settled, Sink, turns } from "../support.ts";

/** Accepts from a scripted listener, which `close()` closes on purpose. */
function accepting(listener: FakeListener) {
  const sink = new Sink();
  const closed = Promise.withResolvers<void>();
  const { promise: accepted, resolve: connected } = Promise.withResolvers<Deno.Conn>();
  let isClosed = false;
  const ended = acceptFrom(listener, () => isClosed, closed.promise, sink, connected);
  const close = () => {
    isClosed = true;
    listener.close();
    closed.resolve();
  };
  return { accepted, close, ended, sink };
}

/** What accept fails with when there are no descriptors left. */
const emfile = () => new Error("Too many open files (os error 24)");

Deno.test("acceptFrom() passes over peers that left before, at once and in silence", async () => {
  const listener = new FakeListener();
  listener.push(new Deno.errors.NotConnected("left"));
  listener.push(new Deno.errors.ConnectionAborted("left"));
  listener.push(new Deno.errors.ConnectionReset("left"));
  const conn = listener.connect();
  const { accepted, close, ended, sink } = accepting(listener);
  assert(await settled(accepted), "it waited");
  assertStrictEquals(await accepted as unknown, conn);
  close();
  await ended;
  assertEquals(sink.contexts, []);
});

Deno.test("acceptFrom() reports a lack of descriptors once, waits, and goes on", async () => {
  const listener = new FakeListener();
  const error = emfile();
  listener.push(error);
  listener.push(emfile());
  const { accepted, close, ended, sink } = accepting(listener);
  const context = await sink.next();
  assertStrictEquals(context.exception, error);
  assertStrictEquals(context.socket, listener);
  assert(context.message.includes("127.0.0.1:7"), context.message);
  await turns(20);
  assertEquals(listener.accepts, 1, "a busy loop");
  const conn = listener.connect();
  assertStrictEquals(await accepted as unknown, conn);
  assertEquals([listener.accepts, sink.contexts.length], [4, 1]);
  listener.push(emfile());
  await turns();
  assertEquals(sink.contexts.length, 2, "once it had worked again, it is news");
  close();
  await ended;
});

Deno.test("acceptFrom() ends its wait when the listener is closed", async () => {
  const listener = new FakeListener();
  listener.push(emfile());
  const { close, ended, sink } = accepting(listener);
  await sink.next();
  close();
  assert(await settled(ended), "it goes on waiting");
  assertEquals(sink.contexts.length, 1);
});

Deno.test("acceptFrom() ends when the listener is closed while it accepts", async () => {
  const { close, ended, sink } = accepting(new FakeListener());
  close();
  await ended;
  assertEquals(sink.contexts, []);
});

Deno.test("acceptFrom() ends when somebody else has closed the listener, and says so", async () => {
  for (const name of ["BadResource", "Interrupted"] as const) {
    const listener = new FakeListener();
    const error = new Deno.errors[name]("closed");
    listener.push(error);
    const { close, ended, sink } = accepting(listener);
    assert(await settled(ended), `it goes on behind ${name}`);
    assertEquals(sink.contexts.map(({ exception }) => exception), [error]);
    close();
  }
});

Deno.test("acceptFrom() accepts no more before what took the last one is ready", async () => {
  const listener = new FakeListener();
  listener.connect();
  listener.connect();
  const ready = Promise.withResolvers<void>();
  let isClosed = false;
  const closed = Promise.withResolvers<void>().promise;
  const ended = acceptFrom(listener, () => isClosed, closed, new Sink(), () => ready.promise);
  await turns();
  assertEquals(listener.accepts, 1);
  ready.resolve();
  await turns();
  assertEquals(listener.accepts, 3);
  isClosed = true;
  listener.close();
  await ended;
});
