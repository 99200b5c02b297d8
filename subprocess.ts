/**
 * Child processes whose pipes are streams: asyncio's `asyncio.subprocess`.
 *
 * @module
 */
import { getRunningLoop } from "./event_loop.ts";
import { Process, SubprocessStreamProtocol } from "./net/process.ts";
import type { SubprocessOptions } from "./net/subprocess.ts";

export { type CommunicateOptions, Process, SubprocessStreamProtocol } from "./net/process.ts";
export type { Stdio, SubprocessOptions } from "./net/subprocess.ts";

/** Options of {@linkcode createSubprocessExec} and {@linkcode createSubprocessShell}. */
export interface CreateSubprocessOptions extends SubprocessOptions {
  /**
   * How many bytes a line, or what comes before a separator, may have in the child's output.
   *
   * @default {65536}
   */
  limit?: number | undefined;
}

/**
 * Starts a program. Its streams are this process's own (`"inherit"`) where nothing else is said.
 *
 * It needs `--allow-run` for that program.
 *
 * @param program The program: a name to look for in `PATH`, or a path.
 * @param args Its arguments, which no shell looks at.
 * @param options Which streams are pipes, the working directory, the environment and more.
 * @returns The child.
 * @throws {TypeError} If an argument is of the wrong type.
 * @throws {RangeError} If an argument is out of range.
 * @throws {Deno.errors.NotFound} If there is no such program or directory; other `Deno.errors`
 * likewise.
 * @throws The signal's reason, if it is aborted already.
 *
 * @example
 * ```ts
 * import { createSubprocessExec } from "@asyncio/streams";
 * import { assertEquals } from "@std/assert";
 *
 * await using child = await createSubprocessExec("tr", ["a-z", "A-Z"], {
 *   stdin: "piped",
 *   stdout: "piped",
 * });
 * const [output] = await child.communicate({ input: "hello" });
 * assertEquals(new TextDecoder().decode(output!), "HELLO");
 * assertEquals(child.returncode, 0);
 * ```
 */
export async function createSubprocessExec(
  program: string | URL,
  args: readonly string[] = [],
  options: CreateSubprocessOptions = {},
): Promise<Process> {
  const loop = getRunningLoop();
  const factory = () => new SubprocessStreamProtocol(options.limit, loop);
  return new Process(...await loop.subprocessExec(factory, program, args, inherit(options)));
}

/**
 * Starts a command of the system's shell. Its streams are this process's own (`"inherit"`) where
 * nothing else is said.
 *
 * The shell is `/bin/sh`, and needs `--allow-run=/bin/sh`; on Windows it is `cmd.exe`. Never put
 * together a command from what strangers send: {@linkcode createSubprocessExec} has no such danger.
 *
 * @param command The command.
 * @param options Which streams are pipes, the working directory, the environment and more.
 * @returns The child.
 * @throws {TypeError} If an argument is of the wrong type.
 * @throws {RangeError} If an argument is out of range.
 * @throws {Deno.errors.NotFound} If there is no such directory; other `Deno.errors` likewise.
 * @throws The signal's reason, if it is aborted already.
 *
 * @example
 * ```ts
 * import { createSubprocessShell } from "@asyncio/streams";
 * import { assertEquals } from "@std/assert";
 *
 * await using child = await createSubprocessShell("echo out; exit 3", { stdout: "piped" });
 * assertEquals(new TextDecoder().decode(await child.stdout!.readLine()), "out\n");
 * assertEquals(await child.wait(), 3);
 * ```
 */
export async function createSubprocessShell(
  command: string,
  options: CreateSubprocessOptions = {},
): Promise<Process> {
  const loop = getRunningLoop();
  const factory = () => new SubprocessStreamProtocol(options.limit, loop);
  return new Process(...await loop.subprocessShell(factory, command, inherit(options)));
}

/** The options with asyncio's default for these two functions. */
function inherit(options: SubprocessOptions): SubprocessOptions {
  const { stdin = "inherit", stdout = "inherit", stderr = "inherit" } = options;
  return { ...options, stdin, stdout, stderr };
}
