import { assertEquals } from "@std/assert";
import { assertNoDifference, replay } from "../conformance/replay.ts";
import { whyNoPython } from "./python.ts";

/** How many step lists a run of this test adds to the committed ones. */
const COUNT = 500;
const record = `${import.meta.dirname}/../conformance/record.py`;

const why = await whyNoPython(8);

Deno.test({
  name: "StreamReader does what this machine's CPython does with a fresh seed" +
    (why === null ? "" : ` (ignored: ${why})`),
  ignore: why !== null,
  async fn() {
    const seed = Number(Deno.args[0] ?? crypto.getRandomValues(new Uint32Array(1))[0]);
    console.log(`seed ${seed}; to repeat it: deno test … fresh_recording_test.ts -- ${seed}`);
    const { code, stdout, stderr } = await new Deno.Command("python3", {
      args: [record, `--seed=${seed}`, `--count=${COUNT}`],
    }).output();
    assertEquals(code, 0, new TextDecoder().decode(stderr));
    const report = await replay(new TextDecoder().decode(stdout));
    assertNoDifference(report);
    assertEquals(report.lists, COUNT);
    console.log(`${report.lists} step lists, ${report.steps} steps, of CPython ${report.python}`);
  },
});
