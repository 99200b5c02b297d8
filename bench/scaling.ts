/**
 * What a byte, a line or a message costs as sizes grow.
 *
 * @module
 */
import { type Load, run } from "./load.ts";
import { type Curve, medians, type Outcome, type Verdict } from "./outcome.ts";
import { type Kind, type Peer, serve } from "./peers.ts";
import type { Settings, Workload } from "./workloads.ts";

const KIB = 1 << 10;
const MIB = 1 << 20;
/** Above the longest line. */
const LIMIT = 2 * MIB;
/** How many bytes are on their way at a time, where many messages are. */
const IN_FLIGHT = 64 * KIB;
/** How often each step is measured; the fastest counts, as what else runs only adds. */
const TURNS = 3;
/** How much more a larger size may cost than the cheapest smaller one and pass for flat. */
const FLAT = 1.5;

/** A series of loads on one kind of server. */
interface Series {
  title: string;
  kind: Kind;
  sizes: string;
  costs: string;
  steps: readonly number[];
  load(step: number): Omit<Load, "port" | "seconds">;
  /** Nanoseconds, from messages a second. */
  cost(rate: number, step: number): number;
  /** What the costs are compared with. */
  peer: Peer;
}

const line = btoa("x\n");
const byte = btoa("x");

const SERIES: readonly Series[] = [
  {
    title: "Lines",
    kind: "lines",
    sizes: "bytes in a line",
    costs: "ns a byte",
    steps: [16, 64, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB],
    load: (size) => ({
      message: line,
      size,
      depth: Math.max(1, Math.floor(IN_FLIGHT / size)),
      connections: 4,
    }),
    cost: (rate, size) => 1e9 / (rate * size),
    peer: "Deno.Conn",
  },
  {
    title: "Messages",
    kind: "bytes",
    sizes: "bytes in a message",
    costs: "ns a byte",
    steps: [1, 16, 256, 4 * KIB, 64 * KIB, MIB, 8 * MIB, 64 * MIB],
    load: (size) => ({ message: byte, size, depth: 1, connections: 1 }),
    cost: (rate, size) => 1e9 / (rate * size),
    peer: "Deno.Conn",
  },
  {
    title: "Connections",
    kind: "lines",
    sizes: "connections",
    costs: "ns a line of 100 B",
    steps: [1, 8, 64, 512, 2_000, 8_000],
    load: (connections) => ({ message: line, size: 100, depth: 1, connections }),
    cost: (rate) => 1e9 / rate,
    peer: "Deno.Conn",
  },
];

async function measureSeries(series: Series, settings: Settings): Promise<Curve> {
  const { tools, seconds } = settings;
  const { title, sizes, costs, kind, peer } = series;
  await using ours = (await serve("ours", kind, tools, `${LIMIT}`))!;
  await using other = (await serve(peer, kind, tools))!;
  const points: Record<string, [number, number][]> = { ours: [], [peer]: [] };
  for (const step of series.steps) {
    const load = series.load(step);
    const turn = { ours: [] as number[], [peer]: [] as number[] };
    for (let round = -1; round < TURNS; round++) {
      for (const [name, { port }] of [["ours", ours], [peer, other]] as const) {
        const rate = await run(tools, { ...load, port, seconds });
        if (round >= 0) turn[name]!.push(series.cost(rate, step));
      }
    }
    for (const name in turn) points[name]!.push([step, Math.min(...turn[name]!)]);
  }
  return { title, sizes, costs, points };
}

/** How much more the worst step costs than the cheapest before it. */
function growth(points: readonly (readonly [size: number, cost: number])[]): number {
  let cheapest = Infinity;
  let worst = 0;
  for (const [, cost] of points) {
    worst = Math.max(worst, cost / cheapest);
    cheapest = Math.min(cheapest, cost);
  }
  return worst;
}

async function measure(settings: Settings): Promise<Outcome> {
  const curves: Curve[] = [];
  for (const series of SERIES) curves.push(await measureSeries(series, settings));
  const rounds: Record<string, number[]> = {};
  const verdicts: Verdict[] = [];
  for (const { title, points } of curves) {
    for (const [name, pairs] of Object.entries(points)) {
      rounds[`${name}, ${title.toLowerCase()}`] = [growth(pairs)];
    }
    const measured = growth(points.ours!);
    verdicts.push({
      of: title,
      against: "the cheapest smaller size",
      bound: "at most",
      value: FLAT,
      measured,
      met: measured <= FLAT,
    });
  }
  return {
    id: "l",
    title: "Cost as sizes grow",
    unit: "cost at the worst size over the cheapest smaller one",
    medians: medians(rounds),
    rounds,
    lowerIsBetter: true,
    verdicts,
    curves,
  };
}

/** Workload l. */
export const scaling: Workload = { id: "l", measure };
