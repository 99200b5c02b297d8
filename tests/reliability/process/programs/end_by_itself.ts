// Uses about everything, closes it, and has nothing left that keeps the process: it just ends.
import { openConnection, startServer } from "../../../../streams.ts";

const server = await startServer(
  async (reader, writer) => {
    await using _ = writer;
    for await (const line of reader) writer.write(line);
  },
  "127.0.0.1",
  0,
);
const { hostname, port } = server.sockets[0]!.addr as Deno.NetAddr;
const [reader, writer] = await openConnection(hostname, port, {
  signal: AbortSignal.timeout(3_600_000),
});
writer.write("line\n");
await reader.readLine({ signal: AbortSignal.timeout(3_600_000) });
const abandoned = reader.read(1, { signal: AbortSignal.timeout(3_600_000) }).catch(() => {});
writer.close();
await writer.waitClosed({ signal: AbortSignal.timeout(3_600_000) });
await abandoned;
await server.shutdown({ timeout: 3_600_000 });
await server.waitClosed();
console.log("All is closed");
