import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import {
  EventLoop,
  type ExceptionContext,
  getEventLoop,
  newEventLoop,
  sleep,
} from "@asyncio/streams";

/** What is printed to the standard error output while `body` runs. */
async function printed(
  method: "error" | "warn",
  body: () => void | Promise<void>,
): Promise<string[]> {
  const original = console[method];
  const lines: string[] = [];
  console[method] = (...args: unknown[]) => {
    lines.push(args.map((arg) => typeof arg === "string" ? arg : Deno.inspect(arg)).join(" "));
  };
  try {
    await body();
  } finally {
    console[method] = original;
  }
  return lines;
}

const boom = () => {
  throw new Error("boom");
};

Deno.test("a callback that throws, or returns a promise that rejects, is reported", async () => {
  using loop = newEventLoop();
  const contexts: ExceptionContext[] = [];
  loop.setExceptionHandler((inLoop, context) => {
    assertStrictEquals(inLoop, loop);
    contexts.push(context);
  });
  const handle = loop.callSoon(boom);
  loop.callSoon(() => Promise.reject(new Error("later")));
  await loop.runUntilComplete(() => sleep(1));
  assertEquals(contexts.map(({ message }) => message), [
    "Exception in callback boom",
    "Exception in callback (anonymous)",
  ]);
  assertEquals(contexts.map(({ exception }) => (exception as Error).message), ["boom", "later"]);
  assertStrictEquals(contexts[0]?.handle, handle);
});

Deno.test("the default handler prints both errors where disposal failed, too", async () => {
  const exception = new SuppressedError(new Error("closing failed"), new Error("bad request"));
  const lines = await printed("error", () => {
    getEventLoop().callExceptionHandler({ message: "A handler failed", exception });
  });
  assert(/First: Error: bad request.*Then: Error: closing failed/s.test(lines[0]!), lines[0]);
});

Deno.test("the default handler prints the message, the exception and what is known", async () => {
  const lines = await printed("error", () => {
    getEventLoop().callExceptionHandler({
      message: "Something broke",
      exception: new Error("boom"),
      peername: { transport: "tcp", hostname: "127.0.0.1", port: 1 },
      sourceTraceback: "    at here",
    });
    getEventLoop().callExceptionHandler({ message: "Nothing else is known" });
  });
  assert(/^Something broke Error: boom.*"127\.0\.0\.1".*Made at\n {4}at here$/s.test(lines[0]!));
  assertEquals(lines[1], "Nothing else is known");
});

Deno.test("a handler that throws falls back to the default one, with both errors", async () => {
  using loop = newEventLoop();
  loop.setExceptionHandler(boom);
  const lines = await printed("error", () => {
    loop.callExceptionHandler({ message: "First", exception: new Error("original") });
  });
  assertEquals(lines.length, 1);
  for (const part of ["Unhandled error in exception handler", "boom", "First", "original"]) {
    assert(lines[0]?.includes(part), lines[0]);
  }
});

Deno.test("a handler that rejects falls back, too", async () => {
  using loop = newEventLoop();
  loop.setExceptionHandler(() => Promise.reject(new Error("later")));
  const lines = await printed("error", async () => {
    loop.callExceptionHandler({ message: "First", exception: new Error("original") });
    await sleep(0);
  });
  assertEquals(lines.length, 1);
  for (const part of ["Unhandled error in exception handler", "later", "First", "original"]) {
    assert(lines[0]?.includes(part), lines[0]);
  }
});

Deno.test("even a default handler that throws loses nothing", async () => {
  class Broken extends EventLoop {
    override defaultExceptionHandler(): void {
      boom();
    }
  }
  using loop = new Broken();
  const lines = await printed("error", () => loop.callExceptionHandler({ message: "First" }));
  assert(lines[0]?.includes("First") && lines[0].includes("boom"), lines[0]);
});

Deno.test("a handler can be set, got and taken back", () => {
  using loop = newEventLoop();
  const handler = () => {};
  assertEquals(loop.getExceptionHandler(), null);
  loop.setExceptionHandler(handler);
  assertStrictEquals(loop.getExceptionHandler(), handler);
  loop.setExceptionHandler(null);
  assertEquals(loop.getExceptionHandler(), null);
  assertThrows(() => loop.setExceptionHandler(1 as unknown as null), TypeError, "function or null");
});

Deno.test("debug mode reports slow callbacks, and where they came from", async () => {
  using loop = newEventLoop();
  loop.setDebug(true);
  loop.slowCallbackDuration = 5;
  const lines = await printed("warn", async () => {
    loop.callSoon(function busy() {
      for (const start = performance.now(); performance.now() - start < 8;);
    });
    loop.callSoon(function quick() {});
    await loop.runUntilComplete(() => sleep(0));
  });
  assertEquals(lines.length, 1, lines.join("\n"));
  assert(
    /^Callback busy took \d+\.\d ms, made at\n.*exception_handling_test/.test(lines[0]!),
    lines[0],
  );
});

Deno.test("without debug mode nobody measures", async () => {
  using loop = newEventLoop();
  assertEquals(loop.getDebug(), false);
  loop.slowCallbackDuration = 0;
  const lines = await printed("warn", async () => await loop.runUntilComplete(() => {}));
  assertEquals(lines, []);
});
