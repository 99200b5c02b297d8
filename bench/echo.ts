/**
 * Echo servers under load, in turns.
 *
 * @module
 */
import { type Load, run } from "./load.ts";
import { type Goal, judge, medians, type Outcome } from "./outcome.ts";
import { type Kind, type Peer, serve, type Server } from "./peers.ts";
import type { Settings } from "./workloads.ts";

/** An echo server's workload. */
export interface EchoWorkload {
  id: string;
  title: string;
  unit: string;
  load: Omit<Load, "port" | "seconds">;
  /** Who takes part; the first is who the goals are about. */
  contenders: Readonly<Record<string, readonly [Peer, Kind]>>;
  goals: readonly Goal[];
}

/**
 * Measures every contender in turn, round by round.
 *
 * @param serverArgs What the servers are told besides their kind.
 */
export async function measureEcho(
  { id, title, unit, load, contenders, goals }: EchoWorkload,
  { tools, rounds, seconds }: Settings,
  ...serverArgs: string[]
): Promise<Outcome> {
  await using stack = new AsyncDisposableStack();
  const servers = new Map<string, Server>();
  const figures: Record<string, number[]> = {};
  for (const [name, [peer, kind]] of Object.entries(contenders)) {
    const server = stack.use(await serve(peer, kind, tools, ...serverArgs));
    if (server === null) continue;
    servers.set(name, server);
    figures[name] = [];
  }

  const measure = ({ port }: Server, seconds: number) =>
    run(tools, { ...load, message: btoa(load.message), port, seconds });
  for (const server of servers.values()) await measure(server, 2 * seconds); // Compiles.
  for (let round = 0; round < rounds; round++) {
    // Forth and back, so that nobody always comes behind the same other.
    const turns = round % 2 === 0 ? [...servers] : [...servers].reverse();
    for (const [name, server] of turns) figures[name]!.push(await measure(server, seconds));
  }
  const verdicts = judge(figures, Object.keys(contenders)[0]!, goals);
  return { id, title, unit, medians: medians(figures), rounds: figures, verdicts };
}
