// How connections end: half-closed, closed with input unread, closed with nobody reading.
import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { delay } from "@std/async/delay";
import { equals } from "@std/bytes";
import { bytes, pattern, settled, text } from "../support.ts";
import { connect, connectBare, pair, readAll, serve, soon, writeAll } from "./support.ts";

const MIB = 2 ** 20;

Deno.test("close() sends all 8 MiB, though the request was not read", async () => {
  const data = pattern(8 * MIB);
  await using server = await serve(async (_reader, writer) => {
    await using _ = writer;
    writer.write(data);
  });
  using peer = await connectBare(server);
  await writeAll(peer, pattern(100_000));
  assert(equals(await soon(readAll(peer)), data));
});

Deno.test("close() sends all 8 MiB, though the peer goes on sending", async () => {
  const data = pattern(8 * MIB);
  await using server = await serve(async (reader, writer) => {
    await reader.readExactly(10);
    await using _ = writer;
    writer.write(data);
  });
  using peer = await connectBare(server);
  const sending = writeAll(peer, pattern(4 * MIB)).then(() => peer.closeWrite());
  const all = readAll(peer);
  assert(equals(await soon(all), data));
  await soon(sending);
});

for (const reading of [false, true]) {
  const how = reading ? "under way" : "over";
  Deno.test(`close() loses nothing where input has come that Deno has not seen, a read ${how}`, async () => {
    const { reader, writer, peer } = await pair();
    {
      using _peer = peer;
      await writeAll(peer, bytes("line\n"));
      await soon(reader.readLine());
      if (reading) reader.read(65_536).catch(() => {});
      await writeAll(peer, pattern(10_000));
      writer.write(pattern(MIB));
      writer.close();
      // Closed at once, the connection is reset: what the peer has not received is gone.
      await Promise.race([writer.waitClosed(), delay(100)]);
      assert(equals(await soon(readAll(peer)), pattern(MIB)));
    }
    await soon(writer.waitClosed());
  });
}

Deno.test("close() ends though the peer never stops sending", async () => {
  await using server = await serve(async (reader, writer) => {
    await using _ = writer;
    await reader.readExactly(1_000_000);
  });
  using peer = await connectBare(server);
  const piece = new Uint8Array(65_536);
  const flood = (async () => {
    for (;;) await peer.write(piece);
  })();
  // A reset ends it, once the server has waited long enough.
  await soon(assertRejects(() => flood, Error));
});

Deno.test("close() right behind a write loses nothing, many times over", async () => {
  await using server = await serve((_reader, writer) => {
    writer.write("x".repeat(10_000));
    writer.close();
  });
  for (let i = 0; i < 50; i++) {
    const [reader, writer] = await connect(server);
    await using _ = writer;
    assertEquals((await soon(reader.read())).length, 10_000);
  }
});

Deno.test("writeEof() half-closes: the answer to all of the input comes back", async () => {
  await using server = await serve(async (reader, writer) => {
    await using _ = writer;
    const all = await reader.read();
    writer.write(`${all.length} bytes`);
  });
  const [reader, writer] = await connect(server);
  await using _ = writer;
  writer.write(pattern(MIB));
  writer.writeEof();
  assertEquals(text(await soon(reader.read())), `${MIB} bytes`);
});

Deno.test("a peer that half-closes still gets what is written", async () => {
  const { reader, writer, peer } = await pair();
  using _peer = peer;
  await writeAll(peer, bytes("request"));
  await peer.closeWrite();
  assertEquals(text(await soon(reader.read())), "request");
  assert(reader.atEof() && !writer.isClosing());
  writer.write("late answer");
  const all = readAll(peer);
  writer.close();
  assertEquals(text(await soon(all)), "late answer");
  await soon(writer.waitClosed());
});

Deno.test("waitClosed() ends for a peer that never reads, once the writer is aborted", async () => {
  const { writer, peer } = await pair();
  using _peer = peer;
  writer.write(new Uint8Array(32 * MIB));
  writer.close();
  const closed = [writer.waitClosed(), writer.waitClosed()];
  const reason = new Error("enough");
  const signal = AbortSignal.abort(reason);
  assertStrictEquals(await assertRejects(() => writer.waitClosed({ signal })), reason);
  assert(!await settled(closed[0]!));
  writer.transport.abort();
  await soon(Promise.all(closed));
  await soon(writer.waitClosed());
});

Deno.test("waitClosed() ends when the peer takes the rest", async () => {
  const { writer, peer } = await pair();
  using _peer = peer;
  const data = pattern(8 * MIB);
  writer.write(data);
  const early = writer.waitClosed();
  writer.close();
  assert(equals(await soon(readAll(peer)), data));
  await soon(early);
});

Deno.test("drain() waits for a peer that does not read", async () => {
  const { writer, peer } = await pair();
  using _peer = peer;
  writer.write(new Uint8Array(32 * MIB));
  const draining = writer.drain();
  assert(!await settled(draining));
  const reading = readAll(peer);
  await soon(draining);
  assert(writer.transport.getWriteBufferSize() <= 16_384);
  writer.close();
  assertEquals((await soon(reading)).length, 32 * MIB);
  await soon(writer.waitClosed());
});

Deno.test("await using sends everything and closes", async () => {
  const { writer, peer } = await pair();
  using _peer = peer;
  const reading = readAll(peer);
  {
    await using _ = writer;
    writer.write(pattern(MIB));
  }
  assert(equals(await soon(reading), pattern(MIB)));
});

Deno.test("close() with a read under way and the peer silent ends at once", async () => {
  const { reader, writer, peer } = await pair();
  using _peer = peer;
  const line = reader.readLine();
  writer.write("bye");
  writer.close();
  assertEquals((await soon(line)).length, 0);
  await soon(writer.waitClosed());
  assertEquals(text(await soon(readAll(peer))), "bye");
});
