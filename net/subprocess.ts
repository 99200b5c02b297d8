/**
 * Starting child processes.
 *
 * @module
 */
import { explain } from "./os_error.ts";
import { checkFlag, checkSignal, show } from "./validate.ts";

/** What one of a child's three standard streams is: a pipe, nothing, or this process's own. */
export type Stdio = "piped" | "null" | "inherit";

/** Options of everything that starts a child process. */
export interface SubprocessOptions {
  /** The child's input: see the function for its default. */
  stdin?: Stdio | undefined;
  /** The child's output: see the function for its default. */
  stdout?: Stdio | undefined;
  /** The child's errors: see the function for its default. */
  stderr?: Stdio | undefined;
  /** The child's working directory; this process's by default. */
  cwd?: string | URL | undefined;
  /** Environment variables, added to those of this process. */
  env?: Record<string, string> | undefined;
  /**
   * Whether the child has no variables but those of `env`.
   *
   * @default {false}
   */
  clearEnv?: boolean | undefined;
  /** The user id that the child runs as; this needs the right to change it. */
  uid?: number | undefined;
  /** The group id that the child runs as; this needs the right to change it. */
  gid?: number | undefined;
  /** Asks the child to stop (`SIGTERM`) when aborted, for as long as it runs. */
  signal?: AbortSignal | undefined;
}

const STDIO = new Set<unknown>(["piped", "null", "inherit"]);

/** A program and its arguments. */
export interface CommandLine {
  /** The program. */
  readonly program: string | URL;
  /** Its arguments. */
  readonly args: string[];
  /** On Windows, whether the arguments are passed on as they are. */
  readonly raw?: boolean;
}

/** How the system's shell runs `command`. */
export function shellCommand(command: string): CommandLine {
  if (typeof command !== "string") {
    throw new TypeError(`command is a string, not ${show(command)}`);
  }
  return Deno.build.os === "windows"
    ? { program: "cmd.exe", args: ["/d", "/s", "/c", `"${command}"`], raw: true }
    : { program: "/bin/sh", args: ["-c", command] };
}

/** Checks a program and its arguments. */
export function execCommand(program: string | URL, args: readonly string[]): CommandLine {
  if (!(program instanceof URL) && typeof program !== "string") {
    throw new TypeError(`program is a string or a URL, not ${show(program)}`);
  }
  if (program === "") throw new RangeError("program must not be empty");
  if (!Array.isArray(args)) throw new TypeError(`args is an array, not ${show(args)}`);
  for (const arg of args) {
    if (typeof arg !== "string") throw new TypeError(`args are strings, not ${show(arg)}`);
  }
  return { program, args: [...args] };
}

/** Starts a child process, with pipes where nothing else is said. */
export function spawn({ program, args, raw }: CommandLine, options: SubprocessOptions) {
  const { stdin = "piped", stdout = "piped", stderr = "piped" } = options;
  const { cwd, env = {}, clearEnv = false, uid, gid, signal } = options;
  for (const [name, value] of Object.entries({ stdin, stdout, stderr })) {
    if (STDIO.has(value)) continue;
    throw new TypeError(`${name} is "piped", "null" or "inherit", not ${show(value)}`);
  }
  checkFlag("clearEnv", clearEnv);
  checkSignal(signal);
  const ids = { ...(uid !== undefined && { uid }), ...(gid !== undefined && { gid }) };
  const command = new Deno.Command(program, {
    args,
    stdin,
    stdout,
    stderr,
    env,
    clearEnv,
    ...(cwd !== undefined && { cwd }),
    ...ids,
    ...(raw && { windowsRawArguments: true }),
  });
  try {
    return { child: command.spawn(), stdin, stdout, stderr };
  } catch (error) {
    throw explain(`cannot start ${program}`, error);
  }
}
