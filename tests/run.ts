/**
 * Runs every test: one `deno test` a folder, with exactly the permissions that its
 * tests need, then the examples in the documentation. The last line sums up what ran.
 *
 * `deno task test [--coverage] [suite…]`
 */
import { stripVTControlCharacters } from "node:util";

/** What one run of `deno test` covers, and what it may do. */
interface Suite {
  readonly name: string;
  readonly permissions: readonly string[];
  /** What is given to `deno test` in place of the folder called `name`. */
  readonly target?: readonly string[];
}

/** How many tests of a suite, or of all of them, went which way. */
interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

const library = [
  "mod.ts",
  "streams.ts",
  "server.ts",
  "event_loop.ts",
  "subprocess.ts",
  "net",
  "loop",
];

const suites: readonly Suite[] = [
  { name: "tests/unit", permissions: [] },
  { name: "tests/tcp", permissions: ["--allow-net"] },
  { name: "tests/unix", permissions: ["--allow-net", "--allow-read", "--allow-write"] },
  {
    name: "tests/files",
    permissions: ["--allow-net", "--allow-read", "--allow-write", "--allow-run=mkfifo"],
  },
  { name: "tests/conformance", permissions: ["--allow-net", "--allow-read"] },
  {
    name: "tests/peers",
    permissions: ["--allow-run", "--allow-net", "--allow-read", "--allow-write"],
  },
  { name: "tests/process", permissions: ["--allow-run"] },
  { name: "tests/system", permissions: ["--allow-net", "--allow-run"] },
  { name: "tests/reliability/memory", permissions: [] },
  {
    name: "tests/reliability/tcp",
    permissions: ["--allow-net=localhost,127.0.0.1,127.0.0.2,127.0.0.3"],
  },
  {
    name: "tests/reliability/process",
    permissions: ["--allow-net=127.0.0.1", "--allow-read=.", "--allow-run"],
  },
  {
    name: "tests/reliability/tls",
    permissions: [
      ...["--allow-net=127.0.0.1", "--allow-read", "--allow-write"],
      "--allow-run=openssl,ls",
    ],
  },
  {
    name: "tests/project",
    permissions: ["--allow-net", "--allow-read", "--allow-write", "--allow-run", "--allow-sys=uid"],
  },
  { name: "tests/workers", permissions: ["--allow-read"] },
  {
    name: "documentation",
    permissions: ["--allow-net", "--allow-run=cat,echo,tr,/bin/sh"],
    target: ["--doc", ...library],
  },
];

const root = new URL("../", import.meta.url);
const coverageFolder = "coverage";

/** Runs the command, which may not ask anything, and shows its output as it comes. */
async function deno(args: readonly string[]): Promise<{ ok: boolean; output: string }> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd: root,
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
    env: Deno.stdout.isTerminal() ? { FORCE_COLOR: "1" } : {},
  }).spawn();
  const [shown, kept] = child.stdout.tee();
  const [output, { success }] = await Promise.all([
    new Response(kept).text(),
    child.status,
    shown.pipeTo(Deno.stdout.writable, { preventClose: true }),
  ]);
  return { ok: success, output: stripVTControlCharacters(output) };
}

/** Reads the counts off the last line in which `deno test` sums up. */
function parseCounts(output: string): Counts {
  const line = output.match(/^(?:ok|FAILED) \| \d+ passed.*$/gm)?.at(-1) ?? "";
  const count = (what: string) => Number(line.match(new RegExp(`(\\d+) ${what}`))?.[1] ?? 0);
  return { passed: count("passed"), failed: count("failed"), skipped: count("ignored") };
}

/** Runs one suite. A suite that ran nothing, or died, counts as a failure. */
async function runSuite({ name, permissions, target = [name] }: Suite, coverage: boolean) {
  console.log(`\n== ${name} ${permissions.join(" ") || "(no permissions)"}`);
  const measured = coverage ? [`--coverage=${coverageFolder}`, "--coverage-raw-data-only"] : [];
  const { ok, output } = await deno(["test", ...measured, ...permissions, ...target]);
  const counts = parseCounts(output);
  // Where the peer of every test is missing, all are skipped: that is no failure.
  if (counts.passed + counts.failed + counts.skipped === 0) {
    console.error(`${name}: no test ran`);
    counts.failed++;
  } else if (!ok && counts.failed === 0) {
    console.error(`${name}: deno test failed outside of its tests`);
    counts.failed++;
  }
  return counts;
}

/** Finds folders with tests in them that no suite names, and which would never run. */
function forgottenFolders(folder = "tests"): string[] {
  const entries = Deno.readDirSync(new URL(folder, root)).toArray();
  const forgotten = entries.filter((entry) => entry.isDirectory)
    .flatMap(({ name }) => forgottenFolders(`${folder}/${name}`));
  const holdsTests = entries.some(({ name }) => name.endsWith("_test.ts"));
  if (holdsTests && !suites.some(({ name }) => name === folder)) forgotten.push(folder);
  return forgotten;
}

/** Prints the line coverage of the library; it fails below the threshold in `deno.json`. */
async function reportCoverage(): Promise<boolean> {
  console.log("\n== coverage");
  const files = library.map((path) => path.endsWith(".ts") ? path : `${path}/.*`).join("|");
  const { ok } = await deno(["coverage", `--include=^${root.href}(${files})$`, coverageFolder]);
  return ok;
}

async function main(args: readonly string[]): Promise<boolean> {
  const coverage = args.includes("--coverage");
  const names = args.filter((arg) => arg !== "--coverage");
  const unknown = names.filter((name) => !suites.some((suite) => suite.name === name));
  if (unknown.length > 0) {
    console.error(`No such suite: ${unknown}. There are ${suites.map(({ name }) => name)}.`);
    return false;
  }

  if (coverage) {
    await Deno.remove(new URL(coverageFolder, root), { recursive: true }).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  }

  const total: Counts = { passed: 0, failed: 0, skipped: 0 };
  for (const folder of forgottenFolders()) {
    console.error(`${folder} has tests, but is not among the suites in tests/run.ts`);
    total.failed++;
  }
  for (const suite of suites) {
    if (names.length > 0 && !names.includes(suite.name)) continue;
    const counts = await runSuite(suite, coverage);
    total.passed += counts.passed;
    total.failed += counts.failed;
    total.skipped += counts.skipped;
  }
  const covered = coverage ? await reportCoverage() : true;
  if (!covered) console.error("The line coverage is below its threshold.");

  const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : "";
  console.log(`\n${total.passed} passed, ${total.failed} failed${skipped}`);
  return total.failed === 0 && covered;
}

if (!await main(Deno.args)) Deno.exit(1);
