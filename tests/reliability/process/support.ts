// Servers and clients in processes of their own.
import { openConnection, type StreamReader, type StreamWriter } from "../../../streams.ts";
import { text } from "../../support.ts";
import { portOf, Program } from "../../project/program.ts";
import type { Stats } from "./programs/echo_server.ts";

/** Whether the long form of the tests is wanted: `deno task soak`. */
export const full = Deno.args.includes("--full");

/** Where the programs are that these tests run. */
export const programs = "tests/reliability/process/programs";

/** Starts one of the programs beside these tests, with what it may do. */
export function start(
  name: string,
  permissions: readonly string[],
  args: readonly unknown[] = [],
  shell?: string,
): Program {
  const script = [`${programs}/${name}.ts`, ...args.map(String)];
  const flags = ["--quiet", "--no-prompt", "--v8-flags=--expose-gc", ...permissions];
  return new Program(["run", ...flags, ...script], "", {}, shell);
}

/** An echo server in its own process, and a connection on which it tells about itself. */
export class EchoServer implements AsyncDisposable {
  readonly program: Program;
  readonly port: number;
  readonly #reader: StreamReader;
  readonly #writer: StreamWriter;

  private constructor(program: Program, port: number, streams: [StreamReader, StreamWriter]) {
    this.program = program;
    this.port = port;
    [this.#reader, this.#writer] = streams;
  }

  /** Starts one with its arguments, after the shell commands if there are any. */
  static async start(
    { args = [], shell }: { args?: readonly string[]; shell?: string } = {},
  ): Promise<EchoServer> {
    const program = start("echo_server", ["--allow-net=127.0.0.1"], args, shell);
    const port = await portOf(program);
    const streams = await openConnection("127.0.0.1", port, { limit: Infinity });
    const server = new EchoServer(program, port, streams);
    await server.stats(); // It has accepted this connection: what it holds can be counted.
    return server;
  }

  /** What it holds right now. */
  async stats(): Promise<Stats> {
    this.#writer.write("stats\n");
    const line = text(await this.#reader.readLine());
    if (line === "") throw new Error(`it has ended: ${JSON.stringify(await this.program.end())}`);
    return JSON.parse(line);
  }

  /** Waits until it is as it should be. */
  async until(condition: (stats: Stats) => boolean): Promise<Stats> {
    for (;;) {
      const stats = await this.stats();
      if (condition(stats)) return stats;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** How many descriptors it has open; `null` where that can't be told. */
  async descriptors(): Promise<number | null> {
    if (Deno.build.os !== "linux") return null;
    const { stdout } = await new Deno.Command("ls", { args: [`/proc/${this.program.pid}/fd`] })
      .output();
    return text(stdout).trim().split("\n").length;
  }

  /** How many descriptors it has once there are `expected`, or after a while: the system closes late. */
  async descriptorsAgain(expected: number | null): Promise<number | null> {
    for (let i = 0; i < 50; i++) {
      if (await this.descriptors() === expected) break;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return await this.descriptors();
  }

  /** Asks it to end, and checks that it does so by itself. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#writer.write("quit\n");
    await this.#reader.read().catch(() => {});
    await this.#writer[Symbol.asyncDispose]().catch(() => {});
    await this.program[Symbol.asyncDispose]();
  }
}
