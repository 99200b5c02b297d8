import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { MemoryCarrier } from "../memory_carrier.ts";
import type { SSLError } from "../../net/tls/errors.ts";
import { planUpgrade } from "../../net/tls/plan.ts";
import { Protocol } from "../../net/protocols.ts";
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
  assertEquals(carrier.received.length, 10);
  assertEquals((await line).length, 0);
  await writer.waitClosed();
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

/** What ends a connection for whom, so that it is told before the writer is disposed of. */
const tellers: Record<string, (streams: ReturnType<typeof memoryStreams>) => Promise<unknown>> = {
  "a read that waits": ({ reader, carrier }) => {
    const line = reader.readLine();
    carrier.failReads(reset);
    return line;
  },
  "a later read": async ({ reader, writer, carrier }) => {
    carrier.failReads(reset);
    await writer.waitClosed().catch(() => {});
    return await reader.readExactly(5);
  },
  "drain() that waits": ({ writer, carrier }) => {
    carrier.credit = 0;
    writer.write(pattern(100_000));
    const drained = writer.drain();
    carrier.failWrites(reset);
    return drained;
  },
  "a later drain()": async ({ writer, carrier }) => {
    carrier.failWrites(reset);
    writer.write("x");
    await turns(3);
    await writer.drain();
  },
  "waitClosed()": ({ writer, carrier }) => {
    carrier.failReads(reset);
    return writer.waitClosed();
  },
  "setException()": ({ reader }) => {
    reader.setException(reset);
    return reader.read();
  },
};

for (const [name, meet] of Object.entries(tellers)) {
  Deno.test(`[Symbol.asyncDispose]() hides no error of ${name} in a SuppressedError`, async () => {
    const streams = memoryStreams();
    const thrown = await assertRejects(async () => {
      await using _ = streams.writer;
      await meet(streams);
    });
    assertStrictEquals(thrown, reset);
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

Deno.test("waitClosed() takes nothing away from what is saved of a broken connection", async () => {
  const { carrier, reader, writer } = memoryStreams();
  for (let i = 0; i < 100; i++) carrier.send(pattern(16_384));
  carrier.failReads(reset);
  carrier.failWrites(new Deno.errors.BrokenPipe("gone"));
  writer.write("x");
  await turns(3);
  const closed = writer.waitClosed();
  assertEquals((await reader.readExactly(1_638_400)).length, 1_638_400);
  await assertRejects(() => closed, Deno.errors.BrokenPipe);
});

Deno.test("close() while a broken connection is being read to its end ends it, too", async () => {
  const { carrier, writer } = memoryStreams();
  carrier.failWrites(new Deno.errors.BrokenPipe("gone"));
  writer.write("x");
  await Promise.resolve();
  writer.close();
  await assertRejects(() => writer.waitClosed(), Deno.errors.BrokenPipe);
  assert(carrier.closed);
});
