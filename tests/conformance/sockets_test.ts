// Replays the programs that record_sockets.py recorded on CPython, and compares what they log.
import { assert, assertEquals } from "@std/assert";
import { parseRecordings, replaySockets } from "./replay_sockets.ts";

const recordings = parseRecordings(
  Deno.readTextFileSync(new URL("sockets.jsonl", import.meta.url)),
);

for (const { name, program, log } of recordings.filter(({ name }) => !/^made up/.test(name))) {
  Deno.test(`CPython's readers and writers: ${name}`, async () => {
    assertEquals(await replaySockets(program), log);
  });
}

Deno.test("CPython's readers and writers: programs that were made up", async () => {
  const madeUp = recordings.filter(({ name }) => /^made up/.test(name));
  assert(madeUp.length > 100, `only ${madeUp.length} programs`);
  for (const { name, program, log } of madeUp) {
    const ours = await replaySockets(program);
    assertEquals(ours, log, `${name}: ${JSON.stringify(program)}`);
  }
});
