import { assert, assertEquals } from "@std/assert";
import { equals } from "@std/bytes";
import type { StreamReader, StreamWriter } from "@asyncio/streams";
import { pattern, settled, turns } from "../support.ts";
import { connect, pair, serve, soon, writeAll } from "./support.ts";

const size = 16 * 1_048_576;

for (const length of [1_000, 65_536, 262_144]) {
  Deno.test(`an echo by readInto() of ${length} bytes gives 16 MiB back as they were`, async () => {
    async function echo(reader: StreamReader, writer: StreamWriter): Promise<void> {
      await using _ = writer;
      const block = new Uint8Array(length);
      for (let n; (n = await reader.readInto(block)) > 0;) {
        writer.write(block.subarray(0, n));
        await writer.drain();
      }
    }
    await using server = await serve(echo);
    const [reader, writer] = await connect(server);
    await using _ = writer;
    const data = pattern(size);
    const send = async () => {
      for (let at = 0; at < size; at += 100_000) {
        writer.write(data.subarray(at, at + 100_000));
        await writer.drain();
      }
      writer.writeEof();
    };
    const back = new Uint8Array(size);
    const receive = async () => {
      let at = 0;
      for (let n; (n = await reader.readInto(back.subarray(at))) > 0;) at += n;
      return at;
    };
    const [received] = await soon(Promise.all([receive(), send()]));
    assertEquals(received, size);
    assert(equals(back, data));
  });
}

Deno.test("readInto() takes shared, resizable and WebAssembly memory", async () => {
  const { reader, writer, peer } = await pair();
  using _ = peer;
  const memories = [
    new SharedArrayBuffer(65_536),
    new ArrayBuffer(65_536, { maxByteLength: 131_072 }),
    new WebAssembly.Memory({ initial: 1 }).buffer,
  ];
  for (const memory of memories) {
    const target = new Uint8Array(memory);
    const read = reader.readInto(target);
    await writeAll(peer, pattern(100));
    assertEquals(await soon(read), 100);
    assertEquals(target.slice(0, 100), pattern(100));
  }
  writer.close();
  await soon(writer.waitClosed());
});

Deno.test("close() ends a readInto() that waits, and its array is left alone from then on", async () => {
  const { reader, writer, peer } = await pair();
  using _ = peer;
  const target = new Uint8Array(65_536);
  const read = reader.readInto(target);
  assert(!await settled(read));
  writer.close();
  assertEquals(await soon(read), 0);
  await soon(writer.waitClosed());
  await peer.write(pattern(1_000)).catch(() => {}); // Too late: the connection may be reset by now.
  await turns(10);
  assertEquals(target, new Uint8Array(65_536));
});
