/** A program run by Deno as a user would run it, and what it says. */

import { deadline } from "@std/async";

/** How long a program may say nothing while something is expected of it, in milliseconds. */
export const patience = 30_000;

/** The repository's root. */
export const root = new URL("../../", import.meta.url);

/** The text of a file of the repository. */
export function read(path: string): string {
  return Deno.readTextFileSync(new URL(path, root));
}

/** A running `deno` whose output can be waited for; disposing of it ends it. */
export class Program implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #lines: ReadableStreamDefaultReader<string>;
  readonly #errors: Promise<string>;
  #output = "";

  /**
   * @param args What follows `deno` on the command line.
   * @param input What the program reads from its standard input.
   * @param env Environment variables that it has besides ours.
   * @param shell Shell commands to run before it, in the same process: limits, mounts.
   */
  constructor(args: readonly string[], input = "", env: Record<string, string> = {}, shell = "") {
    const command = shell === ""
      ? [Deno.execPath(), ...args]
      : ["sh", "-c", `${shell}; exec "$@"`, "sh", Deno.execPath(), ...args];
    this.#child = new Deno.Command(command[0]!, {
      args: command.slice(1),
      cwd: root,
      env: { NO_COLOR: "1", ...env },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#lines = this.#child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    this.#errors = new Response(this.#child.stderr).text();
    new Blob([input]).stream().pipeTo(this.#child.stdin).catch(() => {
      // The program ended without reading it all, which is its right.
    });
  }

  /** The number of its process. */
  get pid(): number {
    return this.#child.pid;
  }

  /** Waits until the output has something that matches; it is an error if it ends without. */
  async waitFor(pattern: RegExp): Promise<RegExpMatchArray> {
    for (;;) {
      const match = this.#output.match(pattern);
      if (match) return match;
      const { done, value } = await deadline(this.#lines.read(), patience);
      if (done) throw new Error(`No ${pattern} in: ${this.#output}\n${await this.#errors}`);
      this.#output += value;
    }
  }

  /** Waits for the end, and gives all of the output. */
  async end(): Promise<{ code: number; stdout: string; stderr: string }> {
    for (;;) {
      const { done, value } = await this.#lines.read();
      if (done) break;
      this.#output += value;
    }
    const [{ code }, stderr] = await Promise.all([this.#child.status, this.#errors]);
    return { code, stdout: this.#output, stderr };
  }

  /** Sends the program a signal. */
  kill(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await this.end();
  }
}

/** The port in an address that a program has printed. */
export async function portOf(program: Program): Promise<number> {
  const match = await program.waitFor(/Serving on .*"port":(\d+)/);
  return Number(match[1]);
}
