/**
 * The load where Go is missing: what `client.go` does, block by block, in Deno.
 *
 * @module
 */
import type { Load } from "./load.ts";

/** Of so many connections, one says something: the server has accepted all before it. */
const ACCEPTED_EVERY = 64;

async function echo(conn: Deno.Conn, batch: Uint8Array, block: Uint8Array): Promise<void> {
  const sent = (async () => {
    for (let at = 0; at < batch.length;) at += await conn.write(batch.subarray(at));
  })();
  for (let left = batch.length; left > 0;) {
    const n = await conn.read(block);
    if (n === null) throw new Error("the server has closed the connection");
    left -= n;
  }
  await sent;
}

async function connect(
  { port, connections, authority }: Load,
  message: Uint8Array,
): Promise<Deno.Conn[]> {
  const conns: Deno.Conn[] = [];
  for (let i = 1; i <= connections; i++) {
    const tcp = await Deno.connect({ hostname: "127.0.0.1", port });
    tcp.setNoDelay(true);
    const conn = authority === undefined
      ? tcp
      : await Deno.startTls(tcp, { hostname: "localhost", caCerts: [authority] });
    conns.push(conn);
    if (i % ACCEPTED_EVERY === 0 || i === connections) {
      await echo(conn, message, new Uint8Array(message.length));
    }
  }
  return conns;
}

async function main(load: Load): Promise<void> {
  const { message, size, depth, seconds, idle } = load;
  const bytes = Uint8Array.fromBase64(message);
  const whole = new Uint8Array(size).fill(bytes[0]!);
  if (bytes.length === size) whole.set(bytes);
  else whole[size - 1] = bytes.at(-1)!;
  const batch = new Uint8Array(size * depth);
  for (let i = 0; i < depth; i++) batch.set(whole, i * size);

  const conns = await connect(load, whole);
  if (idle) {
    console.log("{}");
    for await (const _ of Deno.stdin.readable);
    Deno.exit();
  }

  const start = performance.now();
  const end = start + seconds * 1000;
  let messages = 0;
  await Promise.all(conns.map(async (conn) => {
    const block = new Uint8Array(Math.min(batch.length, 262_144));
    do {
      await echo(conn, batch, block);
      messages += depth;
    } while (performance.now() < end);
  }));
  console.log(JSON.stringify({ messages, seconds: (performance.now() - start) / 1000 }));
  Deno.exit();
}

await main(JSON.parse(Deno.args[0]!));
