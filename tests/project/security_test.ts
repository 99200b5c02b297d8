import { assert } from "@std/assert";
import { read } from "./program.ts";

Deno.test("SECURITY.md: every test that it names is there", () => {
  const text = read("SECURITY.md").replace(/\n(?!\n)/g, " ");
  const claims = text.matchAll(/`(tests\/[\w/]+_test\.ts)`((?:,? +"[^"]+")+)/g);
  let checked = 0;
  for (const [, path = "", names = ""] of claims) {
    const source = read(path);
    for (const [, name = ""] of names.matchAll(/"([^"]+)"/g)) {
      assert(source.includes(name), `${path} has no test called ${name}`);
      checked++;
    }
  }
  assert(checked >= 30, `only ${checked} were found`);
});
