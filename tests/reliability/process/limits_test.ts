// A server in its own process at the limit of what the system gives it.
import { assert, assertEquals } from "@std/assert";
import { openConnection } from "../../../streams.ts";
import { text } from "../../support.ts";
import { test } from "../support.ts";
import { EchoServer, programs } from "./support.ts";

test("at its limit of descriptors a server stays alive, idle, and serves again", async () => {
  await using server = await EchoServer.start({ shell: "ulimit -n 64" });
  const clients = await Promise.all(
    Array.from({ length: 90 }, () => openConnection("127.0.0.1", server.port)),
  );
  const answers = clients.map(([reader, writer], id) => {
    writer.write(`${id}\n`);
    const answer = reader.readLine();
    answer.catch(() => {}); // A test that fails earlier shall say why.
    return answer;
  });
  const before = await server.until(({ reports }) => reports.length > 0);
  assert(/os error 24|open files/.test(before.reports[0]!), before.reports[0]);
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  const after = await server.stats();
  assert(after.cpu - before.cpu < 300, `${after.cpu - before.cpu} ms of processor time in 1 s`);
  assertEquals(after.reports.length, 1);
  assert(after.connections < 64);

  // Each that leaves makes room for one that waits: all are answered in the end.
  const lines = await Promise.all(answers.map(async (answer, id) => {
    const line = text(await answer);
    await clients[id]![1][Symbol.asyncDispose]();
    return line;
  }));
  assertEquals(lines, lines.map((_line, id) => `${id}\n`));
  await server.until(({ connections }) => connections === 1);
}, { limit: 60_000, ignore: Deno.build.os === "windows" });

/** Whether a file system of our own can be mounted here. */
const canMount = Deno.build.os === "linux" &&
  await new Deno.Command("unshare", { args: ["--user", "--map-root-user", "--mount", "true"] })
    .output().then(({ success }) => success, () => false);

// Skipped where the system forbids user namespaces: a full disk can't be had otherwise.
test(
  "a full disk and a missing directory refuse a Unix server, and leave nothing open",
  async () => {
    const disk = "/mnt";
    const mount = `mount -t tmpfs -o size=4k,nr_inodes=1 none ${disk}`;
    const command = [Deno.execPath(), "run", "--quiet", "--no-prompt", "--allow-net"];
    const files = ["--allow-read", "--allow-write", `${programs}/unix_server.ts`];
    const paths = [`${disk}/a.sock`, `${disk}/missing/b.sock`];
    const { stdout, stderr } = await new Deno.Command("unshare", {
      args: ["--user", "--map-root-user", "--mount", "sh", "-c", `${mount} && exec "$@"`, "sh"]
        .concat(command, files, paths),
      env: { NO_COLOR: "1" },
    }).output();
    const [full = "", missing = "", ...rest] = text(stdout).trim().split("\n");
    assertEquals([text(stderr), rest], ["", []]);
    assert(/cannot listen on unix:.*a\.sock: .*(No space|os error 28)/.test(full), full);
    assert(/^NotFound: .*cannot listen on unix:.*b\.sock/.test(missing), missing);
  },
  { ignore: !canMount },
);
