// Clients of every kind, one after the other and side by side, for some time: `PORT SECONDS SEED`.
import { openConnection } from "../../../../streams.ts";

const [port, seconds, seed] = Deno.args.map(Number) as [number, number, number];
const end = performance.now() + seconds * 1_000;

/** A sequence of numbers between 0 and 1, the same for the same seed. */
function random(seed: number): () => number {
  let x = seed;
  return () => (x = (Math.imul(x, 1_664_525) + 1_013_904_223) | 0) / 2 ** 32 + 0.5;
}

type Streams = Awaited<ReturnType<typeof openConnection>>;
const decoder = new TextDecoder();
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

async function expectLine([reader]: Streams, line: string): Promise<void> {
  const answer = decoder.decode(await reader.readLine());
  if (answer !== line) throw new Error(`sent ${line.length} characters, got ${answer.length}`);
}

const kinds: Record<string, (streams: Streams, next: () => number) => Promise<void>> = {
  async fast(streams, next) {
    const lines = Array.from({ length: 100 }, (_, i) => `${i} ${"x".repeat(next() * 500)}\n`);
    streams[1].writeLines(lines);
    for (const line of lines) await expectLine(streams, line);
  },
  async slow(streams, next) {
    for (const char of `slow ${next()}\n`) {
      streams[1].write(char);
      await pause(next() * 20);
    }
  },
  async large(streams) {
    const line = `${"y".repeat(60_000)}\n`;
    for (let i = 0; i < 20; i++) {
      streams[1].write(line);
      await expectLine(streams, line);
    }
  },
  async halfClosed([reader, writer]) {
    writer.write("one\ntwo\n");
    writer.writeEof();
    const all = decoder.decode(await reader.read());
    if (all !== "one\ntwo\n") throw new Error(`the answer was ${all}`);
  },
  async aborted([, writer], next) {
    writer.write("z".repeat(next() * 200_000));
    await pause(next() * 5);
    writer.transport.abort();
  },
  async flooding([, writer], next) {
    const signal = AbortSignal.timeout(next() * 200);
    const lines = `${"f".repeat(1_000)}\n`.repeat(100);
    try {
      for (;;) {
        writer.write(lines);
        await writer.drain({ signal }); // Nobody reads the answers.
      }
    } catch {
      writer.transport.abort();
    }
  },
  async upgraded(streams, next) {
    const [, writer] = streams;
    writer.write("starttls\n");
    await expectLine(streams, "starttls\n");
    await writer.startTls({ rejectUnauthorized: false }, { serverHostname: "localhost" });
    const line = `${"t".repeat(next() * 60_000)}\n`;
    for (let i = 0; i < 5; i++) {
      writer.write(line);
      await expectLine(streams, line);
    }
    if (next() < 0.3) writer.transport.abort();
  },
  async overlong([reader, writer]) {
    writer.write(`${"o".repeat(100_000)}\n`);
    await reader.read().catch(() => {}); // The server closes, or resets.
    writer.transport.abort();
  },
};

const counts: Record<string, number> = {};

async function client(id: number): Promise<void> {
  const next = random(seed + id);
  const names = Object.keys(kinds);
  while (performance.now() < end) {
    const name = names[Math.floor(next() * names.length)]!;
    const streams = await openConnection("127.0.0.1", port);
    try {
      await kinds[name]!(streams, next);
    } finally {
      await streams[1][Symbol.asyncDispose]();
    }
    counts[name] = (counts[name] ?? 0) + 1;
  }
}

await Promise.all(Array.from({ length: 30 }, (_, id) => client(id)));
console.log(JSON.stringify(counts));
