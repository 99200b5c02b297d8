// Walks the README's table of the event loop's names, against the package and against CPython.
import { assert, assertEquals } from "@std/assert";
import { read, root } from "./program.ts";

interface Declaration {
  kind: string;
  def?: {
    extends?: unknown;
    methods?: { name: string }[];
    properties?: { name: string }[];
  };
}

/** Every exported name, and the members of each class, declared or inherited, as `deno doc` sees them. */
async function exportedNames(): Promise<
  { symbols: Set<string>; members: Map<string, Set<string>> }
> {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["doc", "--json", "mod.ts"],
    cwd: root,
  });
  const { stdout } = await command.output();
  const { nodes } = JSON.parse(new TextDecoder().decode(stdout)) as {
    nodes: Record<string, { symbols: { name: string; declarations: Declaration[] }[] }>;
  };
  const declared = new Map(
    Object.values(nodes).flatMap(({ symbols }) =>
      symbols.map(({ name, declarations }) => [name, declarations])
    ),
  );
  const membersOf = (name: string): string[] =>
    (declared.get(name) ?? []).flatMap(({ def }) => [
      ...[...def?.methods ?? [], ...def?.properties ?? []].map(({ name }) => name),
      ...(typeof def?.extends === "string" ? membersOf(def.extends) : []),
    ]);
  return {
    symbols: new Set(declared.keys()),
    members: new Map([...declared.keys()].map((name) => [name, new Set(membersOf(name))])),
  };
}

/** The classes that a name before a dot in the table stands for. */
const OWNERS: Readonly<Record<string, readonly string[]>> = {
  loop: ["EventLoop"],
  server: ["Server"],
  handle: ["TimerHandle"],
  future: ["Future"],
  task: ["Task"],
  transport: ["Transport", "DatagramTransport", "SubprocessTransport"],
  protocol: ["Protocol", "BufferedProtocol", "DatagramProtocol", "SubprocessProtocol"],
};

const PLANNED = "planned for ";

const [, table = ""] = read("README.md").match(/<!-- event loop table.*?-->\s+(.*?)\n\n/s) ?? [];
const rows = table.split("\n").slice(2).map((row) => {
  const [, asyncio = "", here = ""] = row.split(" | ").length === 2
    ? ["", ...row.split(" | ")]
    : [];
  return { asyncio: codesOf(asyncio), here: codesOf(here), text: here.trim() };
});

function codesOf(cell: string): string[] {
  return Array.from(cell.matchAll(/`([\w.]+)(?:\(\))?`/g), ([, code]) => code ?? "");
}

const { symbols, members } = await exportedNames();

function exists(code: string): boolean {
  const [owner = "", name] = code.split(".");
  if (name === undefined) return symbols.has(owner);
  assert(owner in OWNERS, `nobody knows what ${owner} is in ${code}`);
  return OWNERS[owner]!.some((type) => members.get(type)?.has(name));
}

Deno.test("README: what the event loop table says is here is here, what is planned is not", () => {
  let checked = 0;
  for (const { asyncio, here, text } of rows) {
    assert(asyncio.length > 0 && text !== "", `a row without names: ${text}`);
    if (text.startsWith("—")) continue;
    assert(here.length > 0, `a row without our names: ${asyncio}`);
    for (const code of here.filter((code) => code !== "using")) {
      const isPlanned = text.startsWith(PLANNED);
      assertEquals(exists(code), !isPlanned, `${code}: ${text}`);
      checked++;
    }
  }
  assert(checked > 150, `only ${checked} names were checked`);
});

Deno.test("README: what is planned is planned for a later version than this one", () => {
  const { version } = JSON.parse(read("deno.json")) as { version: string };
  for (const { text } of rows.filter(({ text }) => text.startsWith(PLANNED))) {
    const planned = text.slice(PLANNED.length).split(":")[0]!;
    assert(!version.startsWith(`${planned}.`), `${text}, and this is ${version}`);
  }
});

Deno.test("README: the event loop table has every name of CPython's", () => {
  const [head = ""] = read("tests/conformance/loop.jsonl").split("\n", 1);
  const { names } = JSON.parse(head) as { names: string[] };
  assert(names.length > 150);
  const listed = new Set(rows.flatMap(({ asyncio }) => asyncio));
  assertEquals(names.filter((name) => !listed.has(name)), []);
  assertEquals([...listed].filter((name) => !names.includes(name)), []);
});
