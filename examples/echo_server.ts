// deno run --allow-net=127.0.0.1 examples/echo_server.ts
//
// The TCP echo server of asyncio's documentation: it reads one message, sends it back and
// closes the connection. The port is 8888, or the first argument.
import { startServer, type StreamReader, type StreamWriter } from "@asyncio/streams";

async function handleEcho(reader: StreamReader, writer: StreamWriter): Promise<void> {
  const data = await reader.read(100);
  const message = new TextDecoder().decode(data);
  const peer = JSON.stringify(writer.getExtraInfo("peername"));
  console.log(`Received ${JSON.stringify(message)} from ${peer}`);

  console.log(`Send: ${JSON.stringify(message)}`);
  writer.write(data);
  await writer.drain();

  console.log("Close the connection");
  writer.close();
  await writer.waitClosed();
}

await using server = await startServer(handleEcho, "127.0.0.1", Number(Deno.args[0] ?? 8888));
for (const { addr } of server.sockets) console.log("Serving on", JSON.stringify(addr));
await server.serveForever();
