// Every example runs as its first line says.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { deadline } from "@std/async";
import { openConnection, startServer } from "@asyncio/streams";
import { freePort } from "../support.ts";
import { patience, portOf, Program, read } from "./program.ts";

/** Two checkouts may be tested on one machine at the same time. */
const socketPath = `/tmp/streams-${crypto.randomUUID()}.sock`;

/** Runs an example by its first line, with arguments in place of the line's. */
function example(name: string, ...args: readonly string[]): Program {
  const [first = ""] = read(`examples/${name}`).split("\n");
  const command = first.match(new RegExp(`^// deno (run (?:--\\S+ )*examples/${name})`))?.[1];
  assert(command, `examples/${name} begins with ${first}`);
  const [run = "", ...rest] = command.replaceAll("/tmp/streams-echo.sock", socketPath).split(" ");
  return new Program([run, "--no-prompt", ...rest, ...args]);
}

/** Waits for the end of a program, which has to be a good one, and gives its output. */
async function outputOf(program: Program): Promise<string> {
  const { code, stdout, stderr } = await program.end();
  assertEquals(code, 0, stderr);
  assertEquals(stderr, "");
  return stdout;
}

/** A bare client of the chat server. */
class Member implements Disposable {
  readonly conn: Deno.TcpConn;
  #received = "";

  constructor(conn: Deno.TcpConn) {
    this.conn = conn;
  }

  static async join(port: number, nick: string): Promise<Member> {
    const member = new Member(await Deno.connect({ hostname: "127.0.0.1", port }));
    await member.say(nick);
    await member.hears(`Welcome, ${nick}.`);
    return member;
  }

  async say(text: string): Promise<void> {
    let rest = new TextEncoder().encode(`${text}\n`);
    while (rest.length > 0) rest = rest.subarray(await this.conn.write(rest));
  }

  /** Waits for `text`, and forgets what came up to it. */
  async hears(text: string): Promise<void> {
    const buffer = new Uint8Array(4096);
    for (;;) {
      const at = this.#received.indexOf(text);
      if (at >= 0) {
        this.#received = this.#received.slice(at + text.length);
        return;
      }
      const n = await deadline(this.conn.read(buffer), patience);
      if (n === null) throw new Error(`It ended without ${text}: ${this.#received}`);
      this.#received += new TextDecoder().decode(buffer.subarray(0, n));
    }
  }

  [Symbol.dispose](): void {
    this.conn.close();
  }
}

Deno.test("every example has a test here", () => {
  const tests = read("tests/project/examples_test.ts") + read("tests/project/tls_examples_test.ts");
  for (const { name } of Deno.readDirSync("examples")) {
    assertStringIncludes(tests, `example("${name}"`);
  }
});

Deno.test("demo.ts shows the main job and ends by itself", async () => {
  await using demo = example("demo.ts");
  const output = await outputOf(demo);
  assertStringIncludes(output, "← Hello, streams!");
  assertStringIncludes(output, "10,000 of 10,000");
  assertStringIncludes(output, "→ 16 MiB  ← 16 MiB");
  assertStringIncludes(output, "✓ the same");
  assertStringIncludes(output, "nothing is left open");
});

Deno.test("echo_client.ts talks to echo_server.ts", async () => {
  await using server = example("echo_server.ts", "0");
  await using client = example("echo_client.ts", `${await portOf(server)}`);
  assertEquals(
    await outputOf(client),
    'Send: "Hello World!"\nReceived: "Hello World!"\nClose the connection\n',
  );
  await server.waitFor(/Received "Hello World!" from \{.*\nSend: "Hello World!"\nClose/);
});

Deno.test("http_headers.ts prints the headers of a response", async () => {
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    (request) =>
      new Response(null, {
        headers: { "x-answer": `${request.method} ${new URL(request.url).pathname}` },
      }),
  );
  await using program = example("http_headers.ts", `http://127.0.0.1:${server.addr.port}/a/b`);
  const output = await outputOf(program);
  assertStringIncludes(output, "HTTP header> HTTP/1.1 200 OK\n");
  assertStringIncludes(output, "HTTP header> x-answer: HEAD /a/b\n");
});

Deno.test("http_headers.ts explains its use when the URL is missing", async () => {
  await using program = example("http_headers.ts");
  const { code, stderr } = await program.end();
  assertEquals(code, 2);
  assertStringIncludes(stderr, "Usage:");
});

Deno.test("tcp_proxy.ts carries both ways, and each side's end", async () => {
  // It answers when all has come: a proxy that swallows the end would leave both waiting.
  await using upstream = await startServer(
    async (reader, writer) => {
      await using _ = writer;
      writer.write(await reader.read());
    },
    "127.0.0.1",
    0,
  );
  const { port } = upstream.sockets[0]!.addr as Deno.NetAddr;
  await using proxy = example("tcp_proxy.ts", "0", `${port}`);
  const [reader, writer] = await openConnection("127.0.0.1", await portOf(proxy));
  await using _ = writer;
  const data = crypto.getRandomValues(new Uint8Array(65_536));
  const times = 64;
  for (let i = 0; i < times; i++) {
    writer.write(data);
    await writer.drain();
  }
  writer.writeEof();
  for (let i = 0; i < times; i++) assertEquals(await reader.readExactly(data.length), data);
  assertEquals(await reader.read(), new Uint8Array(0));
});

Deno.test("tcp_proxy.ts hangs up when nobody listens behind it", async () => {
  await using proxy = example("tcp_proxy.ts", "0", `${freePort()}`);
  const [reader, writer] = await openConnection("127.0.0.1", await portOf(proxy));
  await using _ = writer;
  assertEquals(await reader.read(), new Uint8Array(0));
  await proxy.waitFor(/No connection: .*refused/i);
});

Deno.test({
  name: "unix_echo.ts echoes over a Unix socket and removes it",
  ignore: Deno.build.os === "windows",
  async fn() {
    await using program = example("unix_echo.ts", socketPath);
    assertStringIncludes(await outputOf(program), "sock:\nfirst line\nsecond line\n");
    // A socket that was left behind would be in the second one's way.
    await using again = example("unix_echo.ts", socketPath);
    await outputOf(again);
  },
});

Deno.test("chat_server.ts carries lines, joins and leaves to everybody else", async () => {
  await using server = example("chat_server.ts", "0");
  const port = await portOf(server);
  using ann = await Member.join(port, "ann");
  using bob = await Member.join(port, "bob");
  await ann.hears("* bob joined\n");
  await bob.say("Hello!");
  await ann.hears("bob: Hello!\n");

  using third = new Member(await Deno.connect({ hostname: "127.0.0.1", port }));
  await third.hears("Your name?\n");
  await third.say("ann");
  await third.hears("Taken. Another?\n");
  await third.say("cleo");
  await third.hears("Here: ann, bob.\n");

  await third.say("/quit");
  await bob.hears("* cleo left\n");
  ann.conn.closeWrite();
  await bob.hears("* ann left\n");
});

Deno.test("chat_server.ts lives through lines that are too long", async () => {
  await using server = example("chat_server.ts", "0");
  const port = await portOf(server);
  using ann = await Member.join(port, "ann");
  using bob = await Member.join(port, "bob");
  await bob.say("x".repeat(100_000));
  await bob.say("");
  await bob.say("still here");
  await ann.hears("bob: still here\n");
});

Deno.test("chat_server.ts drops a client that does not read, and keeps the others", async () => {
  await using server = example("chat_server.ts", "0");
  const port = await portOf(server);
  using _slow = await Member.join(port, "slow");
  using ann = await Member.join(port, "ann");
  using bob = await Member.join(port, "bob");

  const tooSlow = server.waitFor(/slow is too slow/).then(() => true);
  const line = "x".repeat(1000);
  do {
    for (let i = 0; i < 100; i++) await bob.say(line);
    await bob.say("over");
    await ann.hears("bob: over\n");
  } while (!await Promise.race([tooSlow, Promise.resolve(false)]));
  // Ann may have heard it before Bob's last line.
  await bob.hears("* slow left\n");
});

Deno.test({
  name: "chat_server.ts says goodbye when it is interrupted",
  ignore: Deno.build.os === "windows",
  async fn() {
    await using server = example("chat_server.ts", "0");
    using ann = await Member.join(await portOf(server), "ann");
    server.kill("SIGINT");
    await ann.hears("* the server is going down\n");
    await outputOf(server);
  },
});

Deno.test("hello_callback.ts says hello and ends", async () => {
  await using program = example("hello_callback.ts");
  assertEquals(await outputOf(program), "Hello World\n");
});

Deno.test("display_date.ts shows the date once a second", async () => {
  await using program = example("display_date.ts", "1.5");
  const lines = (await outputOf(program)).trimEnd().split("\n");
  assertEquals(lines.length, 2);
  const [first = NaN, second = NaN] = lines.map((line) => Date.parse(line));
  assert(second - first >= 999 && second - first < 1500, `${lines}`);
});

Deno.test({
  name: "signal_handlers.ts ends in order when it is sent a signal",
  ignore: Deno.build.os === "windows",
  async fn() {
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      await using program = example("signal_handlers.ts");
      await program.waitFor(/pid \d+/);
      program.kill(signal);
      assertStringIncludes(await outputOf(program), `got signal ${signal}: exit\n`);
    }
  },
});

Deno.test("echo_client_protocol.ts talks to echo_server_protocol.ts", async () => {
  await using server = example("echo_server_protocol.ts", "0");
  await using client = example("echo_client_protocol.ts", `${await portOf(server)}`);
  assertEquals(
    await outputOf(client),
    'Data sent: "Hello World!"\nData received: "Hello World!"\nThe server closed the connection\n',
  );
  await server.waitFor(
    /Connection from \{.*\nData received: "Hello World!"\nSend: "Hello World!"\nClose/,
  );
});

Deno.test("udp_echo.ts echoes a datagram", async () => {
  await using program = example("udp_echo.ts");
  assertEquals(
    await outputOf(program),
    'The server received "Hello World!"\nThe client received "Hello World!"\n',
  );
});

Deno.test({
  name: "shell_pipeline.ts joins two children",
  ignore: Deno.build.os === "windows",
  async fn() {
    await using program = example("shell_pipeline.ts");
    assertEquals(
      await outputOf(program),
      "3 Bob\n2 Cleo\n1 Ann\nThe command returned 0, sort 0\n",
    );
    await using failing = example("shell_pipeline.ts", "echo one; exit 3");
    assertEquals(await outputOf(failing), "1 one\nThe command returned 3, sort 0\n");
  },
});

Deno.test("cpu_work.ts counts primes on workers while the loop goes on", async () => {
  await using program = example("cpu_work.ts");
  assertEquals(
    await outputOf(program),
    "There are 283146 primes below 4000000.\n" +
      "Meanwhile the loop went on: many ticks of its timer.\n",
  );
});

Deno.test("socket_pair_streams.ts receives what the other end sends", async () => {
  await using program = example("socket_pair_streams.ts");
  assertEquals(await outputOf(program), "Received: abc\n");
});

Deno.test("watch_socket.ts receives what the other end sends", async () => {
  await using program = example("watch_socket.ts");
  assertEquals(await outputOf(program), "Received: abc\n");
});

Deno.test("file_server.ts serves the files of its folder, and nothing else", async () => {
  await using server = example("file_server.ts", "examples", "0");
  const url = `http://127.0.0.1:${await portOf(server)}`;
  const file = await fetch(`${url}/file_server.ts`);
  assertEquals(await file.text(), read("examples/file_server.ts"));
  await server.waitFor(/GET \/file_server\.ts HTTP\/1\.1: \d+ bytes/);
  for (const path of ["/nothing", "/", "/..%2fdeno.json"]) {
    const { status, body } = await fetch(url + path);
    assertEquals(status, 404, path);
    await body?.cancel();
  }
});
