import { assert, assertEquals, assertExists, assertNotEquals } from "@std/assert";
import * as library from "@asyncio/streams";
import { portOf, Program, read } from "./program.ts";

const readme = read("README.md");
const blocks = Array.from(readme.matchAll(/^```ts\n(.*?)^```$/gms), ([, code]) => code ?? "");

/** Runs a block of the README, on a port of its own, type-checked and with what the README grants. */
function runBlock(containing: string, port: number): Program {
  const block = blocks.find((code) => code.includes(containing));
  assertExists(block, `README.md has no block with ${containing}`);
  assert(block.includes("8888"), "the block uses another port");
  const granted = "--allow-net=127.0.0.1";
  assert(readme.includes(`deno run ${granted} server.ts`));
  return new Program(
    ["run", "--check", "--no-prompt", granted, "-"],
    block.replaceAll("8888", `${port}`),
  );
}

Deno.test("README: its client talks to its server", async () => {
  await using server = runBlock("startServer(", 0);
  await using client = runBlock("openConnection(", await portOf(server));
  const { code, stdout, stderr } = await client.end();
  assertEquals({ code, stdout }, { code: 0, stdout: "Hello, streams!\n" }, stderr);
});

Deno.test("README: its first screen holds the two commands, with the pinned version", () => {
  const version = read(".deno-version").trim();
  const firstScreen = readme.split("\n").slice(0, 24);
  for (const task of ["demo", "test"]) {
    assert(firstScreen.includes(`npx -y deno@${version} task ${task}`), `no ${task}`);
  }
});

Deno.test("every mention of a Deno version is the one in .deno-version", () => {
  const version = read(".deno-version").trim();
  for (const path of ["README.md", "CHANGELOG.md", "deno.json", ".ci/run"]) {
    for (const [, mentioned] of read(path).matchAll(/\bdeno@(\d[\w.]*)/g)) {
      assertEquals(mentioned, version, path);
    }
  }
  assertEquals(Deno.version.deno, version, "the tests run on another Deno");
});

Deno.test("README: every name in the right column of the streams table exists", () => {
  const [, table = ""] = readme.match(/<!-- streams table.*?-->\s+(.*?)\n\n/s) ?? [];
  const owners: Record<string, object> = {
    reader: library.StreamReader.prototype,
    writer: library.StreamWriter.prototype,
    server: library.Server.prototype,
  };
  let checked = 0;
  for (const row of table.split("\n").slice(2)) {
    const [, , here = ""] = row.split("|");
    for (const [, code = ""] of here.matchAll(/`([^`]+)`/g)) {
      const [, owner, name = ""] = code.match(/(?:await )?(?:(\w+)\.)?(\w+)/) ?? [];
      if (owner !== undefined && owner in owners) {
        // `transport` is a field, which a prototype does not show.
        assert(name === "transport" || name in owners[owner]!, `${owner} has no ${name}`);
        checked++;
      } else if (/^\w+\(/.test(code) || code === "IncompleteReadError") {
        assert(name in library, `there is no ${name}`);
        checked++;
      }
    }
  }
  assert(checked > 30, `only ${checked} names were checked`);
});

Deno.test("README: relative links lead somewhere", () => {
  const links = Array.from(readme.matchAll(/\]\(\.\/([^)#]+)/g), ([, path]) => path ?? "");
  assertNotEquals(links.length, 0);
  for (const path of links) Deno.statSync(new URL(`../../${path}`, import.meta.url));
});

Deno.test("README and SECURITY: what they link to is in the published package", () => {
  const { include } = JSON.parse(read("deno.json")).publish as { include: string[] };
  const published = (path: string) =>
    include.includes(path) || include.includes(`${path.replace(/\/$/, "")}/**/*.ts`);
  for (const page of ["README.md", "SECURITY.md"]) {
    for (const [, path = ""] of read(page).matchAll(/\]\(\.\/([^)#]+)/g)) {
      assert(published(path), `${page} links to ${path}`);
    }
  }
});

Deno.test("CHANGELOG: its newest version is the package's", () => {
  const [, newest] = read("CHANGELOG.md").match(/^## (\S+)/m) ?? [];
  assertEquals(newest, JSON.parse(read("deno.json")).version);
});
