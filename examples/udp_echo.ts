// deno run --allow-net=127.0.0.1 examples/udp_echo.ts
//
// asyncio's "UDP echo server" and "UDP echo client", in one program.
import { DatagramProtocol, type DatagramTransport, getRunningLoop, run } from "@asyncio/streams";

const hostname = "127.0.0.1";

class EchoServer extends DatagramProtocol {
  #transport?: DatagramTransport;

  override connectionMade(transport: DatagramTransport) {
    this.#transport = transport;
  }

  override datagramReceived(data: Uint8Array, addr: Deno.Addr) {
    console.log(`The server received "${new TextDecoder().decode(data)}"`);
    this.#transport?.sendTo(data, addr);
  }
}

class EchoClient extends DatagramProtocol {
  readonly #answered: (answer: string) => void;

  constructor(answered: (answer: string) => void) {
    super();
    this.#answered = answered;
  }

  override connectionMade(transport: DatagramTransport) {
    transport.sendTo("Hello World!");
  }

  override datagramReceived(data: Uint8Array) {
    this.#answered(new TextDecoder().decode(data));
  }

  override errorReceived(error: Error) {
    console.error(error.message);
  }
}

await run(async () => {
  const loop = getRunningLoop();
  const [server] = await loop.createDatagramEndpoint(() => new EchoServer(), {
    localAddr: { hostname },
  });
  const { port } = server.getExtraInfo("sockname") as Deno.NetAddr;

  const answer = loop.createFuture<string>();
  const [client] = await loop.createDatagramEndpoint(
    () => new EchoClient((text) => answer.setResult(text)),
    { localAddr: { hostname }, remoteAddr: { hostname, port } },
  );
  console.log(`The client received "${await answer}"`);
  client.close();
  server.close();
});
