// deno run --allow-net=127.0.0.1 examples/echo_client.ts
//
// The TCP echo client of asyncio's documentation: it sends one message and shows what comes
// back. The port is 8888, or the first argument.
import { openConnection } from "@asyncio/streams";

async function tcpEchoClient(message: string, port: number): Promise<void> {
  const [reader, writer] = await openConnection("127.0.0.1", port);

  console.log(`Send: ${JSON.stringify(message)}`);
  writer.write(message);
  await writer.drain();

  const data = await reader.read(100);
  console.log(`Received: ${JSON.stringify(new TextDecoder().decode(data))}`);

  console.log("Close the connection");
  writer.close();
  await writer.waitClosed();
}

await tcpEchoClient("Hello World!", Number(Deno.args[0] ?? 8888));
