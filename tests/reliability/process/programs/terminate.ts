// A server that ends well on SIGTERM: what is in flight is finished, nothing is left, the code is 0.
import { startServer } from "../../../../streams.ts";

const server = await startServer(
  async (reader, writer) => {
    await using _ = writer;
    const request = await reader.readLine();
    console.log("Working");
    await new Promise((resolve) => setTimeout(resolve, 300));
    writer.write(request);
  },
  "127.0.0.1",
  0,
);
Deno.addSignalListener("SIGTERM", async function terminate() {
  Deno.removeSignalListener("SIGTERM", terminate);
  await server.shutdown({ timeout: 10_000 });
  console.log(`Closed with ${server.connections} connections`);
});
console.log("Serving on", JSON.stringify(server.sockets[0]?.addr));
await server.serveForever();
