// Whatever state a connection or a server is in: waitClosed() ends, and nothing stays open.
import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Server } from "../../../server.ts";
import { openConnection, startServer, type StartServerOptions } from "../../../streams.ts";
import { text } from "../../support.ts";
import {
  connectedPair,
  manyLoopbacks,
  type Pair,
  Peer,
  portOf,
  Reports,
  test,
  until,
} from "../support.ts";

/** More than the system's buffers take. */
const LOTS = new Uint8Array(32 * 1_048_576);

/** Each brings a connection to its end, or to where `waitClosed()` will. */
const connectionEnds: Record<string, { regular: boolean; bring(pair: Pair): unknown }> = {
  "close() while idle": {
    regular: true,
    bring: ({ writer }) => writer.close(),
  },
  "close() twice": {
    regular: true,
    bring: ({ writer }) => [writer.close(), writer.close()],
  },
  "close() while a read waits": {
    regular: true,
    bring({ reader, writer }) {
      const read = reader.read();
      writer.close();
      return read;
    },
  },
  "close() with a full buffer, and the peer reads": {
    regular: true,
    async bring({ writer, peer }) {
      writer.write(LOTS);
      writer.close();
      assertEquals(await peer.readAll(), LOTS.length);
    },
  },
  "close() with a full buffer, and the peer resets": {
    regular: false,
    async bring({ writer, peer }) {
      writer.write(LOTS);
      writer.close();
      await peer.readSome();
      await peer.reset();
    },
  },
  "close() with a full buffer, then abort() while drain() waits": {
    regular: true,
    async bring({ writer, peer }) {
      writer.write(LOTS);
      const drained = writer.drain();
      writer.close();
      await peer.readSome();
      writer.transport.abort();
      await assertRejects(() => drained, Deno.errors.ConnectionReset);
    },
  },
  "abort()": {
    regular: true,
    bring: ({ writer }) => writer.transport.abort(),
  },
  "abort() while a read waits": {
    regular: true,
    async bring({ reader, writer }) {
      const read = reader.read();
      writer.transport.abort();
      assertEquals(text(await read), "");
    },
  },
  "the peer has closed, was read to the end, then close()": {
    regular: true,
    async bring({ reader, writer, peer }) {
      peer.end();
      await reader.read();
      writer.close();
    },
  },
  "the peer has closed, and nobody has read it, then close()": {
    regular: true,
    bring({ writer, peer }) {
      peer.end();
      writer.close();
    },
  },
  "both ends have half-closed, then close()": {
    regular: true,
    async bring({ reader, writer, peer }) {
      writer.writeEof();
      peer.end();
      await reader.read();
      writer.close();
    },
  },
  "the peer resets while nobody reads": {
    regular: false,
    bring: ({ peer }) => peer.reset(),
  },
  "the peer resets while a read waits": {
    regular: false,
    async bring({ reader, peer }) {
      const read = reader.read();
      await peer.reset();
      await assertRejects(() => read, Deno.errors.ConnectionReset);
    },
  },
  "the peer resets after our half-close": {
    regular: false,
    async bring({ writer, peer }) {
      writer.writeEof();
      await peer.readAll();
      await peer.reset();
    },
  },
  "the server's closeClients()": {
    regular: true,
    bring: ({ server }) => server.closeClients(),
  },
  "the server's abortClients()": {
    regular: true,
    bring: ({ server }) => server.abortClients(),
  },
};

for (const [name, { regular, bring }] of Object.entries(connectionEnds)) {
  test(`a connection's waitClosed() ends: ${name}`, async () => {
    using reports = new Reports();
    await using pair = await connectedPair();
    const { server, writer } = pair;
    const wait = () => writer.waitClosed().then(() => null, (error: unknown) => error);
    const early = [wait(), wait()];
    await bring(pair);
    const outcomes = await Promise.all([...early, wait()]);
    for (const outcome of outcomes) {
      assertEquals(outcome === null, regular, `ended with ${outcome}`);
      assertEquals(outcome, outcomes[0]);
    }
    assert(writer.isClosing());
    assertEquals(server.connections, 0);
    assertEquals(reports.contexts, []);
  });
}

/** Each brings a server, whose handlers echo lines, to its end. */
const serverEnds: Record<string, {
  options?: StartServerOptions;
  clients?: number;
  bring(server: Server): unknown;
}> = {
  "nobody came": { bring: (server) => server.close() },
  "it never served": {
    options: { startServing: false },
    clients: 2,
    bring: (server) => server.close(),
  },
  "closed twice": { bring: (server) => [server.close(), server.close()] },
  "handlers wait, then closeClients()": {
    clients: 3,
    bring: (server) => [server.close(), server.closeClients()],
  },
  "handlers wait, then abortClients()": {
    clients: 3,
    bring: (server) => [server.close(), server.abortClients()],
  },
  "handlers wait, and shutdown() has no patience": {
    clients: 3,
    bring: (server) => server.shutdown({ timeout: 1 }),
  },
  "one client waits for another to leave": {
    options: { maxConnections: 1 },
    clients: 3,
    bring: (server) => [server.close(), server.abortClients()],
  },
  "serveForever() is aborted": {
    clients: 1,
    async bring(server) {
      const controller = new AbortController();
      const serving = server.serveForever({ signal: controller.signal });
      controller.abort(new Error("enough"));
      await assertRejects(() => serving, Error, "enough");
      server.closeClients();
    },
  },
  "somebody else has closed its listener": {
    clients: 1,
    async bring(server) {
      const { addr } = server.sockets[0]!;
      server.sockets[0]!.close();
      server.close();
      server.closeClients();
      await assertRejects(() => Deno.connect(addr as Deno.ConnectOptions));
    },
  },
};

for (const [name, { options, clients = 0, bring }] of Object.entries(serverEnds)) {
  test(`a server's waitClosed() ends: ${name}`, async () => {
    using _reports = new Reports();
    const server = await startServer(
      async (reader, writer) => {
        await using _ = writer;
        for await (const line of reader) writer.write(line);
      },
      "127.0.0.1",
      0,
      options,
    );
    const port = portOf(server);
    const conns = await Promise.all(Array.from({ length: clients }, () => Peer.connect(port)));
    if (server.isServing()) {
      await until(() =>
        server.connections === Math.min(clients, options?.maxConnections ?? clients)
      );
    }
    const early = [server.waitClosed(), server.waitClosed()];
    await bring(server);
    await Promise.all([...early, server.waitClosed()]);
    assertEquals([server.connections, server.sockets, server.isServing()], [0, [], false]);
    for (const conn of conns) await conn[Symbol.asyncDispose]();
    using _again = Deno.listen({ hostname: "127.0.0.1", port }); // The port is free.
  });
}

test(
  "a listener closed by somebody else is given up, with a report, not tried for ever",
  async () => {
    using reports = new Reports();
    await using server = await startServer(() => {}, ["127.0.0.1", "127.0.0.2"], 0);
    server.sockets[0]!.close();
    const { exception } = await reports.first();
    assert(exception instanceof Error);
    await new Promise((resolve) => setTimeout(resolve, 350));
    assertEquals(reports.contexts.length, 1);
    using _conn = await Deno.connect(server.sockets[1]!.addr as Deno.ConnectOptions);
    await until(() => server.connections === 1);
    server.abortClients();
  },
  { ignore: !manyLoopbacks },
);

test("await using closes a client, its server, and what was accepted", async () => {
  let accepted = 0;
  let port: number;
  {
    await using server = await startServer(
      async (reader, writer) => {
        await using _ = writer;
        writer.write(await reader.readLine());
        accepted++;
      },
      "127.0.0.1",
      0,
    );
    port = portOf(server);
    const [reader, writer] = await openConnection("127.0.0.1", port);
    await using _ = writer;
    writer.write("all of it\n");
    assertEquals(text(await reader.read()), "all of it\n");
  }
  assertEquals(accepted, 1);
  await assertRejects(() => openConnection("127.0.0.1", port), Deno.errors.ConnectionRefused);
});

test("shutdown() lets a handler finish, then closes, then aborts who takes nothing", async () => {
  using reports = new Reports();
  let finished = 0;
  const begun = Promise.withResolvers<void>();
  const server = await startServer(
    async (reader, writer) => {
      const request = text(await reader.readLine());
      if (request === "big\n") {
        begun.resolve();
        writer.write(LOTS);
        await writer.drain();
      }
      await using _ = writer;
      writer.write("done\n");
      finished++;
    },
    "127.0.0.1",
    0,
  );
  await using greedy = await Peer.connect(portOf(server));
  await greedy.send("big\n");
  await begun.promise;
  const [reader, writer] = await openConnection("127.0.0.1", portOf(server));
  await using _ = writer;
  const shutdown = server.shutdown({ timeout: 300 });
  writer.write("small\n");
  assertEquals(text(await reader.readLine()), "done\n");
  await shutdown;
  assertEquals([finished, server.connections], [1, 0]);
  assert((await reports.first()).exception instanceof Deno.errors.ConnectionReset);
  await assertRejects(() => server.startServing(), Error, "closed");
});
