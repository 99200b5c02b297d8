import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { getRunningLoop, openUnixConnection, startServer, startUnixServer } from "@asyncio/streams";
import type {
  ExceptionContext,
  StartUnixServerOptions,
  StreamReader,
  StreamWriter,
} from "@asyncio/streams";
import { deadline } from "@std/async";
import { pattern, text } from "../support.ts";

const soon = <T>(promise: Promise<T>) => deadline(promise, 20_000);

/** A folder of its own, removed in the end. */
class Folder implements AsyncDisposable {
  readonly path = Deno.makeTempDirSync();
  /** A path in the folder. */
  at(name: string): string {
    return `${this.path}/${name}`;
  }
  /** What is in it. */
  list(): string[] {
    return [...Deno.readDirSync(this.path)].map(({ name }) => name).sort();
  }
  [Symbol.asyncDispose](): Promise<void> {
    return Deno.remove(this.path, { recursive: true });
  }
}

async function echo(reader: StreamReader, writer: StreamWriter): Promise<void> {
  await using _ = writer;
  for await (const line of reader) {
    writer.write(line);
    await writer.drain();
  }
}

async function talk(path: string | URL): Promise<string> {
  const [reader, writer] = await openUnixConnection(path);
  await using _ = writer;
  writer.write("hello\n");
  return text(await soon(reader.readLine()));
}

Deno.test("startUnixServer() and openUnixConnection() take a path, a URL and an abstract name", async () => {
  await using folder = new Folder();
  const odd = folder.at("odd name %20 é");
  const url = new URL(`file://${folder.path}/by%20url`);
  const abstract = Deno.build.os === "linux" ? [`\0${crypto.randomUUID()}`] : [];
  for (const path of [folder.at("plain"), odd, url, ...abstract]) {
    await using server = await startUnixServer(echo, path);
    assert(server.isServing());
    assertEquals(server.sockets.length, 1);
    assertEquals(await talk(path), "hello\n");
  }
  assertEquals(folder.list(), [], "the socket files are removed");
});

Deno.test("a Unix connection half-closes, moves much, and knows its addresses", async () => {
  await using folder = new Folder();
  const path = folder.at("socket");
  await using _server = await startUnixServer(async (reader, writer) => {
    await using _ = writer;
    writer.write(await reader.read());
  }, path);
  const [reader, writer] = await openUnixConnection(path, { limit: 10 });
  await using _ = writer;
  assertEquals(writer.getExtraInfo("peername"), { transport: "unix", path });
  const data = pattern(2_000_000);
  writer.write(data);
  writer.writeEof();
  assertEquals((await soon(reader.read())).length, data.length);
});

Deno.test("startUnixServer() sets the mode of the socket file", async () => {
  await using folder = new Folder();
  for (const mode of [0o600, 0o777]) {
    await using _ = await startUnixServer(echo, folder.at("socket"), { mode });
    assertEquals(Deno.statSync(folder.at("socket")).mode! & 0o777, mode);
  }
});

Deno.test("close() keeps the socket file where it is told to", async () => {
  await using folder = new Folder();
  const path = folder.at("socket");
  const server = await startUnixServer(echo, path, { cleanupSocket: false });
  await server[Symbol.asyncDispose]();
  assertEquals(folder.list(), ["socket"]);
  await assertRejects(
    () => openUnixConnection(path),
    Deno.errors.ConnectionRefused,
    `cannot connect to unix:${path}`,
  );
});

Deno.test("close() leaves the file that another server has put there alone", async () => {
  await using folder = new Folder();
  const path = folder.at("socket");
  const first = await startUnixServer(echo, path);
  Deno.removeSync(path);
  await using _second = await startUnixServer(echo, path);
  await first[Symbol.asyncDispose]();
  assertEquals(folder.list(), ["socket"]);
  assertEquals(await talk(path), "hello\n");
});

Deno.test("close() frees the path for a server that is started at once", async () => {
  await using folder = new Folder();
  const path = folder.at("socket");
  for (const remove of [false, true]) {
    const first = await startUnixServer(echo, path);
    first.close();
    if (remove) Deno.removeSync(path);
    await using _second = await startUnixServer(echo, new URL(`file://${path}`));
    await first.waitClosed();
    assertEquals(folder.list(), ["socket"]);
    assertEquals(await talk(path), "hello\n");
  }
  assertEquals(folder.list(), []);
});

Deno.test("close() that can't keep the socket file reports it", async () => {
  const folder = new Folder();
  const loop = getRunningLoop();
  const reported = Promise.withResolvers<ExceptionContext>();
  loop.setExceptionHandler((_loop, context) => reported.resolve(context));
  try {
    const path = folder.at("socket");
    const server = await startUnixServer(echo, path, { cleanupSocket: false });
    server.close();
    Deno.removeSync(folder.path, { recursive: true }); // The file has no place to go back to.
    await server.waitClosed();
    const { message, exception } = await soon(reported.promise);
    assert(message.includes(path), message);
    assert(exception instanceof Deno.errors.NotFound);
  } finally {
    loop.setExceptionHandler(null);
  }
});

Deno.test("close() does without the file when somebody has removed it", async () => {
  await using folder = new Folder();
  const server = await startUnixServer(echo, folder.at("socket"));
  Deno.removeSync(folder.at("socket"));
  await server[Symbol.asyncDispose]();
  assertEquals(folder.list(), []);
});

Deno.test("startUnixServer() says that a file is in the way, and leaves it there", async () => {
  await using folder = new Folder();
  const path = folder.at("file");
  Deno.writeTextFileSync(path, "precious");
  const error = await assertRejects(() => startUnixServer(echo, path), Deno.errors.AddrInUse);
  assert(error.message.includes(path) && error.message.includes("in the way"), error.message);
  assertEquals(Deno.readTextFileSync(path), "precious");
  await using _server = await startUnixServer(echo, folder.at("socket"));
  await assertRejects(() => startUnixServer(echo, folder.at("socket")), Deno.errors.AddrInUse);
  assertEquals(await talk(folder.at("socket")), "hello\n");
});

Deno.test("a missing directory, a missing socket and a file that is none are told apart", async () => {
  await using folder = new Folder();
  const missing = folder.at("missing/socket");
  await assertRejects(() => startUnixServer(echo, missing), Deno.errors.NotFound, missing);
  await assertRejects(() => openUnixConnection(missing), Deno.errors.NotFound, missing);
  Deno.writeTextFileSync(folder.at("file"), "");
  await assertRejects(() => openUnixConnection(folder.at("file")), Deno.errors.ConnectionRefused);
});

Deno.test("paths that are too long or no paths are refused at the call", async () => {
  const long = `/tmp/${"é".repeat(60)}`;
  const wrong: [unknown, typeof TypeError | typeof RangeError, string][] = [
    [long, RangeError, "this one has 125"],
    ["", RangeError, "empty"],
    ["/tmp/a\0b", RangeError, "NUL"],
    [5, TypeError, "not 5"],
    [null, TypeError, "not null"],
    [undefined, TypeError, "not undefined"],
    [new URL("https://example.com/socket"), TypeError, "file: URL"],
  ];
  for (const [path, kind, message] of wrong) {
    await assertRejects(() => startUnixServer(echo, path as string), kind, message);
    await assertRejects(() => openUnixConnection(path as string), kind, message);
  }
});

Deno.test("bad options are refused before a socket file is there", async () => {
  await using folder = new Folder();
  const path = folder.at("socket");
  const wrong: [unknown, typeof TypeError | typeof RangeError][] = [
    [{ mode: "600" }, TypeError],
    [{ mode: 0o1000 }, RangeError],
    [{ mode: -1 }, RangeError],
    [{ cleanupSocket: "yes" }, TypeError],
    [{ backlog: 0 }, RangeError],
    [{ backlog: 1.5 }, TypeError],
    [{ limit: 0 }, RangeError],
    [{ maxConnections: 0 }, RangeError],
    [{ startServing: 1 }, TypeError],
    [{ signal: 1 }, TypeError],
    [{ sock: {} }, TypeError],
  ];
  for (const [options, kind] of wrong) {
    await assertRejects(() => startUnixServer(echo, path, options as StartUnixServerOptions), kind);
  }
  await assertRejects(() => startUnixServer(5 as unknown as typeof echo, path), TypeError);
  const signal = AbortSignal.abort(new Error("enough"));
  await assertRejects(() => startUnixServer(echo, path, { signal }), Error, "enough");
  const controller = new AbortController();
  const starting = startUnixServer(echo, path, { signal: controller.signal });
  controller.abort(signal.reason);
  await assertRejects(() => starting, Error, "enough");
  await assertRejects(() => openUnixConnection(path, { signal }), Error, "enough");
  await assertRejects(() => openUnixConnection(path, { limit: -1 }), RangeError);
  assertEquals(folder.list(), []);
});

Deno.test("openUnixConnection() that is aborted while it connects leaves nothing open", async () => {
  await using folder = new Folder();
  const path = folder.at("socket");
  await using _server = await startUnixServer(echo, path);
  const controller = new AbortController();
  const opening = openUnixConnection(path, { signal: controller.signal });
  const reason = new Error("enough");
  controller.abort(reason);
  assertStrictEquals(await assertRejects(() => opening), reason);
});

Deno.test("mode and cleanupSocket are refused where this call makes no socket file", async () => {
  await using folder = new Folder();
  const path = folder.at("socket");
  using sock = Deno.listen({ transport: "unix", path });
  const { mode } = Deno.statSync(path);
  for (const options of [{ mode: 0o600 }, { cleanupSocket: false }, { cleanupSocket: true }]) {
    const [name] = Object.keys(options);
    const message = `${name} is for a socket file that`;
    const calls = [
      () => startUnixServer(echo, null, { sock, ...options }),
      () => startUnixServer(echo, `\0${crypto.randomUUID()}`, options),
    ];
    for (const call of calls) await assertRejects(call, TypeError, message);
  }
  assertEquals(Deno.statSync(path).mode, mode);
});

Deno.test("sock takes the place of the path, and not both", async () => {
  await using folder = new Folder();
  const path = folder.at("socket");
  const listener = Deno.listen({ transport: "unix", path });
  await assertRejects(() => startUnixServer(echo, path, { sock: listener }), TypeError, "both");
  await using server = await startUnixServer(echo, null, { sock: listener });
  assertStrictEquals(server.sockets[0] as unknown, listener);
  const sock = await Deno.connect({ transport: "unix", path });
  await assertRejects(() => openUnixConnection(path, { sock }), TypeError, "both");
  const [reader, writer] = await openUnixConnection(null, { sock });
  await using _ = writer;
  writer.write("hello\n");
  assertEquals(text(await soon(reader.readLine())), "hello\n");
});

/** Ways to listen on a path by a listener or a socket of the caller's own; what they give closes it. */
const handedOver: Record<string, (path: string) => Promise<() => Promise<void>>> = {
  "startUnixServer() with sock": async (path) => {
    const sock = Deno.listen({ transport: "unix", path });
    const server = await startUnixServer(echo, null, { sock });
    return () => server[Symbol.asyncDispose]();
  },
  "startUnixServer() with sock that does not serve yet": async (path) => {
    const sock = Deno.listen({ transport: "unix", path });
    const server = await startUnixServer(echo, null, { sock, startServing: false });
    return () => server[Symbol.asyncDispose]();
  },
  "startServer() with sock": async (path) => {
    const sock = Deno.listen({ transport: "unix", path }) as Deno.Listener;
    const server = await startServer(echo, { sock });
    return () => server[Symbol.asyncDispose]();
  },
};

for (const [name, listen] of Object.entries(handedOver)) {
  Deno.test(`${name}: close() leaves the file that another server has put there alone`, async () => {
    await using folder = new Folder();
    const path = folder.at("socket");
    const close = await listen(path);
    Deno.removeSync(path);
    await using _second = await startUnixServer(echo, path);
    await close();
    assertEquals(folder.list(), ["socket"]);
    assertEquals(await talk(path), "hello\n");
  });

  Deno.test(`${name}: close() removes the socket file`, async () => {
    await using folder = new Folder();
    const close = await listen(folder.at("socket"));
    assertEquals(folder.list(), ["socket"]);
    await close();
    assertEquals(folder.list(), []);
  });
}

Deno.test("a sock whose file was gone before: close() leaves another server's alone", async () => {
  await using folder = new Folder();
  const path = folder.at("socket");
  const sock = Deno.listen({ transport: "unix", path });
  Deno.removeSync(path);
  const first = await startUnixServer(echo, null, { sock });
  await using _second = await startUnixServer(echo, path);
  await first[Symbol.asyncDispose]();
  assertEquals(folder.list(), ["socket"]);
  assertEquals(await talk(path), "hello\n");
});

Deno.test("sock may be an abstract socket", { ignore: Deno.build.os !== "linux" }, async () => {
  const path = `\0${crypto.randomUUID()}`;
  const sock = Deno.listen({ transport: "unix", path });
  await using _server = await startUnixServer(echo, null, { sock });
  assertEquals(await talk(path), "hello\n");
});

Deno.test("a server that has ended listens to nothing any more", async () => {
  await using folder = new Folder();
  const { addEventListener, removeEventListener } = globalThis;
  let listening = 0;
  let most = 0;
  globalThis.addEventListener = (...args: Parameters<typeof addEventListener>) => {
    most = Math.max(most, ++listening);
    addEventListener(...args);
  };
  globalThis.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
    listening--;
    removeEventListener(...args);
  };
  try {
    for (const cleanupSocket of [true, false]) {
      for (const startServing of [true, false]) {
        const path = folder.at(`${cleanupSocket} ${startServing}`);
        const server = await startUnixServer(echo, path, { cleanupSocket, startServing });
        await server[Symbol.asyncDispose]();
        assertEquals([listening, most], [0, 1]);
      }
    }
  } finally {
    Object.assign(globalThis, { addEventListener, removeEventListener });
  }
});
