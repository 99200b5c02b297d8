import { assert, assertEquals } from "@std/assert";
import loadWabt from "wabt";
import { read } from "./program.ts";

Deno.test("the newline scanner is what its comment says, assembled", async () => {
  const source = read("net/newline_index.ts");
  const text = source.match(/```wat\n(.*?)```/s)?.[1]?.replaceAll(/^ \* ?/gm, "");
  const literals = source.match(/const SCANNER = (.*?);/s)?.[1];
  assert(text !== undefined && literals !== undefined);
  const wabt = await loadWabt();
  const { buffer } = wabt.parseWat("scanner.wat", text, { simd: true }).toBinary({});
  assertEquals(
    [...literals.matchAll(/"(.*?)"/g)].map(([, part]) => part).join(""),
    buffer.toBase64(),
  );
});
