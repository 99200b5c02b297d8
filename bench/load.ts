/**
 * The load: a second process that sends messages to a server and waits for them to come back.
 *
 * @module
 */
import { type Command, firstOutput, onCores, path, type Tools } from "./tools.ts";

/** What the load does; `client.go` and `client.ts` are given this as JSON. */
export interface Load {
  port: number;
  /** What a message is made of, in Base64: its first byte over and over, and its last byte. */
  message: string;
  /** The length of a message, in bytes. */
  size: number;
  /** How many messages are sent at once. */
  depth: number;
  connections: number;
  seconds: number;
  /** Connect over TLS, to who has a certificate of this authority, in PEM. */
  authority?: string;
  /** Open the connections and say nothing. */
  idle?: boolean;
}

function start(tools: Tools, load: Load, stdin: "null" | "piped"): Deno.ChildProcess {
  const client: Command = tools.go === null
    ? [Deno.execPath(), "run", "--quiet", "--allow-net=127.0.0.1", path("client.ts")]
    : [tools.go.client];
  const [program, ...args] = onCores("load", [...client, JSON.stringify(load)], tools);
  return new Deno.Command(program, { args, stdin, stdout: "piped", stderr: "inherit" }).spawn();
}

/** Puts load on a server: how many messages came back a second. */
export async function run(tools: Tools, load: Load): Promise<number> {
  const { success, stdout } = await start(tools, load, "null").output();
  if (!success) throw new Error(`the load failed: ${JSON.stringify(load)}`);
  const { messages, seconds } = JSON.parse(new TextDecoder().decode(stdout));
  return messages / seconds;
}

/** Opens connections that say nothing, and holds them until it is disposed of. */
export async function holdIdle(
  tools: Tools,
  port: number,
  connections: number,
): Promise<AsyncDisposable> {
  const message = btoa("\n");
  const load = { port, message, size: 1, depth: 1, connections, seconds: 0, idle: true };
  const child = start(tools, load, "piped");
  if (await firstOutput(child) === "") throw new Error(`the load failed: ${JSON.stringify(load)}`);
  return {
    async [Symbol.asyncDispose]() {
      await child.stdin.close();
      await child.stdout.cancel();
      await child.status;
    },
  };
}
