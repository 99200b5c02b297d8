// Bare `Deno.Conn` loops with TCP_NODELAY: `deno_conn.ts <kind>`. It prints its port.
//
// "lines" is what one writes by hand for speed: it finds the newlines and writes whole chunks.

const BLOCK = 65_536;
/** The read that "idle" has pending. */
const SMALL_BLOCK = 4_096;
const NEWLINE = 10;

async function writeAll(conn: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
}

async function bytes(conn: Deno.Conn, block = new Uint8Array(BLOCK)): Promise<void> {
  for (let n; (n = await conn.read(block)) !== null;) await writeAll(conn, block.subarray(0, n));
}

/** How many lines have been seen: that the newlines are looked for can't be optimized away. */
let lineCount = 0;

async function lines(conn: Deno.Conn): Promise<void> {
  let block = new Uint8Array(BLOCK);
  let held = 0;
  for (let n; (n = await conn.read(block.subarray(held))) !== null;) {
    const end = held + n;
    const filled = block.subarray(0, end);
    let whole = 0;
    for (let at; (at = filled.indexOf(NEWLINE, whole)) !== -1; lineCount++) whole = at + 1;
    await writeAll(conn, block.subarray(0, whole));
    block.copyWithin(0, whole, end);
    held = end - whole;
    if (held === block.length) {
      const larger = new Uint8Array(2 * held);
      larger.set(block);
      block = larger;
    }
  }
}

const handlers: Record<string, (conn: Deno.Conn) => Promise<void>> = {
  bytes,
  lines,
  idle: (conn) => bytes(conn, new Uint8Array(SMALL_BLOCK)),
};

const handle = handlers[Deno.args[0] ?? "bytes"]!;
const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
console.log(listener.addr.port);
for await (const conn of listener) {
  conn.setNoDelay(true);
  handle(conn).catch(() => {}).finally(() => conn.close());
}
