import { assert, assertEquals } from "@std/assert";
import { parseRecordings, replayLoop } from "../conformance/replay_loop.ts";
import { whyNoPython } from "./python.ts";

/** How many programs a run of this test adds to the committed ones. */
const COUNT = 150;
const record = `${import.meta.dirname}/../conformance/record_loop.py`;
const why = await whyNoPython(10);

Deno.test({
  name: "the loop calls things in the order of this machine's CPython, with a fresh seed" +
    (why === null ? "" : ` (ignored: ${why})`),
  ignore: why !== null,
  async fn() {
    const seed = Number(Deno.args[0] ?? crypto.getRandomValues(new Uint32Array(1))[0]);
    console.log(`seed ${seed}; to repeat it: deno test … fresh_loop_recording_test.ts -- ${seed}`);
    const { code, stdout, stderr } = await new Deno.Command("python3", {
      args: ["-W", "ignore", record, `--seed=${seed}`, `--count=${COUNT}`],
      signal: AbortSignal.timeout(60_000),
    }).output();
    assertEquals(code, 0, new TextDecoder().decode(stderr));
    const recordings = parseRecordings(new TextDecoder().decode(stdout));
    assert(recordings.length > COUNT / 2, `only ${recordings.length} programs`);
    for (const { name, program, log } of recordings) {
      assertEquals(await replayLoop(program), log, `${name}: ${JSON.stringify(program)}`);
    }
  },
});
