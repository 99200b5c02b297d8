import { assertEquals } from "@std/assert";
import { assertNoDifference, replay } from "./replay.ts";

const recording = await Deno.readTextFile(new URL("./reader.jsonl", import.meta.url));

Deno.test("StreamReader does what CPython's does in every recorded step list", async () => {
  const report = await replay(recording);
  assertNoDifference(report);
  assertEquals(report.lists >= 3000, true, `only ${report.lists} step lists`);
  console.log(`${report.lists} step lists, ${report.steps} steps, of CPython ${report.python}`);
});

for (
  const [what, list, ours] of [
    ["a value", [8, "+ab", "r5 0=ax"], "0=ab"],
    ["a missing outcome", [8, "l", "+a\n"], "0=a\n"],
    ["an outcome that does not come", [8, "l 0=", "$ 0="], ""],
    ["a kind of error", [8, "x-1 0r"], "0v"],
    ["a consumed count", [2, "+abcd", "u|\n 0>3"], "0>4"],
    ["a partial result", [8, "+ab $", "x5 0?5:a @"], "0?5:ab @"],
    ["the end of file", [8, "+a $ @"], ""],
    ["an exception", [8, "!e1 l 0!e2 *e1"], "0!e1 *e1"],
  ] as const
) {
  Deno.test(`replay() tells a difference in ${what}`, async () => {
    const head = { python: "none", seed: 0 };
    const { differences } = await replay([head, list].map((l) => JSON.stringify(l)).join("\n"));
    assertEquals(differences.length, 1);
    assertEquals(
      differences[0]!.includes(`ours:    ${JSON.stringify(ours)}`),
      true,
      differences[0],
    );
  });
}
