import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import {
  CancelledError,
  type EventLoop,
  type ExceptionContext,
  type Executor,
  newEventLoop,
  run,
  sleep,
  WorkerExecutor,
} from "@asyncio/streams";

/** Blocks its thread. */
const block = (ms: number) => {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  return ms;
};
/** Blocks its thread for good. */
const hang = () => {
  while (true);
};

/** Runs `body` in a loop of its own, and shuts its executor down. */
async function inLoop<T>(body: (loop: EventLoop) => Promise<T>): Promise<T> {
  using loop = newEventLoop();
  return await loop.runUntilComplete(async () => {
    try {
      return await body(loop);
    } finally {
      await loop.shutdownDefaultExecutor();
    }
  });
}

Deno.test("runInExecutor() gives back what the function returns or resolves to", async () => {
  await inLoop(async (loop) => {
    const sum = (a: number, b: number) => a + b;
    assertEquals(await loop.runInExecutor(null, sum, 20, 22), 42);
    assertEquals(
      await loop.runInExecutor(null, async (x: number) => await Promise.resolve(x), 7),
      7,
    );
    function named(bytes: Uint8Array, map: Map<string, Date>) {
      return { sum: bytes.reduce((a, b) => a + b), year: map.get("then")?.getUTCFullYear() };
    }
    const map = new Map([["then", new Date("2014-03-16T12:00:00Z")]]);
    const result = await loop.runInExecutor(null, named, new Uint8Array([1, 2, 3]), map);
    assertEquals({ ...result }, { sum: 6, year: 2014 });
    assertEquals(await loop.runInExecutor(null, () => undefined), undefined);
  });
});

Deno.test("a blocked worker does not hold up the loop, and others work meanwhile", async () => {
  await using executor = new WorkerExecutor({ maxWorkers: 2 });
  await inLoop(async (loop) => {
    const flag = new Int32Array(new SharedArrayBuffer(4));
    const blocked = loop.runInExecutor(executor, (flag: Int32Array) => {
      return Atomics.wait(flag, 0, 0, 30_000);
    }, flag);
    for (let i = 0; i < 5; i++) {
      await sleep(1);
      assertEquals(await loop.runInExecutor(executor, (n: number) => n, i), i);
    }
    assertEquals(blocked.done(), false);
    Atomics.store(flag, 0, 1);
    Atomics.notify(flag, 0);
    assert(await blocked !== "timed-out");
  });
});

Deno.test("no more run at once than there may be workers; the rest waits its turn", async () => {
  await using executor = new WorkerExecutor({ maxWorkers: 2 });
  const order: number[] = [];
  const starts = await Promise.all(Array.from({ length: 6 }, async (_, i) => {
    const start = await executor.submit((ms: number) => {
      const start = Date.now();
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
      return start;
    }, 40);
    order.push(i);
    return start;
  }));
  assertEquals(order.toSorted(), [0, 1, 2, 3, 4, 5]);
  const sorted = starts.toSorted();
  assert(sorted[2]! - sorted[0]! >= 35 && sorted[4]! - sorted[2]! >= 35, `${sorted}`);
});

Deno.test("errors come back with their kind, message, stack and properties", async () => {
  await inLoop(async (loop) => {
    const fail = (kind: string) => {
      if (kind === "range") throw new RangeError("too far", { cause: { limit: 5 } });
      if (kind === "deno") throw new Deno.errors.NotFound("no such thing");
      if (kind === "dom") throw new DOMException("stopped", "AbortError");
      if (kind === "value") throw { code: 7 };
      if (kind === "aggregate") throw new AggregateError([new RangeError("one"), 2], "several");
      class CustomError extends Error {
        override name = "CustomError";
        code = "E_CUSTOM";
        callback = () => {};
      }
      throw new CustomError("my own");
    };
    const caught = async (kind: string) => {
      try {
        await loop.runInExecutor(null, fail, kind);
      } catch (error) {
        return error as Error & { code?: string };
      }
      throw new Error("nothing was thrown");
    };
    const range = await caught("range");
    assert(range instanceof RangeError);
    assertEquals(range.message, "too far");
    assertEquals({ ...(range.cause as object) }, { limit: 5 });
    assert(range.stack?.includes("runInExecutor"), range.stack);
    assert(await caught("deno") instanceof Deno.errors.NotFound);
    const dom = await caught("dom");
    assert(dom instanceof DOMException && dom.name === "AbortError");
    assertEquals({ ...(await caught("value")) }, { code: 7 } as object);
    const several = await caught("aggregate");
    assert(several instanceof AggregateError && several.errors[0] instanceof RangeError);
    assertEquals([several.message, several.errors[0].message, several.errors[1]], [
      "several",
      "one",
      2,
    ]);
    assertEquals(Object.keys(several), []);
    const custom = await caught("custom");
    assert(custom instanceof Error);
    assertEquals([custom.name, custom.message, custom.code], ["CustomError", "my own", "E_CUSTOM"]);
  });
});

Deno.test("what can't be sent is refused", async () => {
  await inLoop(async (loop) => {
    const submit = (func: unknown) => loop.runInExecutor(null, func as () => void);
    assertThrows(() => submit(Math.max), TypeError, "no source text");
    assertThrows(() => submit((() => {}).bind(null)), TypeError, "no source text");
    assertThrows(() => submit({ method() {} }.method), TypeError, "method");
    assertThrows(() => submit(null), TypeError);
    assertThrows(() => submit("1 + 1"), TypeError);
    const outer = 1;
    await assertRejects(
      async () => await submit(() => outer),
      ReferenceError,
      "outer is not defined: a function that a worker is sent must be self-contained",
    );
    await assertRejects(
      async () => await submit(() => () => {}),
      TypeError,
      "result can't be sent",
    );
    const take = (f: () => void) => f();
    assertThrows(
      () => loop.runInExecutor(null, take, () => {}),
      TypeError,
      "argument can't be sent",
    );
    await assertRejects(
      async () => await submit(() => Promise.reject(() => {})),
      TypeError,
      "what the function threw can't be sent",
    );
    assertEquals(await loop.runInExecutor(null, () => "still working"), "still working");
  });
});

Deno.test("arguments are copied at the call, whether a worker is free or not", async () => {
  await using executor = new WorkerExecutor({ maxWorkers: 1 });
  const sum = (data: Uint8Array) => data.reduce((sum, byte) => sum + byte, 0);
  const data = new Uint8Array(10);
  const sums = [1, 2, 3].map((byte) => executor.submit(sum, data.fill(byte)));
  data.fill(9);
  assertEquals(await Promise.all(sums), [10, 20, 30]);
  const shared = new Int32Array(new SharedArrayBuffer(4));
  await executor.submit((numbers: Int32Array) => void (numbers[0] = 5), shared);
  assertEquals(shared[0], 5);
});

Deno.test("a function that ends its worker fails, and the next one gets another", async () => {
  await using executor = new WorkerExecutor({ maxWorkers: 1 });
  const [exits, next] = await Promise.allSettled([
    executor.submit(() => Deno.exit(3)),
    executor.submit(() => "next"),
  ]);
  assert(exits.status === "rejected" && exits.reason.message.includes("exit code 3"));
  assertEquals(next, { status: "fulfilled", value: "next" });
});

Deno.test("shutdown() waits for the work there is, and takes no more", async () => {
  const executor = new WorkerExecutor({ maxWorkers: 1 });
  const jobs = [executor.submit(block, 30), executor.submit(block, 10)];
  const done = executor.shutdown();
  assertThrows(() => executor.submit(block, 1), Error, "shut down");
  await done;
  assertEquals(await Promise.all(jobs), [30, 10]);
  await executor.shutdown();
});

Deno.test("shutdown() gives up after its timeout, and ends what hangs", async () => {
  const executor = new WorkerExecutor({ maxWorkers: 1 });
  const jobs = [executor.submit(hang), executor.submit(() => "never begun")];
  const settled = Promise.allSettled(jobs);
  await executor.shutdown({ timeout: 50 });
  for (const job of await settled) {
    assert(job.status === "rejected" && job.reason.message.includes("50 ms"), String(job.status));
  }
  await assertRejects(() => executor.shutdown({ timeout: -1 }), RangeError);
  assertThrows(() => new WorkerExecutor({ maxWorkers: 0 }), RangeError);
});

Deno.test("shutdown() waits for longer than a timer can, with the longest timeouts", async () => {
  for (const timeout of [Infinity, 2 ** 31]) {
    const executor = new WorkerExecutor({ maxWorkers: 1 });
    const job = executor.submit(block, 20);
    await executor.shutdown({ timeout });
    assertEquals(await job, 20);
  }
});

Deno.test("shutdown() that is aborted goes on: the wait ends, not the work", async () => {
  using loop = newEventLoop();
  const executor = new WorkerExecutor({ maxWorkers: 1 });
  loop.setDefaultExecutor(executor);
  const job = executor.submit(block, 30);
  const controller = new AbortController();
  const waits = [executor.shutdown(controller), loop.shutdownDefaultExecutor(controller)];
  controller.abort(new Error("enough"));
  for (const wait of waits) await assertRejects(() => wait, Error, "enough");
  await assertRejects(() => executor.shutdown(controller), Error, "enough");
  assertThrows(() => executor.submit(block, 1), Error, "shut down");
  assertEquals(await job, 30);
  await executor.shutdown();
});

Deno.test("shutdownDefaultExecutor() with bad options shuts nothing down", async () => {
  using loop = newEventLoop();
  await assertRejects(() => loop.shutdownDefaultExecutor({ timeout: -1 }), RangeError, "timeout");
  await assertRejects(() => loop.shutdownDefaultExecutor({ timeout: NaN }), TypeError, "timeout");
  const signal = {} as AbortSignal;
  await assertRejects(() => loop.shutdownDefaultExecutor({ signal }), TypeError, "signal");
  const inline = {
    submit: <A extends unknown[], R>(f: (...args: A) => R, ...args: A) => f(...args),
  };
  loop.setDefaultExecutor(inline as never);
  const result = loop.runInExecutor(null, () => "open");
  assertEquals(await loop.runUntilComplete(result), "open");
});

Deno.test("shutdown() without work, and right after the first job, leaves nothing behind", async () => {
  await new WorkerExecutor().shutdown();
  const executor = new WorkerExecutor({ maxWorkers: 4 });
  const jobs = Array.from({ length: 4 }, (_, i) => executor.submit((n: number) => n, i));
  await jobs[0];
  await executor.shutdown({ timeout: 10_000 });
  assertEquals(await Promise.all(jobs), [0, 1, 2, 3]);
});

Deno.test("anything with submit() is an executor", async () => {
  await inLoop(async (loop) => {
    const calls: unknown[][] = [];
    let shutdowns = 0;
    const executor = {
      submit: <A extends unknown[], R>(func: (...args: A) => R, ...args: A) => {
        calls.push(args);
        return func(...args);
      },
      shutdown: () => void shutdowns++,
    };
    loop.setDefaultExecutor(executor);
    assertEquals(await loop.runInExecutor(null, Math.max, 1, 2), 2);
    assertEquals(await loop.runInExecutor(executor, Math.min, 3, 4), 3);
    assertEquals(calls, [[1, 2], [3, 4]]);
    await loop.shutdownDefaultExecutor();
    assertEquals(shutdowns, 1);
    assertThrows(() => loop.runInExecutor(null, Math.max, 1), Error, "has been shut down");
    assertThrows(() => loop.setDefaultExecutor({} as Executor), TypeError, "submit()");
    assertThrows(() => loop.runInExecutor({} as Executor, Math.max, 1), TypeError, "submit()");
  });
});

Deno.test("a cancelled future no longer waits, and an error that comes then is told", async () => {
  const contexts: ExceptionContext[] = [];
  await inLoop(async (loop) => {
    loop.setExceptionHandler((_loop, context) => contexts.push(context));
    const future = loop.runInExecutor(null, () => {
      throw new Error("too late");
    });
    future.cancel();
    await assertRejects(async () => await future, CancelledError);
    await loop.shutdownDefaultExecutor();
    await sleep(0);
  });
  assertEquals((contexts[0]?.exception as Error).message, "too late");
  assertEquals(contexts.length, 1);
});

Deno.test("cancelling a future takes back what no worker has begun", async () => {
  await using executor = new WorkerExecutor({ maxWorkers: 1 });
  await inLoop(async (loop) => {
    loop.setExceptionHandler((_loop, { message }) => {
      throw new Error(message);
    });
    const flag = new Int32Array(new SharedArrayBuffer(4));
    const raise = (flag: Int32Array) => Atomics.add(flag, 0, 1);
    const first = loop.runInExecutor(executor, block, 50);
    const second = loop.runInExecutor(executor, raise, flag);
    const third = loop.runInExecutor(executor, raise, flag);
    second.cancel();
    assertEquals(await first, 50);
    assertEquals(await third, 0);
    await assertRejects(async () => await second, CancelledError);
    assertEquals(flag[0], 1);
    assertEquals(executor.cancel(Promise.resolve()), false);
  });
});

Deno.test("run() shuts the default executor down; a closed loop runs nothing", async () => {
  let loop: EventLoop | undefined;
  await run(async () => {
    const { getRunningLoop } = await import("@asyncio/streams");
    loop = getRunningLoop();
    assertEquals(await loop.runInExecutor(null, () => 1), 1);
  });
  assertThrows(() => loop!.runInExecutor(null, () => 1), Error, "closed");
});

Deno.test("a worker gets bytes as fast as their memory alone", async () => {
  await using executor = new WorkerExecutor({ maxWorkers: 1 });
  const length = (data: Uint8Array | ArrayBuffer) => data.byteLength;
  const timeOf = async (data: Uint8Array | ArrayBuffer) => {
    const start = performance.now();
    assertEquals(await executor.submit(length, data), data.byteLength);
    return performance.now() - start;
  };
  await timeOf(new Uint8Array(1)); // Starts the worker.
  const plain = await timeOf(new ArrayBuffer(8e6));
  assert(await timeOf(new Uint8Array(8e6)) < 10 * plain + 300); // It took 160 ns a byte.
});

Deno.test("what a function posts by itself is nobody's answer", async () => {
  await using executor = new WorkerExecutor({ maxWorkers: 1 });
  const chatty = async () => {
    const { parentPort } = await import("node:worker_threads");
    for (const message of ["progress", null, undefined, 5, { result: "forged" }, { id: -1 }]) {
      parentPort!.postMessage(message);
    }
    return "done";
  };
  assertEquals(await executor.submit(chatty), "done");
  assertEquals(await executor.submit(() => 2), 2);
});

Deno.test("an error may have the name of anything that objects have", async () => {
  await using executor = new WorkerExecutor({ maxWorkers: 1 });
  const fail = (name: string) => {
    const error = new Error("thrown");
    error.name = name;
    throw error;
  };
  for (const name of ["toString", "constructor", "__proto__", "hasOwnProperty"]) {
    const error = await assertRejects(() => executor.submit(fail, name), Error, "thrown");
    assertEquals(error.name, name);
  }
});

Deno.test("what a function leaves behind fails nobody else's", async () => {
  await using executor = new WorkerExecutor({ maxWorkers: 1 });
  const quiet = () => {
    console.error = () => {};
  };
  const leaveRejection = () => {
    Promise.reject(new Error("left behind"));
    return 1;
  };
  const leaveTimer = () => {
    setTimeout(() => {
      throw new Error("left behind");
    });
    return 2;
  };
  await executor.submit(quiet);
  for (let i = 0; i < 5; i++) {
    assertEquals(await Promise.all([executor.submit(leaveRejection), executor.submit(() => 3)]), [
      1,
      3,
    ]);
  }
  assertEquals(await executor.submit(leaveTimer), 2);
  await sleep(20);
  assertEquals(await executor.submit(() => 4), 4);
});

Deno.test("whatever comes of a function that ends its worker, the next one gets another", async () => {
  await using executor = new WorkerExecutor({ maxWorkers: 1 });
  const end = () => {
    globalThis.close();
    return "ended";
  };
  for (let i = 0; i < 10; i++) {
    const [ended, next] = await Promise.allSettled([
      executor.submit(end),
      executor.submit(() => "next"),
    ]);
    if (ended.status === "rejected") assertMatch(ended.reason.message, /ended/);
    // It may have been given to the worker that was about to end.
    if (next.status === "rejected") assertMatch(next.reason.message, /ended/);
    assertEquals(await executor.submit((n: number) => n, i), i);
  }
});

Deno.test("a number of workers is a whole one", () => {
  assertThrows(() => new WorkerExecutor({ maxWorkers: 1.5 }), TypeError, "integer");
  assertThrows(() => new WorkerExecutor({ maxWorkers: 0 }), RangeError);
});
