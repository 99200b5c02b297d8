// deno run --allow-net examples/demo.ts
//
// The main job in one go: an echo server on a free loopback port and a client that talks to it
// over real TCP. Everything is checked, everything is closed, and the program ends by itself.
import {
  openConnection,
  startServer,
  type StreamReader,
  type StreamWriter,
} from "@asyncio/streams";

const lineCount = 10_000;
const bodySize = 16 * 1024 * 1024;
const pieceSize = 64 * 1024;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Sends back whatever comes until the client has no more to say. */
async function echo(reader: StreamReader, writer: StreamWriter): Promise<void> {
  await using _closedInTheEnd = writer;
  for (;;) {
    const data = await reader.read(pieceSize);
    if (data.length === 0) return;
    writer.write(data);
    await writer.drain();
  }
}

function say(label: string, text: string): void {
  console.log(`  ${label.padEnd(10)} ${text}`);
}

/** Ends the demo when something came back wrong. */
function expect(holds: boolean, what: string): void {
  if (!holds) throw new Error(`The demo failed: ${what}.`);
}

/** Shows a bar that fills up; where there is no terminal, a line for every quarter. */
function progress(label: string, done: number, total: number): void {
  const width = 24;
  const text = `${done.toLocaleString("en")} of ${total.toLocaleString("en")}`;
  if (!Deno.stdout.isTerminal()) {
    if (done % (total / 4) === 0) say(label, text);
  } else if (done % (total / 100) === 0) {
    const filled = Math.round(width * done / total);
    const bar = "█".repeat(filled) + "░".repeat(width - filled);
    const end = done === total ? "\n" : "";
    Deno.stdout.writeSync(encoder.encode(`\r  ${label.padEnd(10)} ${bar} ${text}${end}`));
  }
}

/** Says what went each way, how long it took, and the rate that makes. */
function summary(what: string, amount: number, unit: string, since: number): string {
  const ms = performance.now() - since;
  const rate = Math.round(amount / (ms / 1000)).toLocaleString("en");
  return `→ ${what}  ← ${what}  in ${ms.toFixed(0)} ms: ${rate} ${unit}/s each way`;
}

async function greet(reader: StreamReader, writer: StreamWriter): Promise<void> {
  const greeting = "Hello, streams!";
  writer.write(`${greeting}\n`);
  await writer.drain();
  say("greeting", `→ ${greeting}`);
  const answer = decoder.decode(await reader.readLine()).trimEnd();
  say("", `← ${answer}`);
  expect(answer === greeting, "the greeting came back changed");
}

/** Sends every line without waiting for the answers, which are read at the same time. */
async function pipelineLines(reader: StreamReader, writer: StreamWriter): Promise<void> {
  const line = (i: number) => `line ${i} of many that are under way at once\n`;
  const since = performance.now();
  let bytes = 0;

  async function send() {
    for (let i = 1; i <= lineCount; i++) {
      writer.write(line(i));
      await writer.drain();
    }
  }
  async function receive() {
    for (let i = 1; i <= lineCount; i++) {
      const answer = await reader.readLine();
      bytes += answer.length;
      expect(decoder.decode(answer) === line(i), `line ${i} came back changed`);
      progress("lines", i, lineCount);
    }
  }
  await Promise.all([send(), receive()]);
  const what = `${lineCount.toLocaleString("en")} lines, ${(bytes / 1024).toFixed(0)} KiB`;
  say("", summary(what, lineCount, "lines", since));
}

async function sha256(data: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", data)).toHex();
}

/** Sends a body, says that no more comes, and compares what comes back until its end. */
async function sendBody(reader: StreamReader, writer: StreamWriter): Promise<void> {
  const body = new Uint8Array(bodySize);
  for (let i = 0; i < bodySize; i += pieceSize) {
    crypto.getRandomValues(body.subarray(i, i + pieceSize));
  }
  const since = performance.now();

  async function send() {
    for (let i = 0; i < bodySize; i += pieceSize) {
      writer.write(body.subarray(i, i + pieceSize));
      await writer.drain();
    }
    writer.writeEof();
  }
  const [answer] = await Promise.all([reader.read(), send()]);
  const mebibytes = bodySize / 1024 / 1024;
  say("body", summary(`${mebibytes} MiB`, mebibytes, "MiB", since));

  const [sent, received] = [await sha256(body), await sha256(Uint8Array.from(answer))];
  say("", `→ SHA-256 ${sent}`);
  say("", `← SHA-256 ${received} ${sent === received ? "✓ the same" : "✗ not the same"}`);
  expect(sent === received, "the body came back changed");
}

function show(addr: Deno.Addr | null | undefined): string {
  return addr && "hostname" in addr ? `${addr.hostname}:${addr.port}` : "?";
}

console.log("\nasyncio's Streams for Deno\n");
const server = await startServer(echo, "127.0.0.1", 0);
const { port } = server.sockets[0]!.addr as Deno.NetAddr;
say("server", `listens on 127.0.0.1:${port}`);

const [reader, writer] = await openConnection("127.0.0.1", port);
say("client", `connected from ${show(writer.getExtraInfo("sockname"))}`);

await greet(reader, writer);
await pipelineLines(reader, writer);
await sendBody(reader, writer);

writer.close();
await writer.waitClosed();
server.close();
await server.waitClosed();
say("closed", "the client, its handler and the server: nothing is left open\n");
