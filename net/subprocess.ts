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
  /**
   * The child's input: see the function for its default. A pipe is closed when the child exits, also
   * where children of its own still read from it.
   */
  stdin?: Stdio | undefined;
  /** The child's output: see the function for its default. */
  stdout?: Stdio | undefined;
  /** The child's errors: see the function for its default. */
  stderr?: Stdio | undefined;
  /** The child's working directory; this process's by default. */
  cwd?: string | URL | undefined;
  /** Environment variables, added to those of this process: names and strings without a NUL. */
  env?: Record<string, string> | undefined;
  /**
   * Whether the child has no variables but those of `env`.
   *
   * @default {false}
   */
  clearEnv?: boolean | undefined;
  /** The user id that the child runs as, 0 to 2 ** 32 - 2; this needs the right to change it. */
  uid?: number | undefined;
  /** The group id that the child runs as, 0 to 2 ** 32 - 2; this needs the right to change it. */
  gid?: number | undefined;
  /** Asks the child to stop (`SIGTERM`) when aborted, for as long as it runs. */
  signal?: AbortSignal | undefined;
}

const STDIO = new Set<unknown>(["piped", "null", "inherit"]);
/** The largest id: the one above it, as -1, leaves the parent's in place. */
const LAST_ID = 2 ** 32 - 2;

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
  checkText("command", command);
  return Deno.build.os === "windows"
    ? { program: "cmd.exe", args: ["/d", "/s", "/c", `"${command}"`], raw: true }
    : { program: "/bin/sh", args: ["-c", command] };
}

/** Checks a program and its arguments. */
export function execCommand(program: string | URL, args: readonly string[]): CommandLine {
  if (!(program instanceof URL)) checkText("program", program, "a string or a URL");
  if (program === "") throw new RangeError("program must not be empty");
  if (!Array.isArray(args)) throw new TypeError(`args is an array, not ${show(args)}`);
  for (const [index, arg] of args.entries()) checkText(`args[${index}]`, arg);
  return { program, args: [...args] };
}

/** Checks what the system takes as a string that a NUL ends. */
function checkText(name: string, value: unknown, kind = "a string"): void {
  if (typeof value !== "string") throw new TypeError(`${name} is ${kind}, not ${show(value)}`);
  if (value.includes("\0")) throw new RangeError(`${name} must not contain a NUL`);
}

/** Options that were checked, with their defaults; what the caller does to his own has no effect. */
export interface ChildOptions {
  /** What the three streams are. */
  readonly stdio: Readonly<Record<"stdin" | "stdout" | "stderr", Stdio>>;
  /** The rest, as `Deno.Command` takes it. */
  readonly others: Deno.CommandOptions;
  /** Asks the child to stop. */
  readonly signal: AbortSignal | undefined;
}

/** Checks the options of a child process, whose streams are pipes where nothing else is said. */
export function checkChildOptions(options: SubprocessOptions): ChildOptions {
  const { stdin = "piped", stdout = "piped", stderr = "piped" } = options;
  const { cwd, env = {}, clearEnv = false, uid, gid, signal } = options;
  const stdio = { stdin, stdout, stderr };
  for (const [name, value] of Object.entries(stdio)) {
    if (STDIO.has(value)) continue;
    throw new TypeError(`${name} is "piped", "null" or "inherit", not ${show(value)}`);
  }
  if (cwd !== undefined && !(cwd instanceof URL)) checkText("cwd", cwd, "a string or a URL");
  checkEnv(env);
  checkFlag("clearEnv", clearEnv);
  const ids = Object.entries({ uid, gid }).filter(([, id]) => id !== undefined);
  for (const [name, id] of ids) checkId(name, id);
  checkSignal(signal);
  const others = {
    env: { ...env },
    clearEnv,
    ...(cwd !== undefined && { cwd }),
    ...Object.fromEntries(ids),
  };
  return { stdio, others, signal };
}

function checkEnv(env: Readonly<Record<string, unknown>>): void {
  const prototype = typeof env !== "object" || env === null ? env : Object.getPrototypeOf(env);
  // A Map would pass for an empty one.
  if (env === null || (prototype !== null && prototype !== Object.prototype)) {
    throw new TypeError(`env is a plain object of strings, not ${show(env)}`);
  }
  for (const [name, value] of Object.entries(env)) {
    checkText("the name of an environment variable", name);
    // Windows has some of its own that begin with one.
    if (name === "" || name.includes("=", 1)) {
      throw new RangeError(`an environment variable can't be called ${show(name)}`);
    }
    checkText(`env.${name}`, value);
  }
}

function checkId(name: string, id: unknown): void {
  // Deno takes anything, and what is no id for "as this process": the child keeps its rights.
  if (!Number.isInteger(id)) throw new TypeError(`${name} is an integer, not ${show(id)}`);
  if (id as number < 0 || id as number > LAST_ID) {
    throw new RangeError(`${name} is between 0 and ${LAST_ID}, got ${id}`);
  }
}

/** Starts a child process. */
export function spawn(
  { program, args, raw }: CommandLine,
  { stdio, others }: ChildOptions,
): Deno.ChildProcess {
  const command = new Deno.Command(program, {
    args,
    ...stdio,
    ...others,
    ...(raw && { windowsRawArguments: true }),
  });
  try {
    return command.spawn();
  } catch (error) {
    throw explain(`cannot start ${program}`, error);
  }
}
