import { AsyncLocalStorage } from "node:async_hooks";
import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  type CreateTaskOptions,
  getEventLoop,
  Handle,
  newEventLoop,
  sleep,
  TimerHandle,
} from "@asyncio/streams";
import { TimerQueue } from "../../loop/timer_queue.ts";

Deno.test("callSoon() passes arguments, and calls exactly once", async () => {
  const loop = getEventLoop();
  const calls: unknown[][] = [];
  const handle = loop.callSoon((...args: unknown[]) => calls.push(args), 1, "two");
  assert(handle instanceof Handle);
  await sleep(1);
  assertEquals(calls, [[1, "two"]]);
  assertEquals(handle.cancelled(), false);
  handle.cancel();
  assertEquals(handle.cancelled(), true);
});

Deno.test("a batch runs in one turn of Deno's loop, with microtasks done after each callback", async () => {
  const loop = getEventLoop();
  const log: string[] = [];
  const step = async (name: string) => {
    log.push(name);
    await null;
    await null;
    log.push(`${name} went on`);
  };
  loop.callSoon(step, "a");
  loop.callSoon(step, "b");
  loop.callSoon(() => {
    // Planned for the next turn before the batch has ended.
    setImmediate(() => log.push("next turn"));
  });
  loop.callSoon(step, "c");
  await sleep(1);
  assertEquals(log, [
    "a",
    "a went on",
    "b",
    "b went on",
    "c",
    "c went on",
    "next turn",
  ]);
});

Deno.test("callbacks that add callbacks for ever starve neither timers nor I/O", async () => {
  const loop = getEventLoop();
  let going = true;
  const again = () => {
    if (going) loop.callSoon(again);
  };
  loop.callSoon(again);
  await new Promise((resolve) => setTimeout(resolve, 2));
  await sleep(2);
  going = false;
});

Deno.test("a callback runs in its caller's async context, later and in held loops too", async () => {
  const storage = new AsyncLocalStorage<string>();
  const seen: (string | undefined)[] = [];
  const see = () => void seen.push(storage.getStore());
  using loop = newEventLoop();
  const future = loop.createFuture<void>();
  storage.run("soon", () => loop.callSoon(see));
  storage.run("later", () => loop.callLater(50, see)); // Far behind the turns of the others.
  storage.run("done", () => future.addDoneCallback(see));
  storage.run("task", () =>
    loop.createTask(async () => {
      await sleep(0);
      see();
    }));
  storage.run("other", () => loop.callSoon(() => future.setResult()));
  await loop.runUntilComplete(() => sleep(60));
  assertEquals(seen, ["soon", "task", "done", "later"]);
});

Deno.test("callSoonThreadsafe() serves what a worker posts", async () => {
  const loop = getEventLoop();
  const source = `postMessage("from the worker"); self.close();`;
  const worker = new Worker(`data:text/javascript,${encodeURIComponent(source)}`, {
    type: "module",
  });
  const future = loop.createFuture<string>();
  worker.onmessage = ({ data }) => {
    loop.callSoonThreadsafe((text: string) => future.setResult(text), data);
  };
  assertEquals(await future, "from the worker");
  worker.terminate();
});

Deno.test("callSoonThreadsafe() wakes a loop that has nothing to do, from a worker's port", async () => {
  using loop = newEventLoop();
  const { port1, port2 } = new MessageChannel();
  // It posts when it is told to: by then the loop runs, and sleeps.
  const source = `onmessage = ({ data: port }) => {
    port.onmessage = ({ data }) => port.postMessage(data + 1);
    port.postMessage(0);
  }`;
  const worker = new Worker(`data:text/javascript,${encodeURIComponent(source)}`, {
    type: "module",
  });
  const received: unknown[] = [];
  const receive = (n: number) => {
    received.push([n, loop.isRunning()]);
    if (n < 2) port1.postMessage(n);
    else loop.stop();
  };
  port1.onmessage = ({ data }) => loop.callSoonThreadsafe(receive, data);
  worker.postMessage(port2, [port2]);
  await loop.runForever();
  assertEquals(received, [[0, true], [1, true], [2, true]]);
  port1.close();
  worker.terminate();
});

Deno.test("bad arguments are refused at the call", () => {
  const loop = getEventLoop();
  const callback = () => {};
  assertThrows(() => loop.callSoon("x" as unknown as () => void), TypeError, "function");
  assertThrows(() => loop.callLater(1, null as unknown as () => void), TypeError, "function");
  assertThrows(() => loop.callLater(NaN, callback), RangeError, "NaN");
  assertThrows(
    () => loop.addSignalHandler("SIGINT", "x" as unknown as () => void),
    TypeError,
    "function",
  );
  const one = "1" as unknown as number;
  assertThrows(() => loop.callAt(one, callback), TypeError, 'when is a number, not "1"');
  assertThrows(() => loop.callLater(one, callback), TypeError, 'delay is a number, not "1"');
  const wrong = (options: unknown) => () => loop.createTask(callback, options as CreateTaskOptions);
  assertThrows(wrong({ name: 1 }), TypeError, "name is a string");
  assertThrows(wrong({ signal: {} }), TypeError, "AbortSignal");
  assertEquals(loop.allTasks(), []);
});

Deno.test("time() is the clock of performance.now(), in milliseconds", () => {
  const before = performance.now();
  const time = getEventLoop().time();
  assert(before <= time && time <= performance.now());
});

Deno.test("callLater() waits at least its delay", async () => {
  const loop = getEventLoop();
  const start = loop.time();
  const { promise, resolve } = Promise.withResolvers<number>();
  const handle = loop.callLater(5.5, () => resolve(loop.time()));
  assert(handle instanceof TimerHandle);
  assert(handle.when() >= start + 5.5);
  assert(await promise >= handle.when());
});

Deno.test("callAt() calls in order of time, equal times in order of calling", async () => {
  const loop = getEventLoop();
  const soon = loop.time() + 2;
  const order: number[] = [];
  for (const [n, when] of [3, 1, 2, 1, 3, 2, 1, 1].entries()) {
    loop.callAt(soon + when, () => order.push(n));
  }
  await sleep(10);
  assertEquals(order, [1, 3, 6, 7, 2, 5, 0, 4]);
});

Deno.test("random timers, some of them cancelled, run in order", async () => {
  using loop = newEventLoop();
  const base = loop.time();
  const expected: [when: number, n: number][] = [];
  const handles = Array.from({ length: 2_000 }, (_, n) => {
    const when = base - Math.floor(Math.random() * 300);
    return loop.callAt(when, () => order.push([when, n]));
  });
  const order: [number, number][] = [];
  for (const [n, handle] of handles.entries()) {
    if (Math.random() < 0.5) handle.cancel();
    else expected.push([handle.when(), n]);
  }
  await loop.runUntilComplete(() => sleep(1));
  assertEquals(order, expected.sort((a, b) => a[0] - b[0] || a[1] - b[1]));
});

Deno.test("a timer beyond 2^31 ms does not fire early, and is gone when cancelled", async () => {
  const loop = getEventLoop();
  let fired = false;
  const handle = loop.callLater(2 ** 31 + 5, () => fired = true);
  await sleep(3);
  assertEquals(fired, false);
  handle.cancel(); // The sanitizer would see what is left.
});

/** Stands in for Deno's timers and the clock, until it is disposed of. */
class FakeTimers implements Disposable {
  time = 0;
  /** How many of Deno's timers were made. */
  made = 0;
  readonly armed = new Map<number, { at: number; fire: () => void }>();
  readonly #real = { setTimeout: globalThis.setTimeout, clearTimeout: globalThis.clearTimeout };

  constructor() {
    Object.assign(globalThis, {
      setTimeout: (fire: () => void, delay: number) => {
        assert(delay < 2 ** 31, `${delay}`);
        this.armed.set(++this.made, { at: this.time + delay, fire });
        return this.made;
      },
      clearTimeout: (id: number) => this.armed.delete(id),
    });
  }

  /** Waits for the only one. */
  fire(): void {
    assertEquals(this.armed.size, 1);
    for (const [id, { at, fire }] of this.armed) {
      this.armed.delete(id);
      this.time = at;
      fire();
    }
  }

  [Symbol.dispose](): void {
    Object.assign(globalThis, this.#real);
  }
}

/** A queue on fake timers: what adds to it, and how often something was due. */
function fakeQueue(fake: FakeTimers) {
  const calls = { due: 0 };
  const timers = new TimerQueue(() => fake.time, () => calls.due++);
  timers.setRunning(true);
  const add = (when: number) => {
    const handle = new TimerHandle(when, () => {}, [], getEventLoop(), timers);
    timers.add(handle);
    return handle;
  };
  return { timers, add, calls };
}

Deno.test("a timer beyond 2^31 ms fires when it is due, over several of Deno's", () => {
  using fake = new FakeTimers();
  const { timers, add, calls } = fakeQueue(fake);
  const due = 3 * 2 ** 31 + 5;
  const handle = add(due);
  while (calls.due === 0) fake.fire();
  assertEquals([fake.made, fake.time], [4, due]);
  assertEquals(timers.takeDue(fake.time), [handle]);
  assertEquals(fake.armed.size, 0);
});

Deno.test("100,000 timers are one timer of Deno's, and none when they are cancelled", () => {
  using fake = new FakeTimers();
  const { timers, add } = fakeQueue(fake);
  const handles = Array.from({ length: 100_000 }, (_, n) => add(1_000 + (n * 7919) % 1000));
  assertEquals([fake.made, fake.armed.size], [1, 1]);
  for (const handle of handles.splice(0, 50_000)) handle.cancel();
  assertEquals(fake.armed.size, 1);
  fake.fire();
  assertEquals(timers.takeDue(fake.time).length, 50);
  for (const handle of handles) handle.cancel();
  assertEquals(fake.armed.size, 0);
  assert(fake.made < 2_000, `${fake.made} of Deno's timers`);
});

Deno.test("a cancelled timer lets go of its callback", async () => {
  const loop = getEventLoop();
  let calls = 0;
  const handle = loop.callLater(1, () => calls++);
  const other = loop.callLater(2, () => calls += 10);
  handle.cancel();
  handle.cancel();
  assertEquals(handle.cancelled(), true);
  assertEquals(other.cancelled(), false);
  await sleep(5);
  assertEquals(calls, 10);
});

Deno.test("100,000 timers are added, cancelled and fired in well under a second each", async () => {
  using loop = newEventLoop();
  const within = (ms: number, what: string, start: number) => {
    const took = performance.now() - start;
    assert(took < ms, `${what} took ${took} ms`);
  };
  let fired = 0;
  const base = loop.time();
  let start = performance.now();
  const handles = Array.from({ length: 100_000 }, (_, n) => {
    return loop.callAt(base + (n * 7919) % 1000, () => fired++);
  });
  within(2_000, "adding", start);
  start = performance.now();
  for (const [n, handle] of handles.entries()) if (n % 2 === 0) handle.cancel();
  within(2_000, "cancelling", start);
  await loop.runUntilComplete(() => sleep(1_100));
  assertEquals(fired, 50_000);
});
