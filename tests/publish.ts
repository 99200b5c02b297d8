/**
 * Publishes a copy of the package that holds what `publish.include` names, and nothing else.
 *
 * `deno task publish [--publish]`
 *
 * Without the flag it tries what `deno publish` would do, on a machine that can't reach JSR. The
 * stand-ins in std/ take the place of `@std` there, and as long as they lie inside the package
 * Deno takes them for a part of it that was left out. So they are put beside the copy. With the flag
 * they are left out, and Deno checks the package against the real `@std` before it publishes it.
 */
const dryRun = !Deno.args.includes("--publish");
const root = new URL("../", import.meta.url);
const config = JSON.parse(Deno.readTextFileSync(new URL("deno.json", root)));

function copy(from: URL, to: string): void {
  if (!Deno.statSync(from).isDirectory) return Deno.copyFileSync(from, to);
  Deno.mkdirSync(to);
  for (const { name } of Deno.readDirSync(from)) {
    copy(new URL(`${from.href}/${name}`), `${to}/${name}`);
  }
}

const scratch = Deno.makeTempDirSync();
try {
  const stage = `${scratch}/package`;
  if (dryRun) copy(new URL("std", root), `${scratch}/std`);
  for (const pattern of config.publish.include as string[]) {
    const path = pattern.replace("/**/*.ts", "");
    const target = `${stage}/${path}`;
    Deno.mkdirSync(target.slice(0, target.lastIndexOf("/")), { recursive: true });
    copy(new URL(path, root), target);
  }
  const links = dryRun ? (config.links as string[]).map((link) => `.${link}`) : [];
  Deno.writeTextFileSync(`${stage}/deno.json`, JSON.stringify({ ...config, links }));

  const { success } = new Deno.Command(Deno.execPath(), {
    args: ["publish", "--allow-dirty", ...(dryRun ? ["--dry-run"] : [])],
    cwd: stage,
    stdin: dryRun ? "null" : "inherit",
    stdout: "inherit",
    stderr: "inherit",
  }).outputSync();
  if (!success) Deno.exitCode = 1;
} finally {
  Deno.removeSync(scratch, { recursive: true });
}
