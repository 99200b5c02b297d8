// Every way to begin with TLS, and what is known of the connection then, on both sides.
import {
  createDefaultContext,
  getEventLoop,
  openConnection,
  openUnixConnection,
  Protocol,
  type Server,
  startServer,
  startUnixServer,
  type StreamReader,
  type StreamWriter,
  type Transport,
} from "@asyncio/streams";
import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { certificates } from "./certificates.ts";
import { test } from "./open_sockets.ts";

const { folder, authority, good, client } = await certificates();
const serverContext = createDefaultContext({
  certFile: good.certFile,
  keyFile: good.keyFile,
  caFile: authority.certFile,
  requestCert: true,
  alpnProtocols: ["echo"],
});
const clientContext = createDefaultContext({
  caFile: authority.certFile,
  certFile: client.certFile,
  keyFile: client.keyFile,
  alpnProtocols: ["echo"],
});
const options = { ssl: clientContext, serverHostname: "localhost" };
const path = `${folder}/overloads.sock`;
const loop = getEventLoop();

/** What has {@linkcode Transport.getExtraInfo}. */
type Known = Pick<Transport, "getExtraInfo" | "canWriteEof">;

/** Checks all that is known of one side. */
function assertKnown(known: Known, ssl: unknown, peer: string): void {
  assertEquals(known.getExtraInfo("sslcontext"), ssl);
  assertEquals(known.getExtraInfo("peercert")?.subject, { CN: peer });
  assertEquals(known.getExtraInfo("cipher"), ["TLS_AES_256_GCM_SHA384", "TLSv1.3", 256]);
  assertEquals(known.getExtraInfo("alpn_protocol"), "echo");
  assertEquals(known.getExtraInfo("compression"), null);
  assertEquals((known.getExtraInfo("ssl_object") as { encrypted: boolean }).encrypted, true);
  const socket = known.getExtraInfo("socket") as Deno.Conn;
  assertEquals(known.getExtraInfo("peername"), socket.remoteAddr);
  assertEquals(known.getExtraInfo("sockname"), socket.localAddr);
  assertEquals(known.canWriteEof(), false);
}

async function echo(reader: StreamReader, writer: StreamWriter): Promise<void> {
  assertKnown(writer, serverContext, "Alice");
  writer.write(await reader.readLine());
  writer.close();
  await writer.waitClosed();
}

/** Says hello over streams. */
async function greet([reader, writer]: [StreamReader, StreamWriter]): Promise<void> {
  assertKnown(writer, clientContext, "localhost");
  assertThrows(() => writer.writeEof(), Error, "use close()");
  writer.write("hello\n");
  assertEquals(new TextDecoder().decode(await reader.read()), "hello\n");
  await writer.waitClosed();
}

/** The server's side as a protocol. */
class Echo extends Protocol {
  #transport: Transport | undefined;

  override connectionMade(transport: Transport): void {
    assertKnown(transport, serverContext, "Alice");
    this.#transport = transport;
  }

  override dataReceived(data: Uint8Array): void {
    this.#transport!.write(data);
    this.#transport!.close();
  }
}

/** The client's side as a protocol: all that came, once the connection is over. */
class Greeting extends Protocol {
  readonly over = Promise.withResolvers<string>();
  #text = "";

  override connectionMade(transport: Transport): void {
    assertKnown(transport, clientContext, "localhost");
    transport.write("hello\n");
  }

  override dataReceived(data: Uint8Array): void {
    this.#text += new TextDecoder().decode(data);
  }

  override connectionLost(error: Error | null): void {
    if (error === null) this.over.resolve(this.#text);
    else this.over.reject(error);
  }
}

async function greetByProtocol([, protocol]: [Transport, Greeting]): Promise<void> {
  assertEquals(await protocol.over.promise, "hello\n");
}

const listen = () => Deno.listen({ hostname: "127.0.0.1", port: 0 });
const server = { ssl: serverContext };
const servers: Record<string, () => Promise<Server>> = {
  "startServer()": () => startServer(echo, "127.0.0.1", 0, server),
  "startServer({ sock })": () => startServer(echo, { sock: listen(), ...server }),
  "startUnixServer()": () => startUnixServer(echo, path, server),
  "loop.createServer()": () => loop.createServer(() => new Echo(), "127.0.0.1", 0, server),
  "loop.createUnixServer()": () => loop.createUnixServer(() => new Echo(), path, server),
};

const made = () => new Greeting();
const clients: Record<string, (address: Deno.NetAddr) => Promise<void>> = {
  "openConnection()": async ({ port }) =>
    await greet(await openConnection("127.0.0.1", port, options)),
  "openConnection({ sock })": async ({ port }) => {
    const sock = await Deno.connect({ hostname: "127.0.0.1", port });
    await greet(await openConnection({ sock, ...options }));
  },
  "loop.createConnection()": async ({ port }) =>
    await greetByProtocol(await loop.createConnection(made, "127.0.0.1", port, options)),
};
const unixClients: Record<string, () => Promise<void>> = {
  "openUnixConnection()": async () => await greet(await openUnixConnection(path, options)),
  "loop.createUnixConnection()": async () =>
    await greetByProtocol(await loop.createUnixConnection(made, path, options)),
};

for (const [name, start] of Object.entries(servers)) {
  for (const [other, greet] of Object.entries(/unix/i.test(name) ? unixClients : clients)) {
    test(`${name} with ssl, and ${other} with ssl`, async () => {
      await using server = await start();
      await greet(server.sockets[0]!.addr as Deno.NetAddr);
    });
  }
}

test("loop.connectAcceptedSocket() with ssl", async () => {
  using listener = listen();
  const connecting = openConnection("127.0.0.1", listener.addr.port, options);
  const sock = await listener.accept();
  const [transport] = await loop.connectAcceptedSocket(() => new Echo(), sock, server);
  assertInstanceOf(transport.getProtocol(), Echo);
  await greet(await connecting);
  assert(transport.isClosing());
});
