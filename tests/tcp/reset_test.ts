// A peer that resets the connection, at every moment.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { text } from "../support.ts";
import { connectBare, resettable, serve, soon, writeAll } from "./support.ts";

/** What the system calls a connection that its peer has reset. */
function assertReset(error: unknown): void {
  const { ConnectionReset, ConnectionAborted, BrokenPipe } = Deno.errors;
  const kinds = [ConnectionReset, ConnectionAborted, BrokenPipe];
  assert(kinds.some((kind) => error instanceof kind), `${error}`);
}

Deno.test("a reset rejects the read that waits, and all later ones", async () => {
  const { reader, writer, peer } = await resettable();
  const line = reader.readLine();
  peer.resetAndDestroy();
  assertReset(await assertRejects(() => soon(line)));
  assertReset(await assertRejects(() => soon(reader.read())));
  assertReset(await assertRejects(() => soon(writer.drain())));
  assertReset(await assertRejects(() => soon(writer.waitClosed())));
  assertReset(reader.exception());
});

Deno.test("a reset is heard of in a loop that only writes and drains", async () => {
  const { writer, peer } = await resettable();
  peer.resetAndDestroy();
  const error = await assertRejects(() =>
    soon((async () => {
      for (;;) {
        writer.write("x".repeat(1_000));
        await writer.drain();
      }
    })())
  );
  assertReset(error);
  writer.write("dropped");
  writer.close();
  assertReset(await assertRejects(() => soon(writer.waitClosed())));
});

Deno.test("a reset ends a drain() that waits", async () => {
  const { writer, peer } = await resettable();
  writer.write(new Uint8Array(32 * 2 ** 20));
  const draining = writer.drain();
  peer.resetAndDestroy();
  assertReset(await assertRejects(() => soon(draining)));
  assertReset(await assertRejects(() => soon(writer.waitClosed())));
});

Deno.test("a reset ends a waitClosed() that waits, though nobody reads or writes", async () => {
  const { writer, peer } = await resettable();
  const closed = writer.waitClosed();
  peer.resetAndDestroy();
  assertReset(await assertRejects(() => soon(closed)));
});

Deno.test("a reset ends a close() that waits for the peer to read", async () => {
  const { writer, peer } = await resettable();
  writer.write(new Uint8Array(32 * 2 ** 20));
  writer.close();
  const closed = writer.waitClosed();
  peer.resetAndDestroy();
  assertReset(await assertRejects(() => soon(closed)));
});

Deno.test("a reset with nobody holding a promise ends no process", async () => {
  const { reader, writer, peer } = await resettable();
  reader.readLine().catch(() => {});
  writer.write(new Uint8Array(32 * 2 ** 20));
  writer.drain();
  writer.waitClosed();
  peer.resetAndDestroy();
  await soon(writer.waitClosed().catch(() => {}));
  writer.drain();
});

Deno.test('what the peer said before its reset is read: an answer of "too large"', async () => {
  const { reader, writer, peer } = await resettable();
  await new Promise<void>((resolve) => peer.write("413 too large\n", () => resolve()));
  peer.resetAndDestroy();
  await assertRejects(() =>
    soon((async () => {
      for (;;) {
        writer.write("x".repeat(100_000));
        await writer.drain();
      }
    })())
  );
  assertEquals(text(await soon(reader.readLine())), "413 too large\n");
  assertReset(await assertRejects(() => soon(reader.readLine())));
  await soon(writer.waitClosed().catch(() => {}));
});

Deno.test("a server goes on after peers that reset, before and after they were accepted", async () => {
  let ended = 0;
  await using server = await serve(async (reader, writer) => {
    await using _ = writer;
    try {
      for await (const line of reader) {
        writer.write(line);
        await writer.drain();
      }
    } catch {
      // Reset: that is what this test does.
    }
    ended++;
  });
  for (let i = 0; i < 20; i++) {
    const peer = await connectBare(server);
    await writeAll(peer, new TextEncoder().encode("one\ntwo\n"));
    if (i % 2 === 0) await peer.read(new Uint8Array(1));
    peer.close();
  }
  using peer = await connectBare(server);
  await writeAll(peer, new TextEncoder().encode("still there?\n"));
  const buffer = new Uint8Array(100);
  const n = await soon(peer.read(buffer));
  assertEquals(text(buffer.subarray(0, n!)), "still there?\n");
  await peer.closeWrite();
  server.close();
  await soon(server.waitClosed());
  assertEquals(ended, 21);
});
