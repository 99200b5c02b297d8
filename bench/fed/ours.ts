// A reader fed by hand: prints records a second for each kind of read, as JSON. Its argument says
// for how many seconds to measure each.
import { StreamReader } from "@asyncio/streams";

const LINE = 64;
const BODY = 100;
/** About this much is fed at a time, as much as a connection gives at once. */
const BLOCK = 65_536;
const encoder = new TextEncoder();

function repeat(record: Uint8Array): [block: Uint8Array, count: number] {
  const count = Math.floor(BLOCK / record.length);
  const block = new Uint8Array(count * record.length);
  for (let i = 0; i < count; i++) block.set(record, i * record.length);
  return [block, count];
}

const line = encoder.encode("x".repeat(LINE - 1) + "\n");
const frame = new Uint8Array(4 + BODY);
new DataView(frame.buffer).setUint32(0, BODY);
const record = encoder.encode("x".repeat(LINE - 4) + "\r\n\r\n");
const separator = encoder.encode("\r\n\r\n");
const nothing = Promise.resolve(new Uint8Array(0));

type Work = (reader: StreamReader, block: Uint8Array, n: number) => Promise<void>;

const kinds: Record<string, [record: Uint8Array, Work]> = {
  lines: [line, async (reader, block, n) => {
    reader.feedData(block);
    for (let i = 0; i < n; i++) await reader.readLine();
  }],
  frames: [frame, async (reader, block, n) => {
    reader.feedData(block);
    for (let i = 0; i < n; i++) {
      const header = await reader.readExactly(4);
      await reader.readExactly(toLength(header));
    }
  }],
  readUntil: [record, async (reader, block, n) => {
    reader.feedData(block);
    for (let i = 0; i < n; i++) await reader.readUntil(separator);
  }],
  // What no reader can do without: each record as a view, in a promise, awaited.
  floor: [line, async (_reader, { buffer }, n) => {
    for (let i = 0; i < n; i++) await promiseOf(new Uint8Array(buffer, i * LINE, LINE));
  }],
};

/** As in net/stream_reader.ts, where it says why. */
function promiseOf(data: Uint8Array): Promise<Uint8Array> {
  return data.length === 0 ? nothing : Promise.resolve(data);
}

/** 32 bits, big-endian; a `DataView` would take longer than the read. */
function toLength(header: Uint8Array): number {
  return (header[0]! << 24 | header[1]! << 16 | header[2]! << 8 | header[3]!) >>> 0;
}

const seconds = Number(Deno.args[0] ?? 1);
const rates: Record<string, number> = {};
for (const [kind, [bytes, work]] of Object.entries(kinds)) {
  const reader = new StreamReader();
  const [block, count] = repeat(bytes);
  let reads = 0;
  let start = performance.now();
  const warm = start + seconds * 300;
  while (performance.now() < warm) {
    await work(reader, block, count);
  }
  start = performance.now();
  const end = start + seconds * 1000;
  for (; performance.now() < end; reads += count) {
    await work(reader, block, count);
  }
  rates[kind] = reads * 1000 / (performance.now() - start);
}
console.log(JSON.stringify(rates));
