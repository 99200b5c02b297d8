// deno run --allow-net=127.0.0.1 examples/tcp_proxy.ts
//
// A TCP proxy: what comes to port 8888 goes to port 8889, and the answers come back. The ports are
// others with two arguments. A slow side slows the other one down, in place of filling the memory.
import {
  openConnection,
  startServer,
  type StreamReader,
  type StreamWriter,
} from "@asyncio/streams";

const [port = 8888, target = 8889] = Deno.args.map(Number);
/** How much is on its way at a time, in bytes. */
const blockSize = 262_144;

/** Passes on all that comes, and its end. */
async function pump(reader: StreamReader, writer: StreamWriter): Promise<void> {
  const block = new Uint8Array(blockSize);
  for (let n; (n = await reader.readInto(block)) > 0;) {
    writer.write(block.subarray(0, n));
    await writer.drain();
  }
  writer.writeEof();
}

async function forward(reader: StreamReader, writer: StreamWriter): Promise<void> {
  await using _closedInTheEnd = writer;
  let there: [StreamReader, StreamWriter];
  try {
    there = await openConnection("127.0.0.1", target);
  } catch (error) {
    console.log("No connection:", (error as Error).message);
    return;
  }
  const [thereReader, thereWriter] = there;
  await using _closedToo = thereWriter;
  try {
    await Promise.all([pump(reader, thereWriter), pump(thereReader, writer)]);
  } catch (error) {
    // One side broke: the other shall see that, and not take it for a regular end.
    console.log("Broken off:", (error as Error).message);
    writer.transport.abort();
    thereWriter.transport.abort();
  }
}

await using server = await startServer(forward, "127.0.0.1", port);
for (const { addr } of server.sockets) console.log("Serving on", JSON.stringify(addr));
await server.serveForever();
