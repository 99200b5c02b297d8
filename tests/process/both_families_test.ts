// A name that the system's resolver knows by both families. The hosts file it stands in is put
// over the system's own for one process, which takes namespaces of its own: Linux, and permitted.
import { assertEquals, assertMatch } from "@std/assert";

const SCRIPT = `
hosts=$(mktemp) && trap 'rm -f "$hosts"' EXIT &&
printf '127.0.0.1 both.test\\n::1 both.test\\n127.0.0.1 localhost\\n' > "$hosts" &&
mount --bind "$hosts" /etc/hosts && "$@"`;

/** A command in a world where `both.test` is both 127.0.0.1 and ::1. */
function inOwnWorld(...args: string[]): Deno.Command {
  const unshare = ["-rm", "sh", "-c", SCRIPT, "sh", ...args];
  const env = { NO_COLOR: "1" };
  return new Deno.Command("unshare", { args: unshare, env, stdout: "piped", stderr: "piped" });
}

async function isPossible(): Promise<boolean> {
  try {
    return (await inOwnWorld("true").output()).success;
  } catch {
    return false;
  }
}

const ignore = !await isPossible();

async function evaluate(code: string): Promise<string> {
  const program = `import { openConnection } from "@asyncio/streams";\n${code}`;
  const command = inOwnWorld(Deno.execPath(), "eval", program);
  const { stdout, stderr } = await command.output();
  const decoder = new TextDecoder();
  return decoder.decode(stdout) + decoder.decode(stderr);
}

for (const hostname of ["127.0.0.1", "::1"]) {
  Deno.test({
    name: `a name of both families connects where only ${hostname} listens`,
    ignore,
    async fn() {
      const output = await evaluate(`
        const listener = Deno.listen({ hostname: "${hostname}", port: 0 });
        const [, writer] = await openConnection("both.test", listener.addr.port);
        console.log(writer.getExtraInfo("peername").hostname);
        writer.close();
        listener.close();`);
      assertEquals(output, `${hostname}\n`);
    },
  });
}

Deno.test({
  name: "a name that is refused by both families says so of each",
  ignore,
  async fn() {
    const output = await evaluate(`
      const listener = Deno.listen({ hostname: "::", port: 0 });
      const { port } = listener.addr;
      listener.close();
      await openConnection("both.test", port).catch((error) =>
        console.log(error.name, error.message.replaceAll(port, "PORT")));`);
    assertMatch(output, /^ConnectionRefused cannot connect to both\.test:PORT: /);
    assertMatch(output, /127\.0\.0\.1:PORT: Connection refused/);
    assertMatch(output, /\[::1\]:PORT: Connection refused/);
  },
});

Deno.test({
  name: "family chooses between a name's two addresses",
  ignore,
  async fn() {
    const output = await evaluate(`
      const listener = Deno.listen({ hostname: "::", port: 0 });
      for (const family of [4, 6]) {
        const { port } = listener.addr;
        const [, writer] = await openConnection("both.test", port, { family });
        console.log(writer.getExtraInfo("peername").hostname);
        writer.close();
      }
      listener.close();`);
    assertEquals(output, "127.0.0.1\n::1\n");
  },
});
