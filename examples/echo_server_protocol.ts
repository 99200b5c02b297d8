// deno run --allow-net=127.0.0.1 examples/echo_server_protocol.ts
//
// The TCP echo server of asyncio's documentation, written as a protocol: it sends the first message
// back and closes the connection. The port is 8888, or the first argument.
import { getRunningLoop, Protocol, run, type Transport } from "@asyncio/streams";

class EchoServerProtocol extends Protocol {
  #transport!: Transport;

  override connectionMade(transport: Transport): void {
    console.log("Connection from", JSON.stringify(transport.getExtraInfo("peername")));
    this.#transport = transport;
  }

  override dataReceived(data: Uint8Array): void {
    const message = JSON.stringify(new TextDecoder().decode(data));
    console.log(`Data received: ${message}`);

    console.log(`Send: ${message}`);
    this.#transport.write(data);

    console.log("Close the client socket");
    this.#transport.close();
  }
}

async function main(): Promise<void> {
  const loop = getRunningLoop();
  const port = Number(Deno.args[0] ?? 8888);
  await using server = await loop.createServer(() => new EchoServerProtocol(), "127.0.0.1", port);
  for (const { addr } of server.sockets) console.log("Serving on", JSON.stringify(addr));
  await server.serveForever();
}

await run(main);
