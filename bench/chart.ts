/**
 * The chart of a run, as SVG.
 *
 * @module
 */
import { type Curve, format, formatSize, type Outcome } from "./outcome.ts";

const WIDTH = 760;
const LABELS = 190;
const BARS = WIDTH - LABELS - 110;
const ROW = 16;
const PLOT = { height: 150, left: 60, right: 20 };
const OURS = "#2563eb";
const OTHERS = "#9ca3af";

const STYLE = `text{font:11px system-ui,sans-serif;fill:#374151}
.title{font-weight:600;font-size:12px}.note{fill:#6b7280;font-size:10px}
@media(prefers-color-scheme:dark){text{fill:#d1d5db}.note{fill:#9ca3af}}`;

/** A part of the chart, and its height. */
type Part = readonly [svg: string, height: number];

const escape = (text: string) =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

function text(x: number, y: number, content: string, attributes = ""): string {
  return `<text x="${x}" y="${y}" ${attributes}>${escape(content)}</text>`;
}

/** One bar for each contender; the first is ours, as are all that say so. */
function bars({ id, title, unit, medians, lowerIsBetter }: Outcome): Part {
  const entries = Object.entries(medians);
  const most = Math.max(...Object.values(medians));
  const rows = entries.map(([name, value], i) => {
    const y = 22 + i * ROW;
    const width = Math.max(1, Math.round(value / most * BARS));
    const color = i === 0 || name.startsWith("ours") ? OURS : OTHERS;
    return text(LABELS - 6, y + 11, name, 'text-anchor="end"') +
      `<rect x="${LABELS}" y="${y + 2}" width="${width}" height="11" fill="${color}"/>` +
      text(LABELS + width + 5, y + 11, format(value));
  });
  const better = lowerIsBetter ? ", less is better" : "";
  const heading = text(0, 14, `${id}. ${title} (${unit}${better})`, 'class="title"');
  return [heading + rows.join(""), 34 + entries.length * ROW];
}

/** A curve on two logarithmic scales: flat is a horizontal line. */
function plot({ title, sizes, costs, points }: Curve): Part {
  const all = Object.values(points).flat();
  const [minX, maxX] = range(all.map(([size]) => size));
  const [minY, maxY] = range(all.map(([, cost]) => cost));
  const { height, left, right } = PLOT;
  const x = (size: number) => left + scale(size, minX, maxX) * (WIDTH - left - right);
  const y = (cost: number) => 24 + (1 - scale(cost, minY, maxY)) * height;
  const lines = Object.entries(points).toReversed().map(([name, pairs]) => {
    const color = name === "ours" ? OURS : OTHERS;
    const path = pairs.map(([size, cost]) => `${x(size).toFixed(1)},${y(cost).toFixed(1)}`);
    const [size, cost] = pairs[0]!;
    return `<polyline points="${path.join(" ")}" fill="none" stroke="${color}" stroke-width="2"/>` +
      text(x(size) + 4, y(cost) + (name === "ours" ? -4 : 12), name, `style="fill:${color}"`);
  });
  const first = Object.values(points)[0]!;
  const ticks = first.map(([size]) =>
    text(x(size), height + 40, formatSize(size), 'class="note" text-anchor="middle"')
  );
  const costTicks = [minY, maxY].map((cost) =>
    text(left - 8, y(cost) + 4, format(cost), 'class="note" text-anchor="end"')
  );
  const heading = text(0, 14, `l. ${title}: ${costs} by ${sizes}`, 'class="title"');
  return [[heading, ...lines, ...ticks, ...costTicks].join(""), height + 56];
}

function range(values: readonly number[]): [min: number, max: number] {
  return [Math.min(...values), Math.max(...values)];
}

function scale(value: number, min: number, max: number): number {
  return max === min ? 0.5 : Math.log(value / min) / Math.log(max / min);
}

/** Draws the outcomes, one below the other. */
export function chart(outcomes: readonly Outcome[], note: string): string {
  const parts = outcomes.flatMap((outcome) => outcome.curves?.map(plot) ?? [bars(outcome)]);
  let y = 8;
  const placed = parts.map(([svg, height]) => {
    const part = `<g transform="translate(8,${y})">${svg}</g>`;
    y += height;
    return part;
  });
  placed.push(text(8, y + 8, note, 'class="note"'));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH + 16} ${y + 20}">\n` +
    `<style>${STYLE}</style>\n${placed.join("\n")}\n</svg>\n`;
}
