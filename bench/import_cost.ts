/**
 * What importing the package costs, over importing nothing.
 *
 * @module
 */
import { judge, medians, type Outcome } from "./outcome.ts";
import { output, path } from "./tools.ts";
import type { Settings, Workload } from "./workloads.ts";

/** How often each is started in a round; the fastest counts, as what else runs only adds. */
const STARTS = 5;

const CONTENDERS = { "mod.ts": "imports/import_mod.ts", "empty module": "imports/empty.ts" };

async function startUp(script: string): Promise<number> {
  const start = performance.now();
  const printed = await output(Deno.execPath(), ["run", "--quiet", path(script)], "inherit");
  if (printed === null) throw new Error(`deno can't run bench/${script}`);
  return performance.now() - start;
}

async function measure({ rounds }: Settings): Promise<Outcome> {
  const figures: Record<string, number[]> = {};
  for (const script of Object.values(CONTENDERS)) await startUp(script);
  for (let round = 0; round < rounds; round++) {
    const times: Record<string, number[]> = {};
    for (let i = 0; i < STARTS; i++) {
      for (const [name, script] of Object.entries(CONTENDERS)) {
        (times[name] ??= []).push(await startUp(script));
      }
    }
    for (const name in times) (figures[name] ??= []).push(Math.min(...times[name]!));
  }
  return {
    id: "k",
    title: "Importing mod.ts, over importing an empty module",
    unit: "ms",
    medians: medians(figures),
    rounds: figures,
    lowerIsBetter: true,
    verdicts: judge(figures, "mod.ts", [
      { against: "empty module", bound: "at most", value: 15, difference: true },
    ]),
  };
}

/** Workload k. */
export const importCost: Workload = { id: "k", measure };
