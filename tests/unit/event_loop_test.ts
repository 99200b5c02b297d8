import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import {
  CancelledError,
  type EventLoop,
  type ExceptionContext,
  getEventLoop,
  getRunningLoop,
  newEventLoop,
  run,
  setEventLoop,
  sleep,
} from "@asyncio/streams";

/** Collects what a loop's exception handler is told. */
function collect(loop: EventLoop): ExceptionContext[] {
  const contexts: ExceptionContext[] = [];
  loop.setExceptionHandler((_loop, context) => void contexts.push(context));
  return contexts;
}

Deno.test("runForever() runs until stop(), and isRunning() tells", async () => {
  using loop = newEventLoop();
  const seen: boolean[] = [];
  loop.callSoon(() => seen.push(loop.isRunning()));
  loop.callSoon(() => loop.stop());
  const running = loop.runForever();
  assertEquals(loop.isRunning(), true);
  await running;
  assertEquals(loop.isRunning(), false);
  assertEquals(seen, [true]);
});

Deno.test("runForever() refuses a second run, of this or another loop", async () => {
  using loop = newEventLoop();
  using other = newEventLoop();
  loop.callSoon(async () => {
    await assertRejects(() => loop.runForever(), Error, "already running");
    await assertRejects(() => other.runForever(), Error, "another one is running");
    await assertRejects(() => run(() => {}), Error, "while a loop is running");
    assertThrows(() => loop.close(), Error, "can't be closed");
    loop.stop();
  });
  await loop.runForever();
});

Deno.test("runForever() ends with the signal's reason", async () => {
  using loop = newEventLoop();
  const controller = new AbortController();
  loop.callSoon(() => controller.abort(new Error("enough")));
  const { signal } = controller;
  await assertRejects(() => loop.runForever({ signal }), Error, "enough");
  await assertRejects(() => loop.runForever({ signal }), Error, "enough");
  assertEquals(await loop.runUntilComplete(() => "still usable"), "still usable");
});

Deno.test("runUntilComplete() takes functions, promises, futures and tasks", async () => {
  using loop = newEventLoop();
  assertEquals(await loop.runUntilComplete(() => 1), 1);
  assertEquals(await loop.runUntilComplete(Promise.resolve(2)), 2);
  const future = loop.createFuture<number>();
  loop.callSoon(() => future.setResult(3));
  assertEquals(await loop.runUntilComplete(future), 3);
  assertEquals(await loop.runUntilComplete(loop.createTask(() => Promise.resolve(4))), 4);
});

Deno.test("runUntilComplete() throws what the task threw, and reports it to nobody else", async () => {
  using loop = newEventLoop();
  const contexts = collect(loop);
  const fail = () => loop.runUntilComplete(() => Promise.reject(new Error("broken")));
  await assertRejects(fail, Error, "broken");
  await loop.runUntilComplete(() => sleep(0));
  assertEquals(contexts, []);
});

Deno.test("runUntilComplete() fails if the loop is stopped before", async () => {
  using loop = newEventLoop();
  const future = loop.createFuture();
  loop.callSoon(() => loop.stop());
  await assertRejects(() => loop.runUntilComplete(future), Error, "stopped before");
  future.cancel();
});

Deno.test("runUntilComplete() refuses a future of another loop: it would never see its end", async () => {
  using loop = newEventLoop();
  using other = newEventLoop();
  const future = other.createFuture<number>();
  await assertRejects(() => loop.runUntilComplete(future), RangeError, "another loop");
  assertEquals(await loop.runUntilComplete(() => "still usable"), "still usable");
});

Deno.test("runUntilComplete() that ends early, in the batch of its future, ends no later run", async () => {
  using loop = newEventLoop();
  const endings: ((controller: AbortController) => void)[] = [
    (controller) => controller.abort(new Error("enough")),
    () => loop.stop(),
  ];
  for (const end of endings) {
    const controller = new AbortController();
    const future = loop.createFuture<number>();
    loop.callSoon(() => {
      future.setResult(1);
      end(controller);
    });
    const result = await loop.runUntilComplete(future, controller).catch((error) => error.message);
    assertEquals(result, controller.signal.aborted ? "enough" : 1);
    assertEquals(await loop.runUntilComplete(() => sleep(1, "the next run")), "the next run");
  }
});

Deno.test("bad options of a run are refused before anything is called", async () => {
  using loop = newEventLoop();
  let called = false;
  const main = () => called = true;
  const signal = {} as AbortSignal;
  await assertRejects(() => run(main, { signal }), TypeError, "signal is an AbortSignal");
  await assertRejects(() => run(main, { debug: "no" as never }), TypeError, "debug is a boolean");
  await assertRejects(() => loop.runForever({ signal }), TypeError, "signal is an AbortSignal");
  await assertRejects(() => loop.runUntilComplete(main, { signal }), TypeError, "signal");
  await assertRejects(() => sleep(1, null, { signal }), TypeError, "signal is an AbortSignal");
  assertThrows(() => loop.setDebug("no" as never), TypeError, "enabled is a boolean");
  assertEquals(loop.allTasks(), []);
  await loop.runUntilComplete(() => sleep(0));
  assertEquals(called, false);
});

Deno.test("callbacks of a loop that does not run wait for its next run", async () => {
  using loop = newEventLoop();
  let calls = 0;
  loop.callSoon(() => calls++);
  await sleep(2);
  assertEquals(calls, 0);
  await loop.runUntilComplete(() => {});
  assertEquals(calls, 1);
  loop.callSoon(() => calls++);
  loop.callLater(0, () => calls++);
  await sleep(2);
  assertEquals(calls, 1);
  await loop.runUntilComplete(() => sleep(1));
  assertEquals(calls, 3);
});

Deno.test("the default loop calls callbacks with no run, until it is stopped", async () => {
  const loop = getEventLoop();
  const { promise: called, resolve } = Promise.withResolvers<void>();
  loop.callSoon(resolve);
  await called;
  assertEquals(loop.isRunning(), false);
  assertEquals(await loop.runUntilComplete(() => "run in between"), "run in between");
  const again = Promise.withResolvers<void>();
  loop.callLater(1, again.resolve);
  await again.promise;

  loop.stop();
  await sleep(1);
  let calls = 0;
  loop.callSoon(() => calls++);
  await sleep(1);
  assertEquals(calls, 0);
  await loop.runUntilComplete(() => {});
  assertEquals(calls, 1);
  loop.close();
  assert(getEventLoop() !== loop && !getEventLoop().isClosed());
});

Deno.test("close() is final, and may be called twice", async () => {
  const loop = newEventLoop();
  loop.callSoon(() => {
    throw new Error("never called");
  });
  loop.close();
  loop.close();
  assertEquals(loop.isClosed(), true);
  const closed = "The event loop is closed";
  assertThrows(() => loop.callSoon(() => {}), Error, closed);
  assertThrows(() => loop.callSoonThreadsafe(() => {}), Error, closed);
  assertThrows(() => loop.callLater(1, () => {}), Error, closed);
  assertThrows(() => loop.callAt(1, () => {}), Error, closed);
  assertThrows(() => loop.createTask(() => {}), Error, closed);
  assertThrows(() => loop.addSignalHandler("SIGINT", () => {}), Error, closed);
  await assertRejects(() => loop.runForever(), Error, closed);
  await assertRejects(() => loop.runUntilComplete(() => {}), Error, closed);
});

Deno.test("close() reports tasks that are not done, and in debug mode where they were made", () => {
  const loop = newEventLoop();
  const contexts = collect(loop);
  const task = loop.createTask(() => {});
  loop.setDebug(true);
  const other = loop.createTask(() => {});
  loop.close();
  assertEquals(contexts.length, 2);
  assertStrictEquals(contexts[0]?.task, task);
  assertEquals(contexts[0]?.sourceTraceback, undefined);
  assertStrictEquals(contexts[1]?.task, other);
  assert(contexts[1]?.sourceTraceback?.includes("event_loop_test.ts"));
});

Deno.test("getRunningLoop() never fails, and prefers the loop that runs", async () => {
  const byDefault = getRunningLoop();
  assertStrictEquals(getEventLoop(), byDefault);
  using loop = newEventLoop();
  const seen = await loop.runUntilComplete(() => [getRunningLoop(), getEventLoop()]);
  assertStrictEquals(seen[0], loop);
  assertStrictEquals(seen[1], loop);
  setEventLoop(loop);
  assertStrictEquals(getRunningLoop(), loop);
  setEventLoop(null);
  assert(getRunningLoop() !== loop);
  assertThrows(() => setEventLoop({} as EventLoop), TypeError, "EventLoop or null");
});

Deno.test("run() gives main's result, on a loop of its own that it closes", async () => {
  let inner: EventLoop | undefined;
  const result = await run(async () => {
    inner = getRunningLoop();
    await sleep(1);
    return "done";
  });
  assertEquals(result, "done");
  assertEquals(inner?.isClosed(), true);
  assertEquals(await run(Promise.resolve(5)), 5);
});

Deno.test("run() throws what main throws, once", async () => {
  await assertRejects(() => run(() => Promise.reject(new RangeError("no"))), RangeError, "no");
});

Deno.test("run() cancels what is left and waits for it", async () => {
  const log: string[] = [];
  await run(async () => {
    const loop = getRunningLoop();
    loop.createTask(async (signal) => {
      try {
        await sleep(60_000, null, { signal });
      } catch (error) {
        log.push((error as Error).name);
        await sleep(1); // cleaning up takes time
        log.push("cleaned up");
        throw error;
      }
    });
    loop.createTask(() => new Promise(() => {})); // can't be told: must not be waited for
    await sleep(1);
  });
  assertEquals(log, ["CancelledError", "cleaned up"]);
});

Deno.test("run() reports a task that fails as it is cancelled", async () => {
  let contexts: ExceptionContext[] = [];
  await run(async () => {
    const loop = getRunningLoop();
    contexts = collect(loop);
    loop.createTask((signal) =>
      sleep(60_000, null, { signal }).catch(() => {
        throw new Error("while cleaning up");
      })
    );
    await sleep(1);
  });
  assertEquals(contexts.map(({ exception }) => (exception as Error).message), [
    "while cleaning up",
  ]);
});

Deno.test("run() cancels main when its signal is aborted, and rejects with the reason", async () => {
  const controller = new AbortController();
  let seen: unknown;
  const running = run(async (signal) => {
    getRunningLoop().callSoon(() => controller.abort(new Error("enough")));
    await sleep(60_000, null, { signal }).catch((error) => seen = error);
    throw seen;
  }, controller);
  await assertRejects(() => running, Error, "enough");
  assert(seen instanceof CancelledError);
  assertEquals((seen.cause as Error).message, "enough");
});

Deno.test("run() switches debug mode", async () => {
  assertEquals(await run(() => getRunningLoop().getDebug(), { debug: true }), true);
  assertEquals(await run(() => getRunningLoop().getDebug()), false);
});

Deno.test("sleep() gives its result, refuses nonsense, and can be aborted", async () => {
  assertEquals(await sleep(1, "awake"), "awake");
  assertEquals(await sleep(-1, "at once"), "at once");
  assertEquals(await sleep(-Infinity, "at once"), "at once");
  await assertRejects(() => sleep(NaN), RangeError, "ms must be a time, got NaN");
  const controller = new AbortController();
  const sleeping = sleep(60_000, null, controller);
  controller.abort(new Error("wake up"));
  await assertRejects(() => sleeping, Error, "wake up");
  await assertRejects(() => sleep(60_000, null, controller), Error, "wake up");
});

Deno.test("sleep() works beside a default loop that was stopped", async () => {
  const loop = getEventLoop();
  loop.stop();
  await sleep(1);
  await sleep(0);
  loop.close();
});

Deno.test("sleep() outlasts the run that it began in: its caller may be no part of that", async () => {
  const slept: Promise<string>[] = [];
  await run(() => void slept.push(sleep(5, "a while"), sleep(0, "a moment")));
  assertEquals(await Promise.all(slept), ["a while", "a moment"]);

  using loop = newEventLoop();
  loop.callSoon(() => {
    loop.stop();
    slept.push(sleep(2, "longer"), sleep(1, "stopped"));
  });
  await loop.runForever();
  assertEquals(await Promise.race(slept.slice(2)), "stopped");
  assertEquals(await slept[2], "longer");
});

Deno.test("sleep() that outlasts a run of the default loop goes on once, and can be aborted", async () => {
  const controller = new AbortController();
  const { signal } = controller;
  const order: string[] = [];
  let slept: Promise<unknown>[] = [];
  await getEventLoop().runUntilComplete(() => {
    slept = [
      sleep(60_000, 0, { signal }).catch(({ message }) => order.push(message)),
      sleep(1).then(() => order.push("awake")),
    ];
  });
  await slept[1];
  controller.abort(new Error("enough"));
  await slept[0];
  assertEquals(order, ["awake", "enough"]);
});

Deno.test("shutdownAsyncGens() and shutdownDefaultExecutor() have nothing to wait for", async () => {
  using loop = newEventLoop();
  await loop.shutdownAsyncGens();
  await loop.shutdownDefaultExecutor();
});

Deno.test("sleep(Infinity) and callLater(Infinity) wait until they are told otherwise", async () => {
  const controller = new AbortController();
  const sleeping = sleep(Infinity, null, controller);
  await run(async () => {
    const loop = getRunningLoop();
    const handles = [
      loop.callLater(Infinity, () => assert(false)),
      loop.callAt(Infinity, () => assert(false)),
    ];
    await sleep(5); // They hold up nothing that comes earlier.
    for (const handle of handles) handle.cancel();
    const task = loop.createTask((signal) => sleep(Infinity, null, { signal }));
    loop.callLater(1, () => task.cancel());
    await assertRejects(async () => await task, CancelledError);
  });
  controller.abort(new Error("wake up"));
  await assertRejects(() => sleeping, Error, "wake up");
});
