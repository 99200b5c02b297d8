// The README's table of permissions: each row is run with exactly what it says, and then with nothing.
import { assert, assertEquals } from "@std/assert";
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

/** Runs it with the flags, then without: Deno's own error says which one is missing. */
async function needs(flags: readonly string[], code: string, answer: string): Promise<void> {
  assertEquals(await run(flags, code), answer);
  for (const flag of flags) {
    const outcome = await run(flags.filter((one) => one !== flag), code);
    // Deno's import() says the same by a TypeError.
    assert(/^(NotCapable|TypeError): Requires .* access/.test(outcome), `no ${flag}: ${outcome}`);
    assert(outcome.includes(flag.split("=")[0]!), `without ${flag}: ${outcome}`);
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
const listens = (host: string, port: number) => `
  const server = await asyncio.startServer((_, writer) => writer.close(), ${host}, ${port});
  console.log(server.sockets.length);
  await server[Symbol.asyncDispose]();`;

const datagrams = (which: "localAddr" | "remoteAddr", port: number) => `
  const ${which} = { hostname: "127.0.0.1", port: ${port} };
  const [transport] = await asyncio.getEventLoop()
    .createDatagramEndpoint(() => new asyncio.DatagramProtocol(), { ${which} });
  console.log("open");
  transport.close();`;

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
  async "listen on `127.0.0.1:8888`"(to) {
    const port = freePort();
    await needs(flagsOf(to, { "8888": `${port}` }), listens('"127.0.0.1"', port), "1");
  },
  async "listen on every interface"(to) {
    await needs(flagsOf(to, {}), listens("null", 0), "1");
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
  async "receive datagrams at `127.0.0.1:5353`"(to) {
    const port = freePort();
    await needs(flagsOf(to, { "5353": `${port}` }), datagrams("localAddr", port), "open");
  },
  async "send datagrams to `example.com:53`"(to) {
    const port = freePort();
    const flags = flagsOf(to, { "example.com:53": `127.0.0.1:${port}` });
    await needs(flags, datagrams("remoteAddr", port), "open");
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
