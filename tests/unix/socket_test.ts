import { assertEquals, assertRejects } from "@std/assert";
import { getEventLoop, openUnixConnection, Socket, startUnixServer } from "@asyncio/streams";
import { text } from "../support.ts";

const loop = getEventLoop();

Deno.test("sockets over a Unix socket: bind, listen, connect, accept", async () => {
  const folder = await Deno.makeTempDir();
  const addr: Deno.UnixAddr = { transport: "unix", path: `${folder}/s` };
  using server = new Socket();
  server.bind(addr);
  server.listen();
  using client = new Socket();
  await loop.sockConnect(client, addr);
  const [accepted] = await loop.sockAccept(server);
  using _ = accepted;
  await loop.sockSendAll(client, "hello");
  assertEquals(text(await loop.sockRecv(accepted, 100)), "hello");
  await Deno.remove(folder, { recursive: true });
});

Deno.test("sockConnect() to a path where nobody listens says which", async () => {
  await assertRejects(
    () => loop.sockConnect(new Socket(), { transport: "unix", path: "/tmp/no/such/socket" }),
    Deno.errors.NotFound,
    "/tmp/no/such/socket",
  );
});

Deno.test("a bound socket is not connected to a Unix socket as if it were not bound", async () => {
  const to: Deno.UnixAddr = { transport: "unix", path: "/tmp/no/such/socket" };
  for (
    const bound of [
      { transport: "unix", path: "/tmp/me" },
      { transport: "tcp", hostname: "127.0.0.1", port: 0 },
    ] as const
  ) {
    using socket = new Socket();
    socket.bind(bound);
    await assertRejects(() => loop.sockConnect(socket, to), TypeError, "the socket is bound to");
  }
});

for (const accepting of [true, false]) {
  for (const own of [true, false]) {
    const how = accepting ? "while it accepts" : "before it accepts";
    const whose = own ? "a bound socket" : "the socket of a Deno.Listener";
    Deno.test(`closing ${whose} ${how} leaves another server's file alone`, async () => {
      const folder = await Deno.makeTempDir();
      const addr = { transport: "unix", path: `${folder}/s` } as const;
      const socket = own ? new Socket() : new Socket(Deno.listen(addr) as Deno.Listener);
      if (own) {
        socket.bind(addr);
        socket.listen();
      }
      const accept = accepting ? loop.sockAccept(socket) : null;
      await Deno.remove(addr.path);
      using _other = Deno.listen(addr);
      socket.close();
      if (accept !== null) await assertRejects(() => accept, Deno.errors.Interrupted);
      await new Promise((resolve) => setTimeout(resolve, 20)); // Deno removes late what it removes.
      assertEquals(Deno.readDirSync(folder).toArray().map(({ name }) => name), ["s"]);
      using client = new Socket();
      await loop.sockConnect(client, addr);
      await Deno.remove(folder, { recursive: true });
    });
  }
}

Deno.test("a server can start at a closed socket's path at once", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/s`;
  const socket = new Socket();
  socket.bind({ transport: "unix", path });
  socket.listen();
  const accept = assertRejects(() => loop.sockAccept(socket), Deno.errors.Interrupted);
  socket.close();
  {
    await using _server = await startUnixServer((_reader, writer) => writer.close(), path);
    await accept;
    const [reader, writer] = await openUnixConnection(path);
    await using _ = writer;
    assertEquals((await reader.read()).length, 0);
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test("closing a socket removes its own file", async () => {
  const folder = await Deno.makeTempDir();
  const socket = new Socket();
  socket.bind({ transport: "unix", path: `${folder}/s` });
  socket.listen();
  const accept = loop.sockAccept(socket);
  socket.close();
  await assertRejects(() => accept, Deno.errors.Interrupted);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assertEquals(Deno.readDirSync(folder).toArray(), []);
  await Deno.remove(folder, { recursive: true });
});
