import { assertEquals } from "@std/assert";

/** Runs a module in a process of its own that may do nothing, and gives what it printed. */
async function runModule(code: string) {
  const { stdout, stderr, code: exitCode } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-check", "--ext=ts", `import * as asyncio from "@asyncio/streams";${code}`],
    env: { NO_COLOR: "1" },
  }).output();
  const decoder = new TextDecoder();
  return { code: exitCode, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

Deno.test("idle workers keep no process alive, busy ones do", async () => {
  const { stdout, stderr, code } = await runModule(`
    const loop = asyncio.getEventLoop();
    console.log(await loop.runInExecutor(null, () => "first"));
    loop.runInExecutor(null, () => {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
      return "second";
    }).then(console.log);
  `);
  assertEquals({ code, stdout }, { code: 0, stdout: "first\nsecond\n" }, stderr);
});
