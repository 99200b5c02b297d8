// deno run --allow-net=127.0.0.1 examples/echo_client_protocol.ts
//
// The TCP echo client of asyncio's documentation, written as a protocol: it sends one message and
// shows what comes back. The port is 8888, or the first argument.
import { type Future, getRunningLoop, Protocol, run, type Transport } from "@asyncio/streams";

class EchoClientProtocol extends Protocol {
  #message: string;
  #lost: Future<void>;

  constructor(message: string, lost: Future<void>) {
    super();
    this.#message = message;
    this.#lost = lost;
  }

  override connectionMade(transport: Transport): void {
    transport.write(this.#message);
    console.log(`Data sent: ${JSON.stringify(this.#message)}`);
  }

  override dataReceived(data: Uint8Array): void {
    console.log(`Data received: ${JSON.stringify(new TextDecoder().decode(data))}`);
  }

  override connectionLost(): void {
    console.log("The server closed the connection");
    this.#lost.setResult();
  }
}

async function main(): Promise<void> {
  const loop = getRunningLoop();
  const lost = loop.createFuture<void>();
  const [transport] = await loop.createConnection(
    () => new EchoClientProtocol("Hello World!", lost),
    "127.0.0.1",
    Number(Deno.args[0] ?? 8888),
  );
  // Wait until the protocol signals that the connection is lost, and close the transport.
  try {
    await lost;
  } finally {
    transport.close();
  }
}

await run(main);
