// deno run examples/signal_handlers.ts
//
// Handlers for SIGINT and SIGTERM, from asyncio's documentation: the first of them ends the program
// in order, which otherwise ends after an hour.
import { CancelledError, getRunningLoop, run, sleep, type Task } from "@asyncio/streams";

function askExit(name: Deno.Signal, task: Task<void>): void {
  console.log(`got signal ${name}: exit`);
  task.cancel();
}

async function main(): Promise<void> {
  const loop = getRunningLoop();
  const task = loop.createTask((signal) => sleep(3_600_000, undefined, { signal }));
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    loop.addSignalHandler(name, askExit, name, task);
  }
  console.log("The loop runs for an hour; press Ctrl+C to interrupt.");
  console.log(`pid ${Deno.pid}: send SIGINT or SIGTERM to exit.`);
  try {
    await task;
  } catch (error) {
    if (!(error instanceof CancelledError)) throw error;
  }
}

await run(main);
