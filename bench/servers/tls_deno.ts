// A bare `Deno.listenTls` loop: `tls_deno.ts tls <certFile> <keyFile>`. It prints its port.

async function echo(conn: Deno.Conn): Promise<void> {
  const block = new Uint8Array(65_536);
  for (let n; (n = await conn.read(block)) !== null;) {
    for (let at = 0; at < n;) at += await conn.write(block.subarray(at, n));
  }
}

const [cert = "", key = ""] = Deno.args.slice(1).map((file) => Deno.readTextFileSync(file));
const listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key });
console.log((listener.addr as Deno.NetAddr).port);
for await (const conn of listener) echo(conn).catch(() => {}).finally(() => conn.close());
