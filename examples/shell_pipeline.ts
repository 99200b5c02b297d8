// deno run --allow-run=/bin/sh,sort examples/shell_pipeline.ts
//
// A pipeline of two child processes, what runs between them being TypeScript: a shell command's
// lines are numbered on their way to `sort -r`. No line is taken before there is room for the next.
import { createSubprocessExec, createSubprocessShell } from "@asyncio/streams";

const command = Deno.args[0] ?? "for name in Ann Cleo Bob; do echo $name; done";

await using source = await createSubprocessShell(command, { stdin: "null", stdout: "piped" });
await using sink = await createSubprocessExec("sort", ["-r"], { stdin: "piped", stdout: "piped" });

async function pump(): Promise<void> {
  let n = 0;
  for await (const line of source.stdout!) {
    sink.stdin!.write(`${++n} `);
    sink.stdin!.write(line);
    await sink.stdin!.drain();
  }
  sink.stdin!.close();
}

async function print(): Promise<void> {
  for await (const line of sink.stdout!) console.log(new TextDecoder().decode(line).trimEnd());
}

await Promise.all([pump(), print()]);
console.log(`The command returned ${await source.wait()}, sort ${await sink.wait()}`);
