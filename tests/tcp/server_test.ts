import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import {
  openConnection,
  startServer,
  type StreamReader,
  type StreamWriter,
} from "@asyncio/streams";
import { settled, text, turns } from "../support.ts";
import { connect, connectBare, portOf, Reports, serve, soon } from "./support.ts";

async function echo(reader: StreamReader, writer: StreamWriter): Promise<void> {
  await using _ = writer;
  for await (const line of reader) {
    writer.write(line);
    await writer.drain();
  }
}

const failures: Record<string, (reader: StreamReader, line: string) => void | Promise<void>> = {
  "at once": (_reader, line) => {
    throw new Error(line);
  },
  "later": async (reader, line) => {
    await reader.readLine();
    throw new Error(line);
  },
};

for (const [when, fail] of Object.entries(failures)) {
  Deno.test(`a handler that throws ${when} is reported with its peer, and the server goes on`, async () => {
    using reports = new Reports();
    await using server = await serve((reader) => fail(reader, "broken handler"));
    for (let i = 0; i < 2; i++) {
      const report = reports.next();
      const [reader, writer] = await connect(server);
      await using _ = writer;
      writer.write("hello\n");
      const { exception, peername, message } = await report;
      assertEquals((exception as Error).message, "broken handler");
      assertEquals(peername, writer.getExtraInfo("sockname"));
      const { port } = peername as Deno.NetAddr;
      assert(message.includes(`127.0.0.1:${port}`), message);
      assertEquals((await soon(reader.read())).length, 0, "its connection is closed");
    }
    assertEquals(reports.contexts.length, 2);
    assert(server.isServing());
  });
}

Deno.test("a handler may return anything with a then(), even one that throws", async () => {
  using reports = new Reports();
  const error = new Error("no then");
  const fail = () => {
    throw error;
  };
  const odd: unknown[] = [
    { then: (done: () => void) => done() },
    { then: fail },
    Object.defineProperty({}, "then", { get: fail }),
  ];
  for (const result of odd) {
    const started = Promise.withResolvers<void>();
    const server = await serve(() => {
      started.resolve();
      return result as Promise<void>;
    });
    const [, writer] = await connect(server);
    await soon(started.promise);
    server.close();
    await soon(server.waitClosed());
    server.abortClients();
    await writer[Symbol.asyncDispose]();
  }
  assertEquals(reports.contexts.map(({ exception }) => exception), [error, error]);
});

Deno.test("a handler may be sync and leave its connection open", async () => {
  await using server = await serve((reader, writer) => {
    echo(reader, writer);
  });
  const [reader, writer] = await connect(server);
  await using _ = writer;
  writer.write("hello\n");
  assertEquals(text(await soon(reader.readLine())), "hello\n");
});

Deno.test("sockets, isServing() and connections tell the server's state", async () => {
  const server = await serve(echo);
  assertEquals([server.sockets.length, server.isServing(), server.connections], [1, true, 0]);
  const [reader, writer] = await connect(server);
  writer.write("hello\n");
  await soon(reader.readLine());
  assertEquals(server.connections, 1);
  const port = portOf(server);
  server.close();
  assertEquals([server.sockets.length, server.isServing(), server.connections], [0, false, 1]);
  await assertRejects(() => openConnection("127.0.0.1", port)); // Refused, or reset.
  // The connection that is open goes on.
  writer.write("still here\n");
  assertEquals(text(await soon(reader.readLine())), "still here\n");
  writer.close();
  await soon(server.waitClosed());
  assertEquals(server.connections, 0);
  await writer.waitClosed();
});

Deno.test("close() frees the port for the next server", async () => {
  const first = await serve(echo);
  const port = portOf(first);
  await first[Symbol.asyncDispose]();
  await using second = await startServer(echo, "127.0.0.1", port);
  assertEquals(portOf(second), port);
});

Deno.test("close() frees the port for a server that is started at once", async () => {
  for (const host of ["127.0.0.1", null]) {
    const first = await startServer(echo, host, 0);
    const port = portOf(first);
    first.close();
    await using second = await startServer(echo, host, port);
    assertEquals(portOf(second), port);
    await soon(first.waitClosed());
  }
});

Deno.test("a server that waits for its port to be freed ends by its signal", async () => {
  const first = await serve(echo);
  const reason = new Error("enough");
  const controller = new AbortController();
  const starting = startServer(echo, "127.0.0.1", portOf(first), { signal: controller.signal });
  first.close();
  controller.abort(reason);
  assertStrictEquals(await assertRejects(() => starting), reason);
  await soon(first.waitClosed());
});

Deno.test("a server whose listener was closed by somebody else is closed", async () => {
  using reports = new Reports();
  const server = await serve(echo);
  const report = reports.next();
  const forever = server.serveForever();
  server.sockets[0]!.close();
  await soon(forever);
  await soon(server.waitClosed());
  assertEquals([server.isServing(), server.sockets.length], [false, 0]);
  assert((await report).message.includes("closed by other means"));
});

Deno.test("serveForever() accepts, and ends by close() or by its signal", async () => {
  const server = await serve(echo, { startServing: false });
  const serving = server.serveForever();
  const [reader, writer] = await connect(server);
  writer.write("hello\n");
  assertEquals(text(await soon(reader.readLine())), "hello\n");
  server.close();
  await soon(serving);
  await writer[Symbol.asyncDispose]();
  await soon(server.waitClosed());

  const other = await serve(echo);
  const controller = new AbortController();
  const reason = new Error("enough");
  const forever = other.serveForever({ signal: controller.signal });
  controller.abort(reason);
  assertStrictEquals(await assertRejects(() => soon(forever)), reason);
  assert(!other.isServing());
  await soon(other.waitClosed());
});

Deno.test("closeClients() sends what was written, then EOF; handlers end", async () => {
  const server = await serve(async (reader, writer) => {
    writer.write("x".repeat(1_000_000));
    await reader.read();
  });
  const [reader, writer] = await connect(server);
  assertEquals(text(await soon(reader.readExactly(1))), "x");
  server.close();
  server.closeClients();
  assertEquals((await soon(reader.read())).length, 999_999);
  await soon(server.waitClosed());
  await writer[Symbol.asyncDispose]();
});

Deno.test("abortClients() ends handlers whose peers do not read", async () => {
  const full = Promise.withResolvers<void>();
  let error: unknown;
  const server = await serve(async (_reader, writer) => {
    writer.write(new Uint8Array(32 * 2 ** 20));
    full.resolve();
    await writer.drain().catch((reason) => error = reason);
  });
  using _peer = await connectBare(server);
  await soon(full.promise);
  server.close();
  server.closeClients();
  const closed = server.waitClosed();
  assert(!await settled(closed));
  server.abortClients();
  await soon(closed);
  assert(error instanceof Deno.errors.ConnectionReset);
  assertEquals(server.connections, 0);
});

Deno.test("shutdown() with nobody connected ends at once", async () => {
  const server = await serve(echo);
  await soon(server.shutdown({ timeout: 60_000 }));
  await soon(server.shutdown({ timeout: 60_000 }));
  assert(!server.isServing());
});

Deno.test("shutdown() lets handlers finish that can", async () => {
  const server = await serve(async (reader, writer) => {
    await using _ = writer;
    const name = await reader.readLine();
    writer.write(`bye ${text(name)}`);
  });
  const [reader, writer] = await connect(server);
  while (server.connections === 0) await turns(1);
  const done = server.shutdown({ timeout: 60_000 });
  assert(!await settled(done));
  writer.write("friend\n");
  assertEquals(text(await soon(reader.read())), "bye friend\n");
  await soon(done);
  await writer[Symbol.asyncDispose]();
});

Deno.test("shutdown() closes idle connections after its timeout, and their handlers end", async () => {
  const server = await serve(echo);
  const [reader, writer] = await connect(server);
  while (server.connections === 0) await turns(1);
  await soon(server.shutdown({ timeout: 10 }));
  assertEquals((await soon(reader.read())).length, 0);
  await soon(server.waitClosed());
  await writer[Symbol.asyncDispose]();
});

Deno.test("shutdown() ends though a handler never does and its peer does not read", async () => {
  const release = Promise.withResolvers<void>();
  const server = await serve(async (_reader, writer) => {
    writer.write(new Uint8Array(32 * 2 ** 20));
    await release.promise;
  });
  using _peer = await connectBare(server);
  while (server.connections === 0) await turns(1);
  await soon(server.shutdown({ timeout: 10 }));
  assertEquals(server.connections, 0);
  const closed = server.waitClosed();
  assert(!await settled(closed));
  release.resolve();
  await soon(closed);
});

Deno.test("await using closes the server and waits for its handlers", async () => {
  let ended = false;
  const other = Promise.withResolvers<[StreamReader, StreamWriter]>();
  const leaving = other.promise.then(async ([, writer]) => {
    await turns(3);
    await writer[Symbol.asyncDispose]();
  });
  {
    await using server = await serve(async (reader, writer) => {
      await using _ = writer;
      await reader.read();
      ended = true;
    });
    const streams = await connect(server);
    while (server.connections === 0) await turns(1);
    other.resolve(streams);
  }
  assert(ended);
  await leaving;
});

Deno.test("a thousand quick connections are all answered", async () => {
  await using server = await serve(echo);
  let answered = 0;
  const talk = async (i: number) => {
    const [reader, writer] = await connect(server);
    await using _ = writer;
    writer.write(`${i}\n`);
    if (text(await soon(reader.readLine())) === `${i}\n`) answered++;
  };
  for (let i = 0; i < 1_000; i += 50) {
    await Promise.all(Array.from({ length: 50 }, (_, j) => talk(i + j)));
  }
  assertEquals(answered, 1_000);
});
