import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { MemoryCarrier } from "../memory_carrier.ts";
import type { SSLError } from "../../net/tls/errors.ts";
import { planUpgrade } from "../../net/tls/plan.ts";
import { Protocol } from "../../net/protocols.ts";
import { nextTurn } from "../../net/turn.ts";
import { memoryProtocol, memoryStreams, pattern, settled, text, turns } from "../support.ts";

const reset = new Deno.errors.ConnectionReset("reset by peer");

Deno.test("close() sends everything first", async () => {
  const { carrier, writer } = memoryStreams();
  carrier.credit = 0;
  const data = pattern(300_000);
  writer.write(data);
  writer.close();
  writer.close();
  assert(writer.isClosing());
  const closed = writer.waitClosed();
  carrier.allow(100_000);
  assert(!await settled(closed));
  assert(!carrier.closed);
  carrier.allow();
  await closed;
  assertEquals(carrier.received, data);
  assert(carrier.closed);
});

Deno.test("close() ends a read that waits, with EOF", async () => {
  const { carrier, reader, writer } = memoryStreams();
  carrier.send("half a line");
  const line = reader.readLine();
  await turns();
  writer.close();
  assertEquals(text(await line), "half a line");
  assert(reader.atEof());
  await writer.waitClosed();
  const late = memoryStreams();
  late.writer.close();
  assertEquals((await late.reader.read()).length, 0);
});

Deno.test("close() takes in what nobody read, half-closes, and waits for the peer's end", async () => {
  const { carrier, writer } = memoryStreams();
  carrier.send("unread request");
  writer.write("answer");
  writer.close();
  const closed = writer.waitClosed();
  assert(!await settled(closed));
  assertEquals(carrier.receivedText, "answer");
  assert(carrier.halfClosed);
  carrier.send("more of it");
  assert(!await settled(closed));
  carrier.end();
  await closed;
  assert(carrier.closed);
});

Deno.test("close() ends regularly when the peer fails once all was sent", async () => {
  const { carrier, writer } = memoryStreams();
  carrier.send("unread");
  writer.write("answer");
  writer.close();
  await turns(3);
  carrier.failReads(new Deno.errors.ConnectionReset("reset"));
  await writer.waitClosed();
  assertEquals(carrier.receivedText, "answer");
});

Deno.test("close() says goodbye after the last byte", async () => {
  const carrier = new MemoryCarrier({ canCloseWrite: false });
  const { writer } = memoryStreams({}, carrier);
  const left = Promise.withResolvers<void>();
  let saidAfter = "";
  carrier.goodbye = () => {
    saidAfter = carrier.receivedText;
    return left.promise;
  };
  writer.write("last");
  writer.close();
  assert(!await settled(writer.waitClosed()));
  assertEquals(saidAfter, "last");
  left.resolve();
  await writer.waitClosed();
  assert(!carrier.halfClosed);
});

Deno.test("close() while the goodbye behind the peer's end is being said says it no second time", async () => {
  const carrier = new MemoryCarrier({ canCloseWrite: false });
  const { reader, writer } = memoryStreams({}, carrier);
  const left = Promise.withResolvers<void>();
  let goodbyes = 0;
  carrier.goodbye = () => (goodbyes++, left.promise);
  carrier.end();
  await reader.read();
  writer.close();
  await turns();
  left.resolve();
  await writer.waitClosed();
  assertEquals(goodbyes, 1);
});

Deno.test("close() survives a carrier that was closed by whoever made it", async () => {
  const { carrier, writer } = memoryStreams();
  carrier.close();
  writer.close();
  await writer.waitClosed();
});

Deno.test("abort() drops what was not sent and closes now", async () => {
  const { carrier, reader, writer } = memoryStreams();
  carrier.credit = 10;
  writer.write(pattern(100_000));
  const line = reader.readLine();
  writer.transport.abort();
  writer.transport.abort();
  assert(carrier.closed);
  assertEquals([carrier.received.length, writer.transport.getWriteBufferSize()], [10, 0]);
  assertEquals((await line).length, 0);
  await writer.waitClosed();
  await assertRejects(() => writer.drain(), Deno.errors.ConnectionReset, "closed");
});

Deno.test("drain() in the turn of an abort() hears of it", async () => {
  const { writer } = memoryStreams();
  writer.transport.abort();
  await assertRejects(() => writer.drain(), Deno.errors.ConnectionReset, "closed");
});

Deno.test("abort() ends a close() that waits, whatever it waits for", async () => {
  const unsent = memoryStreams();
  unsent.carrier.credit = 0;
  unsent.writer.write("x");
  const unread = memoryStreams();
  unread.carrier.send("unread");
  const goodbye = memoryStreams();
  goodbye.carrier.goodbye = () => new Promise(() => {});
  for (const { carrier, writer } of [unsent, unread, goodbye]) {
    writer.close();
    const closed = writer.waitClosed();
    assert(!await settled(closed));
    writer.transport.abort();
    await closed;
    assert(carrier.closed);
  }
});

Deno.test("writeEof() half-closes after the buffer, and reading goes on", async () => {
  const { carrier, reader, writer } = memoryStreams();
  assert(writer.canWriteEof());
  carrier.credit = 0;
  writer.write("question");
  writer.writeEof();
  writer.writeEof();
  await turns();
  assert(!carrier.halfClosed);
  carrier.allow();
  await turns();
  assert(carrier.halfClosed);
  carrier.send("answer");
  carrier.end();
  assertEquals(text(await reader.read()), "answer");
  assert(!carrier.closed);
  writer.close();
  await writer.waitClosed();
  assertEquals(carrier.receivedText, "question");
});

Deno.test("writeEof() and close() in one turn send everything, then both", async () => {
  const { carrier, writer } = memoryStreams();
  writer.write("all");
  writer.writeEof();
  writer.close();
  await writer.waitClosed();
  assertEquals(carrier.receivedText, "all");
  assert(carrier.halfClosed && carrier.closed);
});

Deno.test("writeEof() with nothing to send half-closes once, before close() and behind it", async () => {
  for (const before of [true, false]) {
    const { carrier, writer } = memoryStreams();
    if (before) {
      writer.writeEof();
      writer.writeEof();
      await turns();
      writer.writeEof();
    }
    writer.close();
    writer.writeEof();
    await writer.waitClosed();
    assert(carrier.halfClosed);
  }
});

Deno.test("close() half-closes nothing where there is no half-close", async () => {
  const { carrier, writer } = memoryStreams({}, new MemoryCarrier({ canCloseWrite: false }));
  writer.write("all");
  writer.close();
  await writer.waitClosed();
  assertEquals([carrier.receivedText, carrier.halfClosed, carrier.closed], ["all", false, true]);
});

Deno.test("writeEof() is refused where there is no half-close", () => {
  const { writer } = memoryStreams({}, new MemoryCarrier({ canCloseWrite: false }));
  assert(!writer.canWriteEof());
  assertThrows(() => writer.writeEof(), Error, "use close()");
});

Deno.test("writeEof() is refused while TLS is about to begin, and the upgrade goes on", async () => {
  const { transport, writer } = memoryStreams();
  writer.write("in the clear");
  const upgrade = writer.startTls(true, { serverHostname: "localhost" });
  assert(!writer.canWriteEof());
  assertThrows(() => writer.writeEof(), Error, "TLS");
  transport.abort();
  await assertRejects(() => upgrade, Deno.errors.ConnectionAborted);
});

Deno.test("startTls() is refused after writeEof(), and the connection stays as it was", async () => {
  const { carrier, reader, writer } = memoryStreams();
  writer.writeEof();
  await assertRejects(
    () => writer.startTls(true, { serverHostname: "localhost", sslHandshakeTimeout: 1_000 }),
    Error,
    "startTls() after writeEof()",
  );
  carrier.send("answer");
  carrier.end();
  assertEquals(text(await reader.read()), "answer");
  await writer[Symbol.asyncDispose]();
});

Deno.test("startTls() ends by its signal, or its time, though what was written before can't leave", async () => {
  for (const name of ["signal", "time"]) {
    const { carrier, writer } = memoryStreams();
    carrier.credit = 0;
    writer.write("never taken");
    const aborter = new AbortController();
    const upgrade = writer.startTls(true, {
      serverHostname: "localhost",
      signal: aborter.signal,
      sslHandshakeTimeout: name === "time" ? 20 : 60_000,
    });
    if (name === "signal") aborter.abort(reset);
    const error = await assertRejects(() => upgrade);
    if (name === "signal") assertStrictEquals(error, reset);
    else assertEquals((error as SSLError).reason, "HANDSHAKE_TIMEOUT");
    assertStrictEquals(await assertRejects(() => writer.waitClosed()), error);
    assert(carrier.closed);
  }
});

for (const how of ["pulled", "pushed"]) {
  Deno.test(`a read that fails before TLS takes it over ends no process (${how})`, async () => {
    const streams = memoryStreams();
    const pulled = how === "pulled";
    if (pulled) streams.writer.waitClosed(); // It reads ahead.
    const { carrier, transport } = pulled ? streams : memoryProtocol(new Protocol());
    await turns();
    assert(carrier.reading);
    carrier.credit = 0;
    transport.write("220 go ahead");
    const upgrade = transport.startTls(planUpgrade(true, false, { serverHostname: "localhost" }));
    const refused = assertRejects(() => upgrade, Deno.errors.BrokenPipe);
    await turns();
    carrier.failReads(reset);
    await turns();
    carrier.failWrites(new Deno.errors.BrokenPipe("gone"));
    await refused;
  });
}

for (const name of ["read", "write", "closeWrite"] as const) {
  Deno.test(`a foreign carrier whose ${name}() throws is lost, and holds up nobody else`, async () => {
    const error = new Error("thrown, not rejected");
    const other = memoryStreams();
    for (const { carrier, writer, reader } of [memoryStreams(), memoryStreams()]) {
      carrier[name] = () => {
        throw error;
      };
      if (name === "read") reader.read(1).catch(() => {});
      else if (name === "write") writer.write("x");
      else writer.writeEof();
      other.writer.write("y");
      assertStrictEquals(await assertRejects(() => writer.waitClosed()), error);
      assert(carrier.closed);
    }
    await turns();
    assertEquals(other.carrier.receivedText, "yy");
  });
}

Deno.test("writeEof() that fails ends the connection with the error", async () => {
  const { carrier, writer } = memoryStreams();
  carrier.failWrites(new Deno.errors.NotConnected("gone"));
  writer.writeEof();
  await assertRejects(() => writer.waitClosed(), Deno.errors.NotConnected);
});

Deno.test("waitClosed() ends for all who called it, before close() and after", async () => {
  const { writer } = memoryStreams();
  const before = [writer.waitClosed(), writer.waitClosed()];
  assert(!await settled(before[0]!));
  writer.close();
  await Promise.all([...before, writer.waitClosed()]);
  await writer.waitClosed();
});

Deno.test("waitClosed() ends when the peer vanishes though nobody reads", async () => {
  const { carrier, writer } = memoryStreams();
  const closed = writer.waitClosed();
  assert(!await settled(closed));
  const error = new Deno.errors.ConnectionReset("reset");
  carrier.failReads(error);
  assertStrictEquals(await assertRejects(() => closed), error);
  assertStrictEquals(await assertRejects(() => writer.waitClosed()), error);
});

Deno.test("waitClosed() takes in no more than a buffer's worth, and loses none of it", async () => {
  const { carrier, reader, writer } = memoryStreams();
  const closed = writer.waitClosed();
  for (let i = 0; i < 100; i++) carrier.send(pattern(10_000));
  await turns(5);
  const { reads } = carrier;
  await turns(20);
  assertEquals(carrier.reads, reads, "it went on reading");
  carrier.end();
  assertEquals((await reader.read()).length, 1_000_000);
  writer.close();
  await closed;
});

Deno.test("waitClosed() sees the end of a connection whose reading was paused meanwhile", async () => {
  const { carrier, reader, transport, writer } = memoryStreams();
  transport.pauseReading();
  const closed = writer.waitClosed();
  transport.resumeReading();
  carrier.failReads(reset);
  assertStrictEquals(await assertRejects(() => closed), reset);
  assertStrictEquals(reader.exception(), reset);
});

Deno.test("waitClosed() sees the end behind more than it takes in, once that is read", async () => {
  const { carrier, reader, writer } = memoryStreams();
  for (let i = 0; i < 7; i++) carrier.send(pattern(16_384));
  const closed = writer.waitClosed();
  await turns(20);
  carrier.failReads(reset);
  assert((await reader.read(131_072)).length < 7 * 16_384);
  assertStrictEquals(await assertRejects(() => closed), reset);
});

Deno.test("waitClosed() ends by its signal", async () => {
  const { writer } = memoryStreams();
  const reason = new Error("enough");
  const signal = AbortSignal.abort(reason);
  assertStrictEquals(await assertRejects(() => writer.waitClosed({ signal })), reason);
  writer.close();
  await writer.waitClosed({ signal: new AbortController().signal });
});

Deno.test("[Symbol.asyncDispose]() sends everything and waits for the end", async () => {
  const { carrier, writer } = memoryStreams();
  {
    await using _ = writer;
    writer.write("all");
  }
  assertEquals(carrier.receivedText, "all");
  assert(carrier.closed);
});

/** Streams, and what their connection ends with: a fresh one, for nobody may have been told it before. */
type Ended = ReturnType<typeof memoryStreams> & { error: Error };

/** What ends a connection for whom, so that it is told before the writer is disposed of. */
const tellers: Record<string, (streams: Ended) => Promise<unknown>> = {
  "a read that waits": ({ reader, carrier, error }) => {
    const line = reader.readLine();
    carrier.failReads(error);
    return line;
  },
  "a later read": async ({ reader, writer, carrier, error }) => {
    carrier.failWrites(error);
    writer.write("x");
    await turns(10);
    assert(carrier.closed);
    return await reader.readExactly(5);
  },
  "drain() that waits": ({ writer, carrier, error }) => {
    carrier.credit = 0;
    writer.write(pattern(100_000));
    const drained = writer.drain();
    carrier.failWrites(error);
    return drained;
  },
  "a later drain()": async ({ writer, carrier, error }) => {
    carrier.failWrites(error);
    writer.write("x");
    await turns(3);
    await writer.drain();
  },
  "drain() behind the end": async ({ writer, carrier, error }) => {
    carrier.failWrites(error);
    writer.write("x");
    await turns(10);
    assert(carrier.closed);
    await writer.drain();
  },
  "waitClosed()": ({ writer, carrier, error }) => {
    carrier.failReads(error);
    return writer.waitClosed();
  },
  "a later waitClosed()": async ({ writer, carrier, error }) => {
    carrier.failWrites(error);
    writer.write("x");
    await turns(10);
    assert(carrier.closed);
    await writer.waitClosed();
  },
  "setException()": ({ reader, error }) => {
    reader.setException(error);
    return reader.read();
  },
};

for (const [name, meet] of Object.entries(tellers)) {
  Deno.test(`[Symbol.asyncDispose]() hides no error of ${name} in a SuppressedError`, async () => {
    const error = new Deno.errors.ConnectionReset("reset by peer");
    const streams = { ...memoryStreams(), error };
    const thrown = await assertRejects(async () => {
      await using _ = streams.writer;
      await meet(streams);
    });
    assertStrictEquals(thrown, error);
    await streams.writer[Symbol.asyncDispose]();
  });
}

for (const name of ["drain", "waitClosed"] as const) {
  Deno.test(`[Symbol.asyncDispose]() rejects when ${name}() had been given up by its signal`, async () => {
    const { carrier, writer } = memoryStreams();
    const gone = new Deno.errors.BrokenPipe("gone");
    const aborter = new AbortController();
    const thrown = await assertRejects(async () => {
      await using _ = writer;
      carrier.credit = 0;
      writer.write(pattern(100_000));
      const waiting = writer[name]({ signal: aborter.signal });
      aborter.abort("enough");
      assertEquals(await waiting.catch((reason) => reason), "enough");
      carrier.failWrites(gone);
    });
    assertStrictEquals(thrown, gone);
  });
}

Deno.test("[Symbol.asyncDispose]() rejects where nobody was told that what was written is lost", async () => {
  const { carrier, writer } = memoryStreams();
  carrier.failWrites(new Deno.errors.BrokenPipe("gone"));
  await assertRejects(async () => {
    await using _ = writer;
    writer.write("lost");
  }, Deno.errors.BrokenPipe);
});

Deno.test("[Symbol.asyncDispose]() rejects where the end came before, and nobody was told", async () => {
  const { carrier, writer } = memoryStreams();
  carrier.failWrites(new Deno.errors.BrokenPipe("gone"));
  await assertRejects(async () => {
    await using _ = writer;
    writer.write("lost");
    await turns(10);
    assert(carrier.closed);
  }, Deno.errors.BrokenPipe);
});

Deno.test("what the peer sent before the connection broke is read, then comes the error", async () => {
  const { carrier, reader, writer } = memoryStreams();
  carrier.send("413 too ");
  carrier.send("large\n");
  const error = new Deno.errors.BrokenPipe("gone");
  carrier.failReads(new Deno.errors.ConnectionReset("reset"));
  carrier.failWrites(error);
  writer.write(pattern(100_000));
  await assertRejects(() => writer.drain(), Deno.errors.BrokenPipe);
  writer.write("dropped");
  assertEquals(text(await reader.readLine()), "413 too large\n");
  assertStrictEquals(await assertRejects(() => reader.readLine()), error);
  assertStrictEquals(await assertRejects(() => writer.waitClosed()), error);
});

Deno.test("what is saved from a broken connection is not held up by a peer that is silent", async () => {
  const { carrier, reader, writer } = memoryStreams();
  const line = reader.readLine();
  const error = new Deno.errors.BrokenPipe("gone");
  carrier.failWrites(error);
  writer.write("x");
  assertStrictEquals(await assertRejects(() => line), error);
  assertStrictEquals(await assertRejects(() => writer.waitClosed()), error);
  assert(carrier.closed);
});

Deno.test("what is saved from a broken connection ends with the peer's EOF, as an error still", async () => {
  const { carrier, reader, writer } = memoryStreams();
  carrier.send("bye");
  carrier.end();
  carrier.failWrites(new Deno.errors.BrokenPipe("gone"));
  writer.write("x");
  await assertRejects(() => writer.waitClosed(), Deno.errors.BrokenPipe);
  assertEquals(text(await reader.read(100)), "bye");
  await assertRejects(() => reader.read(100), Deno.errors.BrokenPipe);
  assert(!reader.atEof());
});

Deno.test("what is saved from a broken connection is taken in though reading was paused", async () => {
  const { carrier, reader, transport, writer } = memoryStreams();
  transport.pauseReading();
  carrier.send("413 too large\n");
  carrier.failWrites(new Deno.errors.BrokenPipe("gone"));
  writer.write("x");
  await assertRejects(() => writer.waitClosed(), Deno.errors.BrokenPipe);
  assertEquals(text(await reader.readLine()), "413 too large\n");
});

Deno.test("what is saved from a broken connection may take many turns to come", async () => {
  const { carrier, reader, writer } = memoryStreams();
  carrier.failWrites(new Deno.errors.BrokenPipe("gone"));
  writer.write("x");
  for (let i = 0; i < 20; i++) {
    carrier.send("piece ");
    await nextTurn();
  }
  await assertRejects(() => writer.waitClosed(), Deno.errors.BrokenPipe);
  assertEquals(text(await reader.readExactly(120)), "piece ".repeat(20));
});

Deno.test("waitClosed() takes nothing away from what is saved of a broken connection", async () => {
  const { carrier, reader, writer } = memoryStreams();
  carrier.failWrites(new Deno.errors.BrokenPipe("gone"));
  writer.write("x");
  await turns(1);
  const closed = writer.waitClosed();
  for (let i = 0; i < 100; i++) carrier.send(pattern(16_384));
  carrier.failReads(reset);
  await assertRejects(() => closed, Deno.errors.BrokenPipe);
  assertEquals((await reader.readExactly(1_638_400)).length, 1_638_400);
});

Deno.test("close() while a broken connection is being read to its end ends it, too", async () => {
  for (const begun of [true, false]) {
    const { carrier, writer } = memoryStreams();
    carrier.failWrites(new Deno.errors.BrokenPipe("gone"));
    writer.write("x");
    if (begun) await turns();
    assertEquals([writer.isClosing(), carrier.closed], [begun, false]);
    writer.close();
    await assertRejects(() => writer.waitClosed(), Deno.errors.BrokenPipe);
    assert(carrier.closed);
  }
});
