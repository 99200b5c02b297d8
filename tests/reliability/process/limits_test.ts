// A server in its own process at the limit of what the system gives it.
import { assert, assertEquals } from "@std/assert";
import { openConnection } from "../../../streams.ts";
import { text } from "../../support.ts";
import { test } from "../support.ts";
import { EchoServer } from "./support.ts";

test("at its limit of descriptors a server stays alive, idle, and serves again", async () => {
  await using server = await EchoServer.start("ulimit -n 64");
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
