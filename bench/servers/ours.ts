// The echo server that is measured: `ours.ts <kind> [limit]`. It prints its port.
import { startServer, type StreamReader, type StreamWriter } from "@asyncio/streams";

/** What a read of bytes asks for, at the most. */
const BLOCK = 262_144;
/** What comes before a frame: its length, as 32 bits. */
const HEADER = 4;

type Handler = (reader: StreamReader, writer: StreamWriter) => Promise<void>;

const handlers: Record<string, Handler> = {
  async bytes(reader, writer) {
    for (let data; (data = await reader.read(BLOCK)).length > 0;) {
      writer.write(data);
      await writer.drain();
    }
  },
  async blocks(reader, writer) {
    const block = new Uint8Array(BLOCK);
    for (let n; (n = await reader.readInto(block)) > 0;) {
      writer.write(block.subarray(0, n));
      await writer.drain();
    }
  },
  async lines(reader, writer) {
    for (let line; (line = await reader.readLine()).length > 0;) {
      writer.write(line);
      await writer.drain();
    }
  },
  async iteration(reader, writer) {
    for await (const line of reader) {
      writer.write(line);
      await writer.drain();
    }
  },
  async frames(reader, writer) {
    while (true) {
      const header = await reader.readExactly(HEADER);
      const body = await reader.readExactly(toLength(header));
      writer.write(header);
      writer.write(body);
      await writer.drain();
    }
  },
};

/** 32 bits, big-endian; a `DataView` would take longer than the read. */
function toLength(header: Uint8Array): number {
  return (header[0]! << 24 | header[1]! << 16 | header[2]! << 8 | header[3]!) >>> 0;
}

const [kind = "bytes", limit] = Deno.args;
const handle = handlers[kind]!;

const server = await startServer(
  async (reader, writer) => {
    try {
      await handle(reader, writer);
    } catch {
      // The load goes as it likes.
    }
    writer.close();
  },
  "127.0.0.1",
  0,
  limit === undefined ? {} : { limit: Number(limit) },
);
console.log((server.sockets[0]!.addr as Deno.NetAddr).port);
