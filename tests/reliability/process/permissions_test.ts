// The README's table of permissions: each row is run with exactly what it says, and then with nothing.
import { assert, assertEquals } from "@std/assert";
import { DatagramProtocol, type DatagramTransport, getEventLoop } from "@asyncio/streams";
import { Program, read } from "../../project/program.ts";
import { freePort, text } from "../../support.ts";
import { test } from "../support.ts";

const [, table = ""] = read("README.md").match(/^## Permissions\n.*?(^\|.*?)\n\n/ms) ?? [];
const rows = new Map(
  table.split("\n").slice(2).map((line) => {
    const [, to = "", needs = ""] = line.split("|").map((cell) => cell.trim());
    return [to, needs] as const;
  }),
);

/** Echoes datagrams for as long as it is in use. */
async function datagramEcho() {
  class Echo extends DatagramProtocol {
    #transport: DatagramTransport | null = null;
    override connectionMade(transport: DatagramTransport) {
      this.#transport = transport;
    }
    override datagramReceived(data: Uint8Array, addr: Deno.NetAddr) {
      this.#transport!.sendTo(data, addr);
    }
  }
  const localAddr = { hostname: "127.0.0.1" };
  const [transport] = await getEventLoop().createDatagramEndpoint(() => new Echo(), { localAddr });
  return {
    port: (transport.getExtraInfo("sockname") as Deno.NetAddr).port,
    [Symbol.dispose]: () => transport.close(),
  };
}

/** The flags in a cell of the README, for other addresses and paths than it has. */
function flagsOf(to: string, substitutes: Record<string, string>): string[] {
  const [, flags = ""] = rows.get(to)?.match(/^`([^`]+)`/) ?? [];
  return flags.split(" ").filter((flag) => flag !== "").map((flag) =>
    Object.entries(substitutes).reduce((all, [old, fresh]) => all.replace(old, fresh), flag)
  );
}

const library = 'import * as asyncio from "@asyncio/streams";';

/** Runs a program that may do just that, and may not ask; it has to end by itself. */
async function run(flags: readonly string[], code: string, env: Record<string, string> = {}) {
  const wrapped = `${library}
    try { ${code} } catch (error) { console.log(\`\${error.name}: \${error.message}\`); }`;
  await using program = new Program(["run", "--quiet", "--no-prompt", ...flags, "-"], wrapped, env);
  const { code: exit, stdout, stderr } = await program.end();
  assertEquals([exit, stderr], [0, ""]);
  return stdout.trim();
}

/** The flags without one of them, or without one of the things that it allows: each way once. */
function* fewer(flags: readonly string[]): Generator<[left: string[], out: string]> {
  for (const [i, flag] of flags.entries()) {
    const [name = "", values = ""] = flag.split("=");
    const parts = values.split(",");
    for (const part of parts) {
      const rest = parts.filter((one) => one !== part);
      yield [flags.toSpliced(i, 1, ...(rest.length > 0 ? [`${name}=${rest}`] : [])), name];
    }
  }
}

/** Runs it with the flags, then with fewer: Deno's own error says which one is missing. */
async function needs(flags: readonly string[], code: string, answer: string): Promise<void> {
  assertEquals(await run(flags, code), answer);
  for (const [left, out] of fewer(flags)) {
    const outcome = await run(left, code);
    // Deno's import() says the same by a TypeError.
    assert(/^(NotCapable|TypeError): .*requires .*access/i.test(outcome), `${left}: ${outcome}`);
    assert(outcome.includes(out), `with no more than ${left}: ${outcome}`);
  }
}

/** A server of this process that greets. */
function greeter() {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serving = (async () => {
    for await (const conn of listener) {
      await conn.write(new TextEncoder().encode("hello\n"));
      conn.close();
    }
  })();
  return {
    port: (listener.addr as Deno.NetAddr).port,
    async [Symbol.asyncDispose]() {
      listener.close();
      await serving.catch(() => {});
    },
  };
}

const greeted = `
  await using _ = writer;
  console.log(new TextDecoder().decode(await reader.read()).trim());`;

/** Listens, and is its own client where it may be. */
const listens = (host: string, port: number, options = "{}") => `
  const callback = (_, writer) => writer.close();
  const server = await asyncio.startServer(callback, ${host}, ${port}, ${options});
  console.log(server.sockets.length);
  await server[Symbol.asyncDispose]();`;

const receivesDatagrams = (port: number) => `
  const localAddr = { hostname: "127.0.0.1", port: ${port} };
  const received = Promise.withResolvers();
  const [transport] = await asyncio.getEventLoop()
    .createDatagramEndpoint(() => ({ datagramReceived: received.resolve }), { localAddr });
  transport.sendTo("hello", transport.getExtraInfo("sockname"));
  console.log(new TextDecoder().decode(await received.promise));
  transport.close();`;

/** Sends to an echo, and waits for the answer, or for what sending meets. */
const sendsDatagram = (host: string, port: number) => `
  const answered = Promise.withResolvers();
  const [transport] = await asyncio.getEventLoop().createDatagramEndpoint(
    () => ({ datagramReceived: answered.resolve, errorReceived: answered.reject }),
    { remoteAddr: { hostname: "${host}", port: ${port} } },
  );
  try {
    transport.sendTo("hello");
    console.log(new TextDecoder().decode(await answered.promise));
  } finally {
    transport.close();
  }`;

const starts = (call: string) => `
  const loop = asyncio.getEventLoop();
  const lost = loop.createFuture();
  const factory = () => ({ connectionLost: () => lost.setResult() });
  const options = { stdin: "null" };
  const [transport] = await loop.${call};
  await lost;
  console.log(transport.getReturncode());`;

const runsOnWorker = (func: string, argument: string) => `
  const loop = asyncio.getEventLoop();
  try {
    console.log(await loop.runInExecutor(null, ${func}, ${argument}));
  } finally {
    await loop.shutdownDefaultExecutor();
  }`;

const cases: Record<string, (to: string) => Promise<void>> = {
  async "connect to `example.com:8888`"(to) {
    await using server = greeter();
    for (const host of ["127.0.0.1", "localhost"]) {
      const address = `${host}:${server.port}`;
      await needs(
        flagsOf(to, { "example.com:8888": address }),
        `const [reader, writer] = await asyncio.openConnection("${host}", ${server.port}); ${greeted}`,
        "hello",
      );
    }
  },
  async "connect to `example.com:8888` with a `family`"(to) {
    await using server = greeter();
    const flags = flagsOf(to, {
      "example.com:8888": `localhost:${server.port}`,
      "93.184.215.14:8888": `127.0.0.1:${server.port}`,
    });
    const opens = `asyncio.openConnection("localhost", ${server.port}, { family: 4 })`;
    await needs(flags, `const [reader, writer] = await ${opens}; ${greeted}`, "hello");
  },
  async "connect to `10.0.0.7:8888` from `10.0.0.5`"(to) {
    await using server = greeter();
    const flags = flagsOf(to, {
      "10.0.0.7:8888": `127.0.0.1:${server.port}`,
      "10.0.0.5": "127.0.0.2",
    });
    const options = '{ localAddr: { hostname: "127.0.0.2" } }';
    const opens = `asyncio.openConnection("127.0.0.1", ${server.port}, ${options})`;
    await needs(flags, `const [reader, writer] = await ${opens}; ${greeted}`, "hello");
  },
  async "listen on `127.0.0.1:8888`"(to) {
    const port = freePort();
    await needs(flagsOf(to, { "8888": `${port}` }), listens('"127.0.0.1"', port), "1");
  },
  async "listen on port 8888 of every interface"(to) {
    const port = freePort();
    await needs(flagsOf(to, { "8888": `${port}` }), listens("null", port), "1");
    await needs([`--allow-net=0.0.0.0:${port}`], listens("null", port, "{ family: 4 }"), "1");
  },
  async "use the Unix socket `/run/echo.sock`"(to) {
    const folder = await temporaryFolder();
    const path = `${folder}/echo.sock`;
    const flags = flagsOf(to, {}).map((flag) => flag.replace("/run/echo.sock", path));
    const serves = `
      const server = await asyncio.startUnixServer(async (_, writer) => {
        await using _writer = writer;
        writer.write("hello\\n");
        server.close();
      }, "${path}");
      console.log("Serving");
      await server.waitClosed();`;
    const asks = `
      const [reader, writer] = await asyncio.openUnixConnection("${path}"); ${greeted}`;
    try {
      await using server = new Program(
        ["run", "--no-prompt", ...flags, "-"],
        `${library} ${serves}`,
      );
      await server.waitFor(/Serving/);
      await needs(flags, asks, "hello");
      assertEquals((await server.end()).code, 0);
      for (const flag of flags) {
        const outcome = await run(flags.filter((one) => one !== flag), serves);
        assert(/^NotCapable: Requires .* access/.test(outcome), `without ${flag}: ${outcome}`);
      }
    } finally {
      await command("rm", "-r", folder);
    }
  },
  async "serve there with `cleanupSocket: false`"(to) {
    const folder = await temporaryFolder();
    const path = `${folder}/echo.sock`;
    const flags = flagsOf(to, {}).map((flag) => flag.replace("/run", folder));
    const serves = `
      let failed = null;
      asyncio.getEventLoop().setExceptionHandler((_, context) => failed = context.exception);
      const server = await asyncio.startUnixServer(() => {}, "${path}", { cleanupSocket: false });
      await server[Symbol.asyncDispose]();
      if (failed !== null) throw failed;
      console.log("closed");`;
    try {
      assertEquals(await run(flags, serves), "closed");
      await command("test", "-S", path);
      for (const i of [1, 2]) {
        await command("rm", "-f", path);
        const outcome = await run(flags.with(i, flags[i]!.replace(folder, path)), serves);
        assert(/^NotCapable: Requires .* access/.test(outcome), outcome);
      }
    } finally {
      await command("rm", "-r", folder);
    }
  },
  async "use an abstract Unix socket"(to) {
    if (Deno.build.os !== "linux") return;
    const path = JSON.stringify(`\0${crypto.randomUUID()}`);
    const code = `
      await using server = await asyncio.startUnixServer(async (_, writer) => {
        await using _writer = writer;
        writer.write("hello\\n");
      }, ${path});
      const [reader, writer] = await asyncio.openUnixConnection(${path}); ${greeted}`;
    await needs(flagsOf(to, {}), code, "hello");
  },
  async "use a `Deno.Conn` that is already open"() {
    await using server = greeter();
    const answer = await run(
      [`--allow-net=127.0.0.1:${server.port}`],
      `const sock = await Deno.connect({ hostname: "127.0.0.1", port: ${server.port} });
       Deno.permissions.revokeSync({ name: "net", host: "127.0.0.1:${server.port}" });
       const [reader, writer] = await asyncio.openConnection({ sock }); ${greeted}`,
    );
    assertEquals(answer, "hello");
  },
  async "read `cert.pem` and `key.pem` into a context"(to) {
    const folder = await temporaryFolder();
    const [certFile, keyFile] = [`${folder}/cert.pem`, `${folder}/key.pem`];
    try {
      const pem = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n";
      await command("sh", "-c", `printf %s '${pem}' > '${certFile}'; touch '${keyFile}'`);
      const flags = flagsOf(to, { "cert.pem": certFile, "key.pem": keyFile });
      const files = JSON.stringify({ certFile, keyFile });
      // Once both are read, it says that the second has no key.
      const code = `
        try {
          asyncio.createDefaultContext(${files});
        } catch (error) {
          if (!(error instanceof RangeError)) throw error;
          console.log("read");
        }`;
      await needs(flags, code, "read");
    } finally {
      await command("rm", "-r", folder);
    }
  },
  async "receive datagrams at `127.0.0.1:5353`"(to) {
    const port = freePort();
    await needs(flagsOf(to, { "5353": `${port}` }), receivesDatagrams(port), "hello");
  },
  async "send datagrams to `example.com:53`"(to) {
    using echo = await datagramEcho();
    const flags = flagsOf(to, {
      "example.com:53": `localhost:${echo.port}`,
      "93.184.215.14:53": `127.0.0.1:${echo.port}`,
    });
    await needs(flags, sendsDatagram("localhost", echo.port), "hello");
  },
  async "look up `example.com:80` by `getaddrinfo()`"(to) {
    const lookUp = (host: string) => `
      const [info] = await asyncio.getEventLoop().getaddrinfo("${host}", 80, { family: 4 });
      console.log(info.addr.hostname);`;
    await needs(flagsOf(to, { "example.com": "localhost" }), lookUp("localhost"), "127.0.0.1");
    assertEquals(await run([], lookUp("10.0.0.7")), "10.0.0.7");
  },
  async "look up `127.0.0.1:80` by `getnameinfo()`"(to) {
    const code = `
      const addr = { transport: "tcp", hostname: "127.0.0.1", port: 80 };
      const [, service] = await asyncio.getEventLoop().getnameinfo(addr);
      console.log(service);`;
    await needs(flagsOf(to, {}), code, "http");
  },
  async "start the program `sort`, or a shell"(to) {
    await needs(flagsOf(to, {}), starts('subprocessExec(factory, "sort", [], options)'), "0");
    const shell = rows.get(to)!.match(/`(--allow-run=[^`]+)`$/)![1]!;
    await needs([shell], starts('subprocessShell(factory, "exit 3", options)'), "3");
  },
  async "run a self-contained function on a worker"() {
    assertEquals(await run([], runsOnWorker("(n) => n + 1", "41")), "42");
  },
  async "run a module's function on a worker"(to) {
    const folder = await temporaryFolder();
    const module = `${folder}/module.ts`;
    try {
      await command(
        "sh",
        "-c",
        'echo "export function double(n) { return 2 * n; }" > "$0"',
        module,
      );
      const flag = rows.get(to)!.match(/`([^`]+)`/)![1]!.replace("./module.ts", module);
      const url = `file://${module}`;
      const code = runsOnWorker(`{ module: "${url}", func: function double() {} }`, "21");
      await needs([flag], code, "42");
    } finally {
      await command("rm", "-r", folder);
    }
  },
  async "switch debug mode on with `ASYNCIO_DEBUG=1`"(to) {
    const tell = "console.log(asyncio.getEventLoop().getDebug())";
    const env = { ASYNCIO_DEBUG: "1" };
    assertEquals(await run(flagsOf(to, {}), tell, env), "true");
    assertEquals(await run([], tell, env), "false");
  },
};

async function command(name: string, ...args: string[]): Promise<string> {
  const { success, stdout } = await new Deno.Command(name, { args }).output();
  assert(success);
  return text(stdout).trim();
}

/** By a command, so that this suite needs no permission to write. */
const temporaryFolder = () => command("mktemp", "-d");

test("every row of the README's permissions is run", () => {
  assertEquals([...rows.keys()], Object.keys(cases));
  return Promise.resolve();
});

for (const [to, body] of Object.entries(cases)) {
  test(`permissions to ${to}`, () => body(to), {
    limit: 60_000,
    ignore: Deno.build.os === "windows" && to.includes("Unix"),
  });
}

test("importing the package needs no permission", async () => {
  assertEquals(await run([], "console.log(typeof asyncio.startServer)"), "function");
});
