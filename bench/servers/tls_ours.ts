// The TLS echo server that is measured: `tls_ours.ts tls <certFile> <keyFile>`. It prints its port.
import { createDefaultContext, startServer } from "@asyncio/streams";

const [, certFile, keyFile] = Deno.args;
const ssl = createDefaultContext({ certFile, keyFile });
const server = await startServer(
  async (reader, writer) => {
    try {
      for (let data; (data = await reader.read(262_144)).length > 0;) {
        writer.write(data);
        await writer.drain();
      }
    } catch {
      // The load goes as it likes.
    }
    writer.close();
  },
  "127.0.0.1",
  0,
  { ssl },
);
console.log((server.sockets[0]!.addr as Deno.NetAddr).port);
