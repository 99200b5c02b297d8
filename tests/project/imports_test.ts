import { assert, assertEquals } from "@std/assert";
import { root } from "./program.ts";

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
