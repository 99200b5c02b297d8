import { assert, assertEquals } from "@std/assert";
import { parseRecordings, replaySockets } from "../conformance/replay_sockets.ts";
import { whyNoPython } from "./python.ts";

/** How many programs a run of this test adds to the committed ones. */
const COUNT = 100;
const record = `${import.meta.dirname}/../conformance/record_sockets.py`;
const why = await whyNoPython(10);

Deno.test({
  name: "readers and writers are called in the order of this machine's CPython, with a fresh seed" +
    (why === null ? "" : ` (ignored: ${why})`),
  ignore: why !== null,
  async fn() {
    const seed = Number(Deno.args[0] ?? crypto.getRandomValues(new Uint32Array(1))[0]);
    console.log(
      `seed ${seed}; to repeat it: deno test … fresh_sockets_recording_test.ts -- ${seed}`,
    );
    const { code, stdout, stderr } = await new Deno.Command("python3", {
      args: ["-W", "ignore", record, `--seed=${seed}`, `--count=${COUNT}`],
    }).output();
    assertEquals(code, 0, new TextDecoder().decode(stderr));
    const recordings = parseRecordings(new TextDecoder().decode(stdout));
    assert(recordings.length > COUNT / 2, `only ${recordings.length} programs`);
    for (const { name, program, log } of recordings) {
      assertEquals(await replaySockets(program), log, `${name}: ${JSON.stringify(program)}`);
    }
  },
});
