// What a program leaves at the path of a Unix socket when it ends right after close().
import { assertEquals } from "@std/assert";
import { Program } from "./program.ts";

/** Runs a program that knows its `path`, and tells what is in the path's folder in the end. */
async function left(source: string, ...permissions: readonly string[]): Promise<string[]> {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/socket`;
    const allowed = permissions.length > 0
      ? permissions.map((one) => one.replaceAll("PATH", path))
      : ["--allow-net", `--allow-read=${folder}`, `--allow-write=${folder}`];
    const imports = 'import { Socket, startUnixServer } from "@asyncio/streams";';
    const program = new Program(
      ["run", "--no-prompt", ...allowed, "-"],
      `${imports}\nconst path = ${JSON.stringify(path)};\n${source}`,
    );
    const { code, stderr } = await program.end();
    assertEquals({ code, stderr }, { code: 0, stderr: "" });
    return Deno.readDirSync(folder).toArray().map(({ name }) => name);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const byPath = "const server = await startUnixServer(() => {}, path);";
const bySock = `
  const sock = Deno.listen({ transport: "unix", path });
  const server = await startUnixServer(() => {}, null, { sock });
`;
const bySocket = `
  const server = new Socket();
  server.bind({ transport: "unix", path });
  server.listen();
  try { server.accept(); } catch { /* It waits for a connection from now on. */ }
`;
const closeAndExit = "server.close(); Deno.exit();";
const ways = Object.entries({ "a path": byPath, "a sock": bySock, "a Socket": bySocket });

for (const [name, listen] of ways) {
  Deno.test(`a Unix server by ${name}: close() and Deno.exit() remove the socket file`, async () => {
    const needed = ["--allow-net=unix:PATH", "--allow-read=PATH", "--allow-write=PATH"];
    assertEquals(await left(listen + closeAndExit, ...needed), []);
  });

  Deno.test(`a Unix server by ${name}: close() and Deno.exit() leave another's file`, async () => {
    const another = `
      Deno.removeSync(path);
      const other = Deno.listen({ transport: "unix", path });
    `;
    assertEquals(
      await left(listen + another + closeAndExit),
      ["socket"],
      "replaced before close()",
    );
    const late = `server.close(); ${another} Deno.exit();`;
    assertEquals(await left(listen + late), ["socket"], "replaced after close()");
  });
}

Deno.test("cleanupSocket: false, close() and Deno.exit() leave the socket file, by one name", async () => {
  const listen = "const server = await startUnixServer(() => {}, path, { cleanupSocket: false });";
  assertEquals(await left(listen + closeAndExit), ["socket"]);
});

Deno.test("close() and Deno.exit() without the permissions of before end in peace", async () => {
  const revoke = 'for (const name of ["read", "write"]) Deno.permissions.revokeSync({ name });';
  for (const listen of [bySock, bySocket]) {
    await left(listen + revoke + closeAndExit);
    assertEquals(await left(`${listen + revoke} server.close();`), []);
  }
  await left(`${byPath} server.close(); ${revoke} Deno.exit();`);
});

Deno.test("a sock needs no permission for its file", async () => {
  const source = `
    const sock = Deno.listen({ transport: "unix", path });
    for (const name of ["read", "write", "net"]) Deno.permissions.revokeSync({ name });
    const server = await startUnixServer(() => {}, null, { sock });
    server.close();
    await server.waitClosed();
  `;
  assertEquals(await left(source), []);
});
