/**
 * What the benchmark needs besides Deno, and what is there of it.
 *
 * @module
 */

/** How to install what may be missing, on Debian. */
export const INSTALL: Readonly<Record<string, string>> = {
  taskset: "apt-get install util-linux",
  asyncio: "apt-get install python3",
  uvloop: "apt-get install python3-uvloop",
  "Go bufio": "apt-get install golang-go",
};

/** The programs that were found. */
export interface Tools {
  /** A Python, preferably one that has uvloop. */
  python: string | null;
  uvloop: boolean;
  /** The compiled load and the compiled server. */
  go: { client: string; server: string } | null;
  /** Whether processes can be kept on cores of their own: see {@linkcode onCores}. */
  taskset: boolean;
}

/** A command: a program and its arguments. */
export type Command = readonly [program: string, ...args: string[]];

/**
 * Keeps a command on its cores, where that can be had: servers on the first, the load on the others.
 * Left to itself, the system moves both about, and the same server's rounds differ by a half.
 */
export function onCores(who: "server" | "load", command: Command, { taskset }: Tools): Command {
  const cores = navigator.hardwareConcurrency;
  if (!taskset || cores < 2) return command;
  return ["taskset", "--cpu-list", who === "server" ? "0" : `1-${cores - 1}`, ...command];
}

/** The path of a file of the benchmark. */
export function path(name: string): string {
  return decodeURIComponent(new URL(name, import.meta.url).pathname);
}

/** Runs a program to its end: what it printed, or `null` if it is missing or fails. */
export async function output(
  program: string,
  args: readonly string[],
  stderr: "null" | "inherit" = "null",
): Promise<string | null> {
  try {
    const command = new Deno.Command(program, { args: [...args], stdin: "null", stderr });
    const { success, stdout } = await command.output();
    return success ? new TextDecoder().decode(stdout) : null;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** Looks for Python, uvloop and Go; builds what is in Go into the folder `built`. */
export async function findTools(built: string): Promise<Tools> {
  const candidates = ["python3", "/usr/bin/python3"];
  let python: string | null = null;
  const taskset = await output("taskset", ["--version"]) !== null;
  for (const candidate of candidates) {
    if (await output(candidate, ["-c", "import uvloop"]) !== null) {
      return { python: candidate, uvloop: true, go: await buildGo(built), taskset };
    }
    if (python === null && await output(candidate, ["-c", "import asyncio"]) !== null) {
      python = candidate;
    }
  }
  return { python, uvloop: false, go: await buildGo(built), taskset };
}

async function buildGo(built: string): Promise<Tools["go"]> {
  if (await output("go", ["version"]) === null) return null;
  const build = async (source: string, name: string) => {
    const binary = `${built}/${name}`;
    const done = await output("go", ["build", "-o", binary, path(source)], "inherit");
    if (done === null) throw new Error(`go can't build bench/${source}`);
    return binary;
  };
  return {
    client: await build("client.go", "client"),
    server: await build("servers/bufio.go", "bufio"),
  };
}

/** Waits for the first words of a process; more may follow. */
export async function firstOutput(child: Deno.ChildProcess): Promise<string> {
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  reader.releaseLock();
  return new TextDecoder().decode(value);
}
