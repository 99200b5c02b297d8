import { openConnection, startServer } from "@asyncio/streams";
import { assert, assertEquals } from "@std/assert";
import { concat, equals } from "@std/bytes";
import { pattern } from "../support.ts";
import { certificates } from "./certificates.ts";
import { test } from "./open_sockets.ts";

const { authority, good } = await certificates();

test("what reads over TLS give out is never changed, however much comes at once", async () => {
  const data = pattern(8 << 20);
  await using server = await startServer(
    async (_reader, writer) => {
      await using _ = writer;
      // Blocks of all sizes: some come as pieces of more than 64 KiB, which are kept as they are.
      for (let at = 0, i = 0; at < data.length; i++) {
        const block = data.subarray(at, at += 1 + i * 7_919 % 90_000);
        writer.write(block);
        await writer.drain();
      }
    },
    "127.0.0.1",
    0,
    { ssl: { cert: good.cert, key: good.key } },
  );
  const { port } = server.sockets[0]!.addr as Deno.NetAddr;
  const ssl = { caCerts: [authority.cert] };
  const [reader, writer] = await openConnection("127.0.0.1", port, {
    ssl,
    serverHostname: "localhost",
  });
  await using _ = writer;
  const pieces: Uint8Array[] = [];
  const copies: Uint8Array[] = [];
  for (let left = data.length; left > 0;) {
    const piece = await reader.read(5_000);
    assert(piece.length > 0);
    pieces.push(piece);
    copies.push(new Uint8Array(piece));
    left -= piece.length;
  }
  assertEquals(pieces.findIndex((piece, i) => !equals(piece, copies[i]!)), -1);
  assert(equals(concat(pieces), data));
});
