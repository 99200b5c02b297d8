import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import {
  CancelledError,
  type CreateTaskOptions,
  type ExceptionContext,
  Future,
  getEventLoop,
  newEventLoop,
  sleep,
  Task,
  type TaskSource,
} from "@asyncio/streams";

/** The reports that the default loop's exception handler gets while `body` runs. */
async function reportsOf(body: () => Promise<void>): Promise<ExceptionContext[]> {
  const loop = getEventLoop();
  const contexts: ExceptionContext[] = [];
  loop.setExceptionHandler((_loop, context) => void contexts.push(context));
  try {
    await body();
    await sleep(2);
  } finally {
    loop.setExceptionHandler(null);
  }
  return contexts;
}

Deno.test("a task runs a function in the next batch, or follows a promise", async () => {
  const loop = getEventLoop();
  let started = false;
  const task = loop.createTask(() => {
    started = true;
    return "result";
  });
  assert(task instanceof Task);
  assertEquals(started, false);
  assertEquals(await task, "result");
  assertEquals(await loop.createTask(Promise.resolve(2)), 2);
  assertEquals(await loop.createTask(async () => await sleep(1, 3)), 3);
  const future = loop.createFuture<number>();
  future.setResult(4);
  assertEquals(await loop.createTask(future), 4);
});

Deno.test("a task fails with what its function throws, at once or later", async () => {
  const loop = getEventLoop();
  const atOnce = loop.createTask(() => {
    throw new RangeError("at once");
  });
  await assertRejects(async () => await atOnce, RangeError, "at once");
  const later = loop.createTask(() => Promise.reject(new RangeError("later")));
  await assertRejects(async () => await later, RangeError, "later");
  assertEquals((later.exception() as Error).message, "later");
});

Deno.test("a task does with a thenable what await does, also with a broken one", async () => {
  using loop = newEventLoop();
  const refuse = () => {
    throw new Error("broken");
  };
  const broken: unknown[] = [{ then: refuse }, Object.defineProperty({}, "then", { get: refuse })];
  for (const thenable of broken) {
    await assertRejects(() => loop.runUntilComplete(() => thenable), Error, "broken");
  }
  type Settle = (value: unknown) => void;
  const nested = {
    then(resolve: Settle, reject: Settle) {
      resolve(Promise.resolve("the value"));
      reject(new Error("too late to count"));
    },
  };
  assertEquals(await loop.runUntilComplete(() => nested as PromiseLike<unknown>), "the value");
});

Deno.test("a future or a task without a loop says who makes one", () => {
  type Loose = new (...args: unknown[]) => unknown;
  for (const args of [[], [{}], [{ loop: null }]]) {
    assertThrows(() => new (Future as unknown as Loose)(...args), TypeError, "createFuture()");
    assertThrows(() => new (Task as Loose)(() => {}, ...args), TypeError, "createTask()");
  }
});

Deno.test("a task can be neither of nothing nor ended from outside", () => {
  const loop = getEventLoop();
  assertThrows(() => loop.createTask(1 as unknown as () => void), TypeError, "a function or a");
  assertThrows(() => loop.createTask(null as unknown as () => void), TypeError, "a function or a");
  using other = newEventLoop();
  other.setExceptionHandler(() => {});
  const task = other.createTask(() => 1);
  assertThrows(() => task.setResult(2), Error, "not for tasks");
  assertThrows(() => task.setException(new Error()), Error, "not for tasks");
});

Deno.test("tasks have names", async () => {
  const loop = getEventLoop();
  const task = loop.createTask(() => {}, { name: "fetch" });
  assertEquals(task.getName(), "fetch");
  assertEquals(Deno.inspect(task), 'Task "fetch" <pending>');
  task.setName("store");
  assertEquals(task.getName(), "store");
  const other = loop.createTask(() => {});
  assert(/^Task-\d+$/.test(other.getName()));
  assertEquals(loop.allTasks(), [task, other]);
  await task;
  await other;
  assertEquals(loop.allTasks(), []);
});

Deno.test("cancel() aborts the signal, and the task ends when its function does", async () => {
  const log: string[] = [];
  const task = getEventLoop().createTask(async (signal) => {
    try {
      await sleep(60_000, null, { signal });
    } finally {
      await sleep(1);
      log.push("cleaned up");
    }
  });
  await sleep(0);
  assertEquals(task.cancel("enough"), true);
  assertEquals(task.cancelling(), 1);
  assertEquals(task.done(), false);
  await assertRejects(async () => await task, CancelledError, "enough");
  assertEquals(log, ["cleaned up"]);
  assertEquals([task.cancelled(), task.cancel()], [true, false]);
});

Deno.test("a function that catches its cancellation may still return a result", async () => {
  const task = getEventLoop().createTask((signal) =>
    sleep(60_000, "never", { signal }).catch(() => "caught")
  );
  await sleep(0);
  task.cancel();
  assertEquals(await task, "caught");
  assertEquals(task.cancelled(), false);
});

Deno.test("uncancel() takes a request back and gives a new signal", async () => {
  const reasons: string[] = [];
  const task: Task<string> = getEventLoop().createTask(async (first) => {
    await sleep(60_000, null, { signal: first }).catch((e) => reasons.push(e.message));
    assertEquals(task.uncancel(), 0);
    assertEquals(task.uncancel(), 0);
    assert(task.signal !== first && !task.signal.aborted);
    await sleep(60_000, null, { signal: task.signal });
    return "never";
  });
  await sleep(0);
  task.cancel("one");
  await sleep(1);
  task.cancel("two");
  await assertRejects(async () => await task, CancelledError, "two");
  assertEquals(reasons, ["one"]);
});

Deno.test("a task that does not know of its signal is cancelled at once", async () => {
  const loop = getEventLoop();
  const { promise, resolve } = Promise.withResolvers<void>();
  for (const task of [loop.createTask(() => promise), loop.createTask(promise)]) {
    await sleep(0);
    task.cancel();
    assertEquals(task.done(), false);
    await assertRejects(async () => await task, CancelledError);
  }
  resolve();
});

Deno.test("what such a task still fails with is reported", async () => {
  const contexts = await reportsOf(async () => {
    const { promise, reject } = Promise.withResolvers<void>();
    const task = getEventLoop().createTask(promise, { name: "late" });
    task.cancel();
    await assertRejects(async () => await task, CancelledError);
    reject(new Error("too late"));
  });
  assertEquals(contexts.map(({ message }) => message), ["late failed after it was cancelled"]);
});

Deno.test("a task that is cancelled before it starts does not start", async () => {
  let started = false;
  const task = getEventLoop().createTask(() => started = true);
  task.cancel();
  await assertRejects(async () => await task, CancelledError);
  assertEquals(started, false);
});

Deno.test("a task obeys a signal, whose reason is the cause", async () => {
  const controller = new AbortController();
  const { signal } = controller;
  const loop = getEventLoop();
  const task = loop.createTask((own) => sleep(60_000, null, { signal: own }), { signal });
  await sleep(0);
  controller.abort(new Error("shutting down"));
  const error = await assertRejects(async () => await task, CancelledError);
  assertEquals((error.cause as Error).message, "shutting down");
  const late = loop.createTask(() => "never", { signal });
  await assertRejects(async () => await late, CancelledError);
});

Deno.test("an AbortError in a cancelled task counts as its cancellation", async () => {
  const task = getEventLoop().createTask((signal) =>
    new Promise((_resolve, reject) => {
      signal.addEventListener("abort", () => reject(new DOMException("aborted", "AbortError")));
    })
  );
  await sleep(0);
  task.cancel("enough");
  await assertRejects(async () => await task, CancelledError, "enough");
});

Deno.test("a task that awaits something cancelled is cancelled itself", async () => {
  const loop = getEventLoop();
  const future = loop.createFuture();
  const task = loop.createTask(async () => await future);
  await sleep(0);
  future.cancel();
  await assertRejects(async () => await task, CancelledError);
  assertEquals(task.cancelled(), true);
});

Deno.test("an exception that nobody asks for is reported, with the task", async () => {
  let task: Task | undefined;
  const contexts = await reportsOf(async () => {
    task = getEventLoop().createTask(() => Promise.reject(new Error("lost")));
    await sleep(1);
  });
  assertEquals(contexts.map(({ message }) => message), ["Task exception was never retrieved"]);
  assertStrictEquals(contexts[0]?.task, task);
});

Deno.test("debug mode says where a task was made", async () => {
  const loop = getEventLoop();
  loop.setDebug(true);
  const contexts = await reportsOf(async () => {
    loop.createTask(() => Promise.reject(new Error("lost")));
    await sleep(1);
  });
  loop.setDebug(false);
  assert(contexts[0]?.sourceTraceback?.includes("task_test.ts"), contexts[0]?.sourceTraceback);
});

Deno.test("a task factory makes the loop's tasks", async () => {
  using loop = newEventLoop();
  const names: (string | undefined)[] = [];
  const factory = <T>(_loop: unknown, source: TaskSource<T>, options: CreateTaskOptions) => {
    names.push(options.name);
    return new Task(source, { ...options, loop });
  };
  assertEquals(loop.getTaskFactory(), null);
  loop.setTaskFactory(factory);
  assertStrictEquals(loop.getTaskFactory(), factory);
  assertEquals(await loop.runUntilComplete(loop.createTask(() => 1, { name: "made" })), 1);
  assertEquals(names, ["made"]);
  loop.setTaskFactory(null);
  assertThrows(() => loop.setTaskFactory(1 as unknown as null), TypeError, "task factory");
});
