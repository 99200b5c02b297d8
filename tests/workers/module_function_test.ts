import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { getEventLoop, WorkerExecutor } from "@asyncio/streams";
import double, { describe } from "./functions.ts";

const module = import.meta.resolve("./functions.ts");

Deno.test("a module's function runs in its module, which a worker loads once", async () => {
  await using executor = new WorkerExecutor({ maxWorkers: 1 });
  const results = await Promise.all([
    executor.submit({ module, func: describe }, "Ann"),
    executor.submit({ module: new URL(module), name: "describe" }, "Bob"),
    executor.submit({ module, func: double, name: "default" }, 21),
  ]);
  assertEquals(results, ["hello Ann, call 1", "hello Bob, call 2", 42]);
});

Deno.test("runInExecutor() infers a module function's types", async () => {
  await using executor = new WorkerExecutor();
  const result: string = await getEventLoop()
    .runInExecutor(executor, { module, func: describe }, "Ann");
  assertEquals(result, "hello Ann, call 1");
});

Deno.test("what a module doesn't export, or what is no function, is told", async () => {
  await using executor = new WorkerExecutor();
  const missing = { module, name: "missing" };
  await assertRejects(() => executor.submit(missing), TypeError, 'no function named "missing"');
  await assertRejects(() => executor.submit({ module, name: "answer" }), TypeError);
  await assertRejects(() => executor.submit({ module: `${module}.not`, name: "x" }), TypeError);
  assertThrows(
    () => executor.submit({ module: "./functions.ts", name: "x" }),
    TypeError,
    "absolute",
  );
  assertThrows(() => executor.submit({ module }), TypeError, "needs a name");
});
