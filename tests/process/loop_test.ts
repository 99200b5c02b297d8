import { assert, assertEquals } from "@std/assert";
import { Program } from "../project/program.ts";

/** Runs a module in a process of its own, and gives what it printed. */
async function runModule(
  code: string,
  { permissions = [], env = {} }: { permissions?: string[]; env?: Record<string, string> } = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  const imports = `import * as asyncio from "@asyncio/streams";\n`;
  const args = ["run", "--no-prompt", ...permissions, "--ext=ts", "-"];
  await using program = new Program(args, imports + code, env);
  return await program.end();
}

Deno.test("a signal handler is called in the loop, in its caller's async context", async () => {
  const { stdout, stderr } = await runModule(
    `
    import { AsyncLocalStorage } from "node:async_hooks";
    const storage = new AsyncLocalStorage<string>();
    const loop = asyncio.newEventLoop();
    loop.addSignalHandler("SIGUSR1", () => console.log("replaced: never called"));
    let signals = 0;
    storage.run("caller", () =>
      loop.addSignalHandler("SIGUSR1", (text: string) => {
        console.log(text, storage.getStore(), loop.isRunning());
        if (++signals === 2) loop.stop();
        else Deno.kill(Deno.pid, "SIGUSR1");
      }, "got it"));
    storage.run("other", () => loop.addSignalHandler("SIGUSR2", () => console.log("other")));
    loop.callSoon(() => Deno.kill(Deno.pid, "SIGUSR1"));
    await loop.runForever();
    console.log(loop.removeSignalHandler("SIGUSR1"), loop.removeSignalHandler("SIGUSR1"));
    loop.close();
    `,
    { permissions: ["--allow-run"] },
  );
  assertEquals(stdout, "got it caller true\ngot it caller true\ntrue false\n", stderr);
});

Deno.test("closing the loop gives signals back their meaning", async () => {
  const { code } = await runModule(
    `
    const loop = asyncio.newEventLoop();
    loop.addSignalHandler("SIGTERM", () => console.log("never called"));
    loop.close();
    Deno.kill(Deno.pid, "SIGTERM");
    setTimeout(() => {}, 5_000);
    `,
    { permissions: ["--allow-run"] },
  );
  assertEquals(code, 128 + 15);
});

Deno.test("signals that can't be caught are refused", async () => {
  const { stdout, stderr } = await runModule(`
    const loop = asyncio.getEventLoop();
    for (const signal of ["SIGKILL", "SIGNONE"] as Deno.Signal[]) {
      try {
        loop.addSignalHandler(signal, () => {});
      } catch (error) {
        console.log((error as Error).name);
      }
    }
  `);
  assertEquals(stdout, "TypeError\nTypeError\n", stderr);
});

Deno.test("cancelled timers and signal handlers keep no process alive, live timers do", async () => {
  const start = performance.now();
  const { code, stdout, stderr } = await runModule(`
    const loop = asyncio.getEventLoop();
    loop.addSignalHandler("SIGUSR1", () => {});
    const handles = Array.from({ length: 10 }, () => loop.callLater(60_000, () => {}));
    for (const handle of handles) handle.cancel();
    loop.callLater(20, () => console.log("fired"));
  `);
  assertEquals({ code, stdout }, { code: 0, stdout: "fired\n" }, stderr);
  assert(performance.now() - start < 30_000);
});

Deno.test("runForever() keeps the process alive with nothing to do", async () => {
  const { code, stdout, stderr } = await runModule(`
    const loop = asyncio.newEventLoop();
    Deno.unrefTimer(setTimeout(() => loop.stop(), 30));
    await loop.runForever();
    console.log("stopped");
    loop.close();
  `);
  assertEquals({ code, stdout }, { code: 0, stdout: "stopped\n" }, stderr);
});

Deno.test("ASYNCIO_DEBUG switches debug mode on where it may be read, and nobody is asked", async () => {
  const code = `console.log(asyncio.getEventLoop().getDebug())`;
  const env = { ASYNCIO_DEBUG: "1" };
  const permissions = ["--allow-env=ASYNCIO_DEBUG"];
  assertEquals((await runModule(code, { env, permissions })).stdout, "true\n");
  assertEquals((await runModule(code, { permissions })).stdout, "false\n");
  assertEquals(
    (await runModule(code, { env: { ASYNCIO_DEBUG: "0" }, permissions })).stdout,
    "false\n",
  );
  assertEquals((await runModule(code, { env })).stdout, "false\n");
});

Deno.test("a task that fails and that nobody awaits does not end the process", async () => {
  const { code, stdout, stderr } = await runModule(`
    asyncio.getEventLoop().createTask(() => Promise.reject(new Error("lost")));
    await asyncio.sleep(5);
    console.log("still here");
  `);
  assertEquals({ code, stdout }, { code: 0, stdout: "still here\n" }, stderr);
  assert(stderr.startsWith("Task exception was never retrieved Error: lost"), stderr);
});
