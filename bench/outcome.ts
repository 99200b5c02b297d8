/**
 * What a workload has measured, and how that compares with its goals.
 *
 * @module
 */

/** A contender's figures, one a round. */
export type Rounds = Readonly<Record<string, readonly number[]>>;

/** What the first contender is to reach, as a ratio to another's figure. */
export interface Goal {
  /** Whose figure is one. */
  against: string;
  /** Reached by this ratio and above, or else and below. */
  bound: "at least" | "at most";
  /** The ratio. */
  value: number;
  /** What would be more than asked for. */
  moonshot?: number;
  /** The goal itself is more than asked for. */
  isMoonshot?: boolean;
  /** What the figure minus the other's is compared with, in the workload's unit, and not a ratio. */
  difference?: boolean;
}

/** A goal and what was measured; `null` where the other contender is missing. */
export interface Verdict extends Goal {
  /** The contender it is about. */
  of: string;
  /** The median over the rounds. */
  measured: number | null;
  /** Whether the goal is reached. */
  met: boolean | null;
}

/** A curve: cost over size, for a plot. */
export interface Curve {
  title: string;
  /** What the sizes are. */
  sizes: string;
  /** What the costs are. */
  costs: string;
  /** Pairs of size and cost for each contender. */
  points: Readonly<Record<string, readonly (readonly [size: number, cost: number])[]>>;
}

/** What running a workload gave. */
export interface Outcome {
  id: string;
  title: string;
  unit: string;
  medians: Readonly<Record<string, number>>;
  rounds: Rounds;
  verdicts: readonly Verdict[];
  /** Whether small figures are good. */
  lowerIsBetter?: boolean;
  curves?: readonly Curve[];
}

/** The median. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

/** The median of each contender. */
export function medians(rounds: Rounds): Record<string, number> {
  return Object.fromEntries(
    Object.entries(rounds).map(([name, figures]) => [name, median(figures)]),
  );
}

/**
 * Compares round by round, since a machine that is slow for a while is slow for both, and takes
 * the median of that.
 */
export function judge(rounds: Rounds, of: string, goals: readonly Goal[]): Verdict[] {
  return goals.map((goal) => {
    const ours = rounds[of];
    const theirs = rounds[goal.against];
    if (ours === undefined || theirs === undefined) {
      return { ...goal, of, measured: null, met: null };
    }
    const measured = median(
      ours.map((figure, i) => goal.difference ? figure - theirs[i]! : figure / theirs[i]!),
    );
    return { ...goal, of, measured, met: reaches(measured, goal.bound, goal.value) };
  });
}

function reaches(measured: number, bound: Goal["bound"], value: number): boolean {
  return bound === "at least" ? measured >= value : measured <= value;
}

/** Prints an outcome: each contender's median, each goal's verdict. */
export function print(outcome: Outcome): void {
  const { id, title, unit, rounds } = outcome;
  console.log(`\n${id}. ${title} (${unit})`);
  for (const [name, value] of Object.entries(outcome.medians)) {
    const figures = rounds[name]!;
    const spread = `${format(Math.min(...figures))} … ${format(Math.max(...figures))}`;
    console.log(`   ${name.padEnd(34)} ${format(value).padStart(12)}   ${spread}`);
  }
  for (const verdict of outcome.verdicts) console.log(`   ${describe(verdict, unit)}`);
  for (const curve of outcome.curves ?? []) printCurve(curve);
}

function printCurve({ title, sizes, costs, points }: Curve): void {
  console.log(`   ${title}: ${costs} by ${sizes}`);
  for (const [name, pairs] of Object.entries(points)) {
    const shown = pairs.map(([size, cost]) => `${formatSize(size)}: ${format(cost)}`);
    console.log(`     ${name}: ${shown.join(", ")}`);
  }
}

/** A verdict as a line of text. */
export function describe(verdict: Verdict, unit: string): string {
  const { of, against, bound, value, moonshot, isMoonshot, measured, met, difference } = verdict;
  const show = (n: number) => difference ? `${format(n)} ${unit} over` : `${n.toFixed(2)} ×`;
  const goal = `${isMoonshot ? "moonshot" : "goal"} ${bound} ${
    difference ? `${value} ${unit}` : `${value} ×`
  }`;
  if (measured === null) return `SKIPPED  ${of}: ? ${against} (${goal})`;
  const beyond = moonshot === undefined
    ? ""
    : `, moonshot ${moonshot} × ${reaches(measured, bound, moonshot) ? "met" : "missed"}`;
  return `${met ? "met   " : "MISSED"}   ${of}: ${show(measured)} ${against} (${goal}${beyond})`;
}

/** A number as people read it. */
export function format(n: number): string {
  if (Math.abs(n) >= 1000) return Math.round(n).toLocaleString("en-US");
  return n.toFixed(Math.abs(n) >= 100 ? 0 : Math.abs(n) >= 10 ? 1 : 2);
}

/** A size as people read it. */
export function formatSize(n: number): string {
  if (n >= 1 << 20) return `${n / (1 << 20)} Mi`;
  if (n >= 1 << 10 && n % (1 << 10) === 0) return `${n / (1 << 10)} Ki`;
  return `${n}`;
}
