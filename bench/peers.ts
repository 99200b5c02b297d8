/**
 * Who is compared: servers, each a process of its own.
 *
 * @module
 */
import { type Command, firstOutput, onCores, path, type Tools } from "./tools.ts";

/** What a server does with each connection; not each knows each. */
export type Kind = "bytes" | "blocks" | "lines" | "iteration" | "frames" | "idle" | "tls";

/** A server that is compared. */
export type Peer =
  | "ours"
  | "ours, V8 tuned"
  | "ours over TLS"
  | "ours over TLS, V8 tuned"
  | "Deno.Conn"
  | "Deno.listenTls"
  | "web streams"
  | "node:net"
  | "asyncio"
  | "uvloop"
  | "Go bufio";

/**
 * What reads gave out is freed sooner with a small young generation, and its memory is used again
 * while it is still in cache. As it lies outside V8's heap, 12 MiB of it are enough for V8 to look
 * through the whole heap as well, 10 to 30 times a second: a large limit spares that.
 */
const TUNED = "--v8-flags=--max-semi-space-size=2,--initial-old-space-size=256";

/** The command that starts a server, or `null` if what it needs is missing. */
function command(peer: Peer, args: string[], tools: Tools): Command | null {
  const deno = (script: string, ...more: string[]): Command => {
    const flags = ["run", "--quiet", "--no-prompt", "--allow-net=127.0.0.1", ...more];
    return [Deno.execPath(), ...flags, path(`servers/${script}`), ...args];
  };
  switch (peer) {
    case "ours":
      return deno("ours.ts");
    case "ours, V8 tuned":
      return deno("ours.ts", TUNED);
    case "ours over TLS":
      return deno("tls_ours.ts", "--allow-read");
    case "ours over TLS, V8 tuned":
      return deno("tls_ours.ts", "--allow-read", TUNED);
    case "Deno.listenTls":
      return deno("tls_deno.ts", "--allow-read");
    case "Deno.Conn":
      return deno("deno_conn.ts");
    case "web streams":
      return deno("web_streams.ts");
    case "node:net":
      return deno("node_net.ts");
    case "asyncio":
    case "uvloop":
      if (tools.python === null || (peer === "uvloop" && !tools.uvloop)) return null;
      return [tools.python, path("servers/asyncio_server.py"), peer, ...args];
    case "Go bufio":
      return tools.go && [tools.go.server, ...args];
  }
}

/** A server that runs until it is disposed of. */
export interface Server extends AsyncDisposable {
  readonly pid: number;
  readonly port: number;
}

/** Starts a server and waits until it listens; `null` if what it needs is missing. */
export async function serve(
  peer: Peer,
  kind: Kind,
  tools: Tools,
  ...args: string[]
): Promise<Server | null> {
  const found = command(peer, [kind, ...args], tools);
  if (found === null) return null;
  const [program, ...rest] = onCores("server", found, tools);
  const child = new Deno.Command(program, {
    args: rest,
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const port = Number(await firstOutput(child));
  if (!(port > 0)) throw new Error(`${peer} did not start: ${found.join(" ")}`);
  return {
    pid: child.pid,
    port,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.stdout.cancel();
      await child.status;
    },
  };
}
