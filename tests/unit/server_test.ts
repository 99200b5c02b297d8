import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { getRunningLoop } from "../../event_loop.ts";
import type { ExceptionContext } from "../../loop/exception_context.ts";
import type { StreamWriter } from "../../net/stream_writer.ts";
import { StreamReader } from "../../net/stream_reader.ts";
import { StreamReaderProtocol } from "../../net/stream_reader_protocol.ts";
import { StreamTransport } from "../../net/stream_transport.ts";
import { Server } from "../../server.ts";
import { FakeListener } from "../fake_listener.ts";
import { settled, turns } from "../support.ts";

/** A server on scripted listeners; its handlers end when `release` is called. */
function scripted(count = 1, maxConnections?: number) {
  const listeners = Array.from({ length: count }, () => new FakeListener());
  const released = Promise.withResolvers<void>();
  const writers: StreamWriter[] = [];
  const loop = getRunningLoop();
  const server = new Server({
    loop,
    listeners,
    maxConnections,
    connected: (carrier, owner) => {
      const protocol = new StreamReaderProtocol(new StreamReader(), (_reader, writer) => {
        writers.push(writer);
        return released.promise;
      }, loop);
      new StreamTransport({ carrier, loop, owner }).start(protocol);
    },
  });
  return { server, listeners, listener: listeners[0]!, writers, release: released.resolve };
}

Deno.test("Server accepts nothing before startServing()", async () => {
  const { server, listener, writers, release } = scripted();
  listener.connect();
  await turns();
  assert(!server.isServing());
  assertEquals([listener.accepts, writers.length], [0, 0]);
  await server.startServing();
  await server.startServing();
  await turns();
  assert(server.isServing());
  assertEquals([writers.length, server.connections], [1, 1]);
  assertStrictEquals(server.sockets[0] as unknown, listener);
  release();
  server.close();
  server.close();
  assertEquals([server.isServing(), server.sockets.length, listener.closed], [false, 0, true]);
  await server.waitClosed();
  server.abortClients();
  await assertRejects(() => server.startServing(), Error, "closed");
  await assertRejects(() => server.serveForever(), Error, "closed");
});

Deno.test("maxConnections is never exceeded, over several listeners", async () => {
  const { server, listeners, writers, release } = scripted(2, 1);
  await server.startServing();
  listeners[0]!.connect();
  await turns();
  const waiting = listeners.map((listener) => listener.connect());
  await turns();
  assertEquals([server.connections, writers.length], [1, 1]);
  writers[0]!.transport.abort();
  await turns();
  assertEquals([server.connections, writers.length], [1, 2], "two of them took the place of one");
  writers[1]!.transport.abort();
  await turns();
  assertEquals([server.connections, writers.length], [1, 3]);
  const late = listeners[0]!.connect();
  await turns();
  server.close();
  await turns();
  assert(late.closed, "what waits when the server is closed is closed, too");
  release();
  await server.waitClosed();
  assert(!waiting.some((conn) => conn.reads > 1));
  server.abortClients();
});

Deno.test("waitClosed() waits for close() and for the handlers, or for its signal", async () => {
  const { server, listener, release } = scripted();
  await server.startServing();
  listener.connect().end();
  await turns();
  const closed = server.waitClosed();
  assert(!await settled(closed));
  server.close();
  assert(!await settled(closed), "a handler goes on");
  const reason = new Error("enough");
  const signal = AbortSignal.abort(reason);
  assertStrictEquals(await assertRejects(() => server.waitClosed({ signal })), reason);
  server.closeClients();
  assert(!await settled(closed), "its connection has ended, but not the handler");
  release();
  await closed;
  await server.waitClosed();
  assertStrictEquals(await assertRejects(() => server.waitClosed({ signal })), reason);
  assertStrictEquals(await assertRejects(() => server.shutdown({ signal })), reason);
});

Deno.test("serveForever() ends when the server is closed, and closes it by its signal", async () => {
  const first = scripted().server;
  const forever = first.serveForever();
  await turns();
  assert(first.isServing());
  first.close();
  await forever;
  await assertRejects(() => first.serveForever(), Error, "the server is closed");

  for (const early of [true, false]) {
    const { server, listener } = scripted();
    const controller = new AbortController();
    const reason = new Error("enough");
    if (early) controller.abort(reason);
    const serving = server.serveForever({ signal: controller.signal });
    controller.abort(reason);
    assertStrictEquals(await assertRejects(() => serving), reason);
    assertEquals([listener.accepts, listener.closed], [early ? 0 : 1, true]);
  }
});

Deno.test("a signal that is none is refused, and changes nothing", async () => {
  const { server, listener, release } = scripted();
  await server.startServing();
  const carrier = listener.connect();
  await turns();
  for (const signal of [5, "soon", {}, null] as unknown as AbortSignal[]) {
    const calls = [
      () => server.serveForever({ signal }),
      () => server.shutdown({ signal }),
      () => server.waitClosed({ signal }),
    ];
    for (const call of calls) await assertRejects(call, TypeError, "signal is an AbortSignal");
  }
  assert(server.isServing());
  assert(!carrier.closed);
  server.close();
  release();
  await server.waitClosed();
  server.abortClients();
});

Deno.test("a server goes on until its last listener was closed by somebody else", async () => {
  const { server, listeners } = scripted(2);
  const reports: ExceptionContext[] = [];
  getRunningLoop().setExceptionHandler((_loop, context) => void reports.push(context));
  try {
    const forever = server.serveForever();
    listeners[0]!.close();
    await turns();
    assert(server.isServing());
    listeners[1]!.close();
    await forever;
    assertEquals([server.isServing(), reports.length], [false, 2]);
    await server.waitClosed();
  } finally {
    getRunningLoop().setExceptionHandler(null);
  }
});

Deno.test("serveForever() refuses a second call, and the first goes on", async () => {
  const { server } = scripted();
  const forever = server.serveForever();
  await assertRejects(() => server.serveForever(), Error, "serveForever() is waiting already");
  assert(server.isServing());
  server.close();
  await forever;
});

Deno.test("shutdown() lets the handlers finish", async () => {
  const { server, listener, release, writers } = scripted();
  await server.startServing();
  const carrier = listener.connect();
  await turns();
  const done = server.shutdown({ timeout: 60_000 });
  assert(!server.isServing());
  assert(!await settled(done));
  assert(!carrier.closed);
  writers[0]!.write("last words");
  release();
  await done;
  assertEquals(carrier.receivedText, "last words");
  assert(carrier.closed);
});

Deno.test("shutdown() closes what goes on after the timeout, and does not wait for its handler", async () => {
  const { server, listener, writers, release } = scripted();
  await server.startServing();
  const carrier = listener.connect();
  await turns();
  writers[0]!.write("last words");
  await server.shutdown({ timeout: 0 });
  assertEquals(carrier.receivedText, "last words");
  assert(carrier.closed);
  assert(!await settled(server.waitClosed()));
  release();
  await server.waitClosed();
});

for (const timeout of [0, 60_000]) {
  Deno.test(`shutdown() with a timeout of ${timeout} gives what was written time to be sent`, async () => {
    const { server, listener, writers, release } = scripted();
    await server.startServing();
    const carrier = listener.connect();
    carrier.credit = 0;
    await turns();
    writers[0]!.write("last words");
    release();
    const done = server.shutdown({ timeout });
    // A second there is in any case; with a longer timeout, what is left of it.
    await new Promise((resolve) => setTimeout(resolve, timeout === 0 ? 20 : 1_100));
    carrier.allow();
    await done;
    assertEquals(carrier.receivedText, "last words");
  });
}

Deno.test("shutdown() aborts a connection whose peer takes nothing", async () => {
  const { server, listener, writers, release } = scripted();
  await server.startServing();
  const carrier = listener.connect();
  carrier.credit = 0;
  await turns();
  writers[0]!.write("never sent");
  release();
  await server.shutdown({ timeout: 0 });
  assert(carrier.closed);
  assertEquals(carrier.received.length, 0);
});

Deno.test("shutdown() whose signal is aborted aborts what is left, and leaves no timer", async () => {
  const { server, listener } = scripted();
  await server.startServing();
  const carrier = listener.connect();
  await turns();
  const controller = new AbortController();
  const ending = server.shutdown({ timeout: 60_000, signal: controller.signal });
  await turns();
  assert(!carrier.closed);
  const reason = new Error("a second Ctrl-C");
  controller.abort(reason);
  assertStrictEquals(await assertRejects(() => ending), reason);
  assert(carrier.closed);
});

Deno.test("shutdown() whose signal is aborted waits for no peer that takes nothing", async () => {
  const { server, listener, writers, release } = scripted();
  await server.startServing();
  const carrier = listener.connect();
  carrier.credit = 0;
  await turns();
  writers[0]!.write("never sent");
  release();
  const controller = new AbortController();
  const ending = server.shutdown({ timeout: 5_000, signal: controller.signal });
  assert(!await settled(ending));
  const reason = new Error("a second Ctrl-C");
  controller.abort(reason);
  assertStrictEquals(await assertRejects(() => ending), reason);
  assert(carrier.closed);
});

Deno.test("shutdown() waits for ever where it is told so, and refuses what is no time", async () => {
  const { server, listener, release } = scripted();
  await server.startServing();
  listener.connect();
  await turns();
  for (const timeout of [NaN, "1" as unknown as number]) {
    await assertRejects(() => server.shutdown({ timeout }), TypeError);
  }
  await assertRejects(() => server.shutdown({ timeout: -1 }), RangeError);
  assert(server.isServing(), "a refused call changes nothing");
  const done = server.shutdown({ timeout: Infinity });
  assert(!await settled(done));
  release();
  await done;
});

Deno.test("a connection that can't be set up is reported and closed, and the server goes on", async () => {
  const loop = getRunningLoop();
  const contexts: ExceptionContext[] = [];
  loop.setExceptionHandler((_loop, context) => void contexts.push(context));
  const listener = new FakeListener();
  const error = new Error("no transport");
  const connected = () => {
    throw error;
  };
  const server = new Server({ loop, listeners: [listener], connected });
  try {
    await server.startServing();
    const conns = [listener.connect(), listener.connect()];
    await turns();
    assert(conns.every((conn) => conn.closed));
    assertEquals(contexts.map((context) => context.exception), [error, error]);
    assertStrictEquals(contexts[0]?.peername, conns[0]!.remoteAddr);
    assertStrictEquals(server.getLoop(), loop);
  } finally {
    loop.setExceptionHandler(null);
    server.close();
    await server.waitClosed();
  }
});
