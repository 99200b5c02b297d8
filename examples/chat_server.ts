// deno run --allow-net=127.0.0.1 examples/chat_server.ts
//
// A chat server, one line a message, for as many clients as connect: `nc 127.0.0.1 8888`.
// The port is 8888, or the first argument. Ctrl-C says goodbye to everybody.
import { startServer, type StreamReader, type StreamWriter } from "@asyncio/streams";

/** The longest line anyone may send, in bytes. */
const lineLimit = 1024;
/** Who leaves this many bytes unread is dropped: one slow client must not fill the memory. */
const backlogLimit = 1024 * 1024;
/** How long a newcomer may take to say a name, in milliseconds. */
const patience = 60_000;

const members = new Map<string, StreamWriter>();
const decoder = new TextDecoder();

/** Sends a line to everybody but its author, without waiting for anybody. */
function broadcast(line: string, author?: string): void {
  for (const [nick, { transport }] of members) {
    if (nick === author || transport.isClosing()) continue;
    transport.write(`${line}\n`);
    if (transport.getWriteBufferSize() > backlogLimit) {
      console.log(`${nick} is too slow`);
      transport.abort();
    }
  }
}

/** Reads a line as text, or `null` at the end. Of one that is too long, nothing is kept. */
async function readText(reader: StreamReader, signal?: AbortSignal): Promise<string | null> {
  try {
    const line = await reader.readLine({ signal });
    return line.length === 0 ? null : decoder.decode(line).trim();
  } catch (error) {
    if (error instanceof RangeError) return "";
    throw error;
  }
}

/** Asks for a name until it is a good one that nobody has. */
async function askNick(reader: StreamReader, writer: StreamWriter): Promise<string | null> {
  const signal = AbortSignal.timeout(patience);
  writer.write("Your name?\n");
  for (;;) {
    const nick = await readText(reader, signal);
    if (nick === null) return null;
    if (/^\w{1,20}$/.test(nick) && !members.has(nick)) return nick;
    writer.write(members.has(nick) ? "Taken. Another?\n" : "Letters and digits, please.\n");
    await writer.drain();
  }
}

async function handleMember(reader: StreamReader, writer: StreamWriter): Promise<void> {
  await using _closedInTheEnd = writer;
  const nick = await askNick(reader, writer);
  if (nick === null) return;

  writer.write(`Welcome, ${nick}. Here: ${[...members.keys()].join(", ") || "nobody"}.\n`);
  members.set(nick, writer);
  broadcast(`* ${nick} joined`, nick);
  console.log(`${nick} joined`);
  try {
    for (;;) {
      const text = await readText(reader);
      if (text === null || text === "/quit") break;
      if (text !== "") broadcast(`${nick}: ${text}`, nick);
    }
  } finally {
    members.delete(nick);
    broadcast(`* ${nick} left`);
    console.log(`${nick} left`);
  }
}

const port = Number(Deno.args[0] ?? 8888);
await using server = await startServer(handleMember, "127.0.0.1", port, { limit: lineLimit });
for (const { addr } of server.sockets) console.log("Serving on", JSON.stringify(addr));

Deno.addSignalListener("SIGINT", async function stop() {
  Deno.removeSignalListener("SIGINT", stop);
  broadcast("* the server is going down");
  await server.shutdown({ timeout: 1000 });
});
await server.serveForever();
