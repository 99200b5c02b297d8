import { assert, assertEquals } from "@std/assert";
import { Program, read, root } from "./program.ts";

interface Module {
  specifier: string;
  dependencies?: { code?: { specifier: string } }[];
}

/** What each of the package's files imports; `import type` is gone when the program runs. */
async function importsOf(entry: string): Promise<Map<string, string[]>> {
  const command = new Deno.Command(Deno.execPath(), { args: ["info", "--json", entry], cwd: root });
  const { modules } = JSON.parse(new TextDecoder().decode((await command.output()).stdout)) as {
    modules: Module[];
  };
  return new Map(modules.map(({ specifier, dependencies = [] }) => [
    specifier,
    dependencies.flatMap(({ code }) => code?.specifier ?? []),
  ]));
}

Deno.test("no file imports in a circle", async () => {
  const imports = await importsOf("mod.ts");
  assert(imports.size > 40, `only ${imports.size} files`);
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]) => {
    const names = [...path, file].map((name) => name.replace(root.href, ""));
    assertEquals(path.includes(file), false, names.join(" → "));
    if (done.has(file)) return;
    for (const imported of imports.get(file) ?? []) visit(imported, [...path, file]);
    done.add(file);
  };
  for (const file of imports.keys()) visit(file, []);
});

const ECHO = `
import { openConnection, startServer } from "@asyncio/streams";
await using server = await startServer(async (reader, writer) => {
  await using _ = writer;
  writer.write(await reader.readLine());
}, "127.0.0.1", 0);
const [reader, writer] = await openConnection("127.0.0.1", server.sockets[0].addr.port);
await using _ = writer;
writer.write("plain\\n");
console.log(new TextDecoder().decode(await reader.readLine()));
try {
  await openConnection("127.0.0.1", 1, { ssl: true });
} catch (error) {
  console.log(error.message);
}
`;

Deno.test("the TLS engine is loaded when TLS is first asked for, not before", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/trap.ts`, 'throw new Error("the engine was loaded");');
    await Deno.writeTextFile(`${folder}/echo.js`, ECHO);
    const at = (path: string) => new URL(path, root).href;
    const imports: Record<string, string> = {
      "@asyncio/streams": at("mod.ts"),
      [at("net/tls/node_engine.ts")]: `file://${folder}/trap.ts`,
    };
    for (const link of JSON.parse(read("deno.json")).links as string[]) {
      const { name, exports } = JSON.parse(read(`${link}/deno.json`));
      for (const path in exports) imports[name + path.slice(1)] = at(`${link}/${exports[path]}`);
    }
    await Deno.writeTextFile(`${folder}/map.json`, JSON.stringify({ imports }));
    const args = ["--no-prompt", "--allow-net=127.0.0.1", `--import-map=${folder}/map.json`];
    await using program = new Program(["run", ...args, `${folder}/echo.js`]);
    const { code, stdout, stderr } = await program.end();
    assertEquals([code, stdout], [0, "plain\n\nthe engine was loaded\n"], stderr);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("only the TLS engine imports node:tls", async () => {
  const importers = [...await importsOf("mod.ts")].filter(([, imported]) =>
    imported.includes("node:tls")
  );
  assertEquals(importers.map(([file]) => file.replace(root.href, "")), ["net/tls/node_engine.ts"]);
});
