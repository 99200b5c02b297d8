/**
 * A reader that is fed by hand: no socket, no second process, only the reader.
 *
 * @module
 */
import { type Goal, judge, medians, type Outcome } from "./outcome.ts";
import { output, path } from "./tools.ts";
import type { Settings, Workload } from "./workloads.ts";

const KINDS = ["lines", "frames", "readUntil"];
const GOAL = { bound: "at least", value: 10 } as const satisfies Partial<Goal>;

async function measure({ tools: { python }, rounds, seconds }: Settings): Promise<Outcome> {
  const ours = () =>
    output(Deno.execPath(), ["run", "--quiet", path("fed/ours.ts"), `${seconds}`], "inherit");
  const theirs = () =>
    python === null
      ? Promise.resolve(null)
      : output(python, [path("fed/asyncio_reader.py"), `${seconds}`], "inherit");

  const figures: Record<string, number[]> = {};
  for (let round = 0; round < rounds; round++) {
    for (const [name, program] of [["ours", ours], ["asyncio", theirs]] as const) {
      const printed = await program();
      if (printed === null) continue;
      const rates: Record<string, number> = JSON.parse(printed);
      for (const [kind, rate] of Object.entries(rates)) {
        const label = kind === "floor" ? "floor: a view, an await" : `${name}, ${kind}`;
        (figures[label] ??= []).push(rate);
      }
    }
  }
  const verdicts = KINDS.flatMap((kind) =>
    judge(figures, `ours, ${kind}`, [{ ...GOAL, against: `asyncio, ${kind}` }])
  );
  return {
    id: "i",
    title: "A reader fed by hand: lines of 64 B, frames of 4 + 100 B, readUntil of 60 + 4 B",
    unit: "records/s",
    medians: medians(figures),
    rounds: figures,
    verdicts,
  };
}

/** Workload i. */
export const byHand: Workload = { id: "i", measure };
