/**
 * The memory that idle connections take, each in a handler that waits.
 *
 * @module
 */
import { holdIdle } from "./load.ts";
import { judge, medians, type Outcome } from "./outcome.ts";
import { type Kind, type Peer, serve } from "./peers.ts";
import { output } from "./tools.ts";
import type { Settings, Workload } from "./workloads.ts";

const CONNECTIONS = 8_000;
/** How long a server is left alone before its memory is read, in ms. */
const SETTLE = 1_000;

const CONTENDERS: Readonly<Record<string, readonly [Peer, Kind]>> = {
  ours: ["ours", "lines"],
  "ours, V8 tuned": ["ours, V8 tuned", "lines"],
  "bare Deno, 4 KiB read pending": ["Deno.Conn", "idle"],
  "node:net": ["node:net", "bytes"],
  asyncio: ["asyncio", "lines"],
  uvloop: ["uvloop", "lines"],
};

/** The memory a process has, in bytes. */
async function residentSize(pid: number): Promise<number> {
  const kib = await output("ps", ["-o", "rss=", "-p", `${pid}`], "inherit");
  if (kib === null) throw new Error("ps can't tell the memory of a process");
  return Number(kib) * 1024;
}

const settle = () => new Promise((resolve) => setTimeout(resolve, SETTLE));

async function measureOne(
  [peer, kind]: readonly [Peer, Kind],
  { tools }: Settings,
): Promise<number | null> {
  await using server = await serve(peer, kind, tools);
  if (server === null) return null;
  {
    // What a first connection needs is no connection's cost.
    await using _ = await holdIdle(tools, server.port, 1);
  }
  await settle();
  const before = await residentSize(server.pid);
  await using _connections = await holdIdle(tools, server.port, CONNECTIONS);
  await settle();
  return (await residentSize(server.pid) - before) / CONNECTIONS;
}

async function measure(settings: Settings): Promise<Outcome> {
  const figures: Record<string, number[]> = {};
  for (let round = 0; round < Math.min(settings.rounds, 3); round++) {
    for (const [name, contender] of Object.entries(CONTENDERS)) {
      const figure = await measureOne(contender, settings);
      if (figure !== null) (figures[name] ??= []).push(figure);
    }
  }
  return {
    id: "j",
    title: `Memory of ${CONNECTIONS} idle connections, each in a handler`,
    unit: "bytes a connection",
    medians: medians(figures),
    rounds: figures,
    lowerIsBetter: true,
    verdicts: judge(figures, "ours", [
      { against: "bare Deno, 4 KiB read pending", bound: "at most", value: 0.85 },
      { against: "asyncio", bound: "at most", value: 1.7 },
    ]),
  };
}

/** Workload j. */
export const memory: Workload = { id: "j", measure };
