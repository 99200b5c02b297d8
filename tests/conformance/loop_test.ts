import { assert, assertEquals } from "@std/assert";
import { parseRecordings, replayLoop } from "./replay_loop.ts";

const recordings = parseRecordings(
  Deno.readTextFileSync(new URL("loop.jsonl", import.meta.url)),
);
const madeUp = recordings.filter(({ name }) => name.startsWith("made up"));

for (
  const { name, program, log } of recordings.filter((recording) => !madeUp.includes(recording))
) {
  Deno.test(`CPython's order: ${name}`, async () => {
    assertEquals(await replayLoop(program), log);
  });
}

Deno.test("CPython's order: programs that were made up", async () => {
  assert(madeUp.length > 150, `only ${madeUp.length} programs`);
  for (const { name, program, log } of madeUp) {
    assertEquals(await replayLoop(program), log, `${name}: ${JSON.stringify(program)}`);
  }
});
