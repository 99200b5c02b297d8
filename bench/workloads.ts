/**
 * What is measured: one entry a workload, and what each is to reach.
 *
 * @module
 */
import { byHand } from "./by_hand.ts";
import { importCost } from "./import_cost.ts";
import { memory } from "./memory.ts";
import { type EchoWorkload, measureEcho } from "./echo.ts";
import type { Outcome } from "./outcome.ts";
import { scaling } from "./scaling.ts";
import { tlsEcho } from "./tls_echo.ts";
import type { Tools } from "./tools.ts";

/** How a run is to be. */
export interface Settings {
  tools: Tools;
  /** How often each contender has its turn. */
  rounds: number;
  /** How long a turn is. */
  seconds: number;
}

/** Something that is measured. */
export interface Workload {
  id: string;
  measure(settings: Settings): Promise<Outcome>;
}

const LINE = "x\n";
const FRAME = "\0\0\0\x64" + "x".repeat(100);

const echoes: readonly EchoWorkload[] = [
  {
    id: "a",
    title: "Byte echo, 50 connections × 100 B, one at a time",
    unit: "messages/s",
    load: { message: "x", size: 100, depth: 1, connections: 50 },
    contenders: {
      ours: ["ours", "bytes"],
      "bare Deno": ["Deno.Conn", "bytes"],
      "web streams": ["web streams", "bytes"],
      "node:net": ["node:net", "bytes"],
      asyncio: ["asyncio", "bytes"],
      uvloop: ["uvloop", "bytes"],
      "Go bufio": ["Go bufio", "bytes"],
    },
    goals: [
      { against: "bare Deno", bound: "at least", value: 0.95 },
      { against: "uvloop", bound: "at least", value: 1 },
    ],
  },
  {
    id: "b",
    title: "Byte echo, 2 connections × 1 MiB",
    unit: "messages/s",
    load: { message: "x", size: 1 << 20, depth: 1, connections: 2 },
    contenders: {
      "ours, readInto": ["ours", "blocks"],
      "ours, read": ["ours", "bytes"],
      "bare Deno, 64 KiB reads": ["Deno.Conn", "bytes"],
      "web streams": ["web streams", "bytes"],
      "node:net": ["node:net", "bytes"],
      asyncio: ["asyncio", "bytes"],
      uvloop: ["uvloop", "bytes"],
      "Go bufio": ["Go bufio", "bytes"],
    },
    goals: [
      { against: "bare Deno, 64 KiB reads", bound: "at least", value: 0.95, moonshot: 1.2 },
      { against: "uvloop", bound: "at least", value: 1.5 },
    ],
  },
  {
    id: "c",
    title: "Line echo, 50 connections × 100 B, one at a time",
    unit: "lines/s",
    load: { message: LINE, size: 100, depth: 1, connections: 50 },
    contenders: {
      ours: ["ours", "lines"],
      "bare Deno's byte echo": ["Deno.Conn", "bytes"],
      "web streams": ["web streams", "lines"],
      "node:net + readline": ["node:net", "lines"],
      asyncio: ["asyncio", "lines"],
      uvloop: ["uvloop", "lines"],
      "Go bufio": ["Go bufio", "lines"],
    },
    goals: [
      { against: "bare Deno's byte echo", bound: "at least", value: 0.9 },
      { against: "uvloop", bound: "at least", value: 1 },
    ],
  },
  {
    id: "d",
    title: "Line echo, 8 connections × 500 × 64 B, pipelined",
    unit: "lines/s",
    load: { message: LINE, size: 64, depth: 500, connections: 8 },
    contenders: {
      ours: ["ours", "lines"],
      "ours, V8 tuned": ["ours, V8 tuned", "lines"],
      "hand-written Deno": ["Deno.Conn", "lines"],
      "web streams": ["web streams", "lines"],
      "node:net + readline": ["node:net", "lines"],
      asyncio: ["asyncio", "lines"],
      uvloop: ["uvloop", "lines"],
      "Go bufio": ["Go bufio", "lines"],
    },
    goals: [
      { against: "uvloop", bound: "at least", value: 5 },
      { against: "asyncio", bound: "at least", value: 35 },
      { against: "web streams", bound: "at least", value: 40 },
      { against: "node:net + readline", bound: "at least", value: 30 },
      { against: "hand-written Deno", bound: "at least", value: 0.5, isMoonshot: true },
    ],
  },
  {
    id: "e",
    title: "Line echo, 8 connections × 50 × 1 KiB, pipelined",
    unit: "lines/s",
    load: { message: LINE, size: 1024, depth: 50, connections: 8 },
    contenders: {
      ours: ["ours", "lines"],
      "ours, V8 tuned": ["ours, V8 tuned", "lines"],
      "hand-written Deno": ["Deno.Conn", "lines"],
      "web streams": ["web streams", "lines"],
      "node:net + readline": ["node:net", "lines"],
      asyncio: ["asyncio", "lines"],
      uvloop: ["uvloop", "lines"],
      "Go bufio": ["Go bufio", "lines"],
    },
    goals: [{ against: "uvloop", bound: "at least", value: 1.6, moonshot: 2 }],
  },
  {
    id: "f",
    title: "Frames of 4 + 100 B, 8 connections × 500, pipelined",
    unit: "frames/s",
    load: { message: FRAME, size: FRAME.length, depth: 500, connections: 8 },
    contenders: {
      ours: ["ours", "frames"],
      asyncio: ["asyncio", "frames"],
      uvloop: ["uvloop", "frames"],
      "Go bufio": ["Go bufio", "frames"],
    },
    goals: [{ against: "uvloop", bound: "at least", value: 4 }],
  },
  {
    id: "h",
    title: "Lines by `for await`, 8 connections × 500 × 64 B, pipelined",
    unit: "lines/s",
    load: { message: LINE, size: 64, depth: 500, connections: 8 },
    contenders: { "for await": ["ours", "iteration"], readLine: ["ours", "lines"] },
    goals: [{ against: "readLine", bound: "at least", value: 0.8 }],
  },
];

/** Every workload, in the order of their letters. */
export const workloads: readonly Workload[] = [
  ...echoes.map((echo) => ({
    id: echo.id,
    measure: (settings: Settings) => measureEcho(echo, settings),
  })),
  byHand,
  memory,
  importCost,
  scaling,
  tlsEcho,
].toSorted((one, other) => one.id < other.id ? -1 : 1);
