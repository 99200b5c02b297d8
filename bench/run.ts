/**
 * Measures the package and what a user could pick instead, on the same work in the same run.
 *
 * `deno task bench [--only=a,d] [--rounds=11] [--seconds=0.5]`
 *
 * The peers that need more than Deno come on Debian with
 * `apt-get install python3 python3-uvloop golang-go`; those that are missing are skipped.
 *
 * Many short turns: what slows a machine down for a while then slows all contenders down.
 *
 * It prints medians and ratios, and writes `results.json` and `chart.svg` beside this file; with
 * `--only` it writes nothing.
 */
import { parseArgs } from "node:util";
import { chart } from "./chart.ts";
import { type Outcome, print } from "./outcome.ts";
import { findTools, INSTALL, output, path, type Tools } from "./tools.ts";
import { type Settings, workloads } from "./workloads.ts";

interface Options {
  only: readonly string[] | null;
  rounds: number;
  seconds: number;
}

function readOptions(args: string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      only: { type: "string" },
      rounds: { type: "string", default: "11" },
      seconds: { type: "string", default: "0.5" },
    },
  });
  const only = values.only?.split(",") ?? null;
  const rounds = Number(values.rounds);
  const seconds = Number(values.seconds);
  if (!Number.isInteger(rounds) || rounds < 1) throw new RangeError("--rounds is 1 or more");
  if (!(seconds > 0)) throw new RangeError("--seconds is more than 0");
  for (const id of only ?? []) {
    if (!workloads.some((workload) => workload.id === id)) {
      throw new RangeError(`--only: no workload ${id}; ${workloads.map(({ id }) => id)}`);
    }
  }
  return { only, rounds, seconds };
}

/** Names what is missing, and how to install it. */
function printMissing({ python, uvloop, go, taskset }: Tools): void {
  const missing = {
    asyncio: python === null,
    uvloop: !uvloop,
    "Go bufio": go === null,
    taskset: !taskset,
  };
  for (const [name, isMissing] of Object.entries(missing)) {
    if (isMissing) console.log(`SKIPPED  ${name}: not installed. On Debian: ${INSTALL[name]}`);
  }
  if (go === null) console.log("Without Go, the load comes from Deno, and may be the bottleneck.");
}

/** What ran, where. */
async function describeRun({ python, go }: Tools): Promise<string> {
  const versions = [`Deno ${Deno.version.deno}`];
  if (python !== null) versions.push((await output(python, ["--version"]))!.trim());
  if (go !== null) versions.push((await output("go", ["version"]))!.split(" ")[2]!);
  return `${versions.join(", ")}; ${navigator.hardwareConcurrency} cores, ${Deno.build.target}`;
}

function summarize(outcomes: readonly Outcome[]): string {
  const verdicts = outcomes.flatMap(({ verdicts }) => verdicts);
  const goals = verdicts.filter(({ isMoonshot }) => !isMoonshot);
  const count = (met: boolean | null) => goals.filter((goal) => goal.met === met).length;
  return `${count(true)} goals met, ${count(false)} missed, ${count(null)} skipped`;
}

async function main(): Promise<void> {
  const { only, rounds, seconds } = readOptions(Deno.args);
  const built = await Deno.makeTempDir();
  try {
    const tools = await findTools(built);
    printMissing(tools);
    const where = await describeRun(tools);
    console.log(where);
    const settings: Settings = { tools, rounds, seconds };
    const outcomes: Outcome[] = [];
    for (const workload of workloads) {
      if (only !== null && !only.includes(workload.id)) continue;
      const outcome = await workload.measure(settings);
      print(outcome);
      outcomes.push(outcome);
    }
    console.log(`\n${summarize(outcomes)}`);
    if (only !== null) return;
    const date = new Date().toISOString().slice(0, 10);
    const results = { date, where, rounds, seconds, outcomes };
    await Deno.writeTextFile(path("results.json"), JSON.stringify(results, null, 2) + "\n");
    await Deno.writeTextFile(path("chart.svg"), chart(outcomes, `${date}; ${where}`));
  } finally {
    await Deno.remove(built, { recursive: true });
  }
}

await main();
