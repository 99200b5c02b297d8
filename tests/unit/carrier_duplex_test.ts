// The Node stream between a TLS engine and what carries the ciphertext.
import { assert, assertEquals, assertFalse } from "@std/assert";
import { CarrierDuplex } from "../../net/carrier_duplex.ts";
import { MemoryCarrier } from "../memory_carrier.ts";

function make() {
  const carrier = new MemoryCarrier();
  const failures: unknown[] = [];
  const duplex = new CarrierDuplex(carrier, (error) => failures.push(error));
  return { carrier, duplex, failures };
}

function write(duplex: CarrierDuplex, piece: Uint8Array): Promise<void> {
  return new Promise((resolve) => duplex.write(piece, () => resolve()));
}

const piece = () => Uint8Array.from({ length: 1_000 }, (_, i) => i);

Deno.test("CarrierDuplex sends all of a piece before it gives back its memory", async () => {
  const { carrier, duplex } = make();
  const sent = piece();
  carrier.maxWrite = 300;
  carrier.credit = 700;
  const written = write(duplex, sent);
  while (!carrier.writing) await Promise.resolve();
  assertEquals(carrier.received, piece().subarray(0, 700));
  assertFalse(sent.buffer.detached);
  carrier.allow(300);
  await written;
  assertEquals(carrier.received, piece());
  assert(sent.buffer.detached);
});

Deno.test("CarrierDuplex leaves alone memory that a piece shares with others", async () => {
  const { carrier, duplex } = make();
  const shared = piece();
  await write(duplex, shared.subarray(0, 999));
  assertEquals(carrier.received, piece().subarray(0, 999));
  assertEquals(shared, piece());
});

Deno.test("CarrierDuplex leaves alone a piece that could not be sent", async () => {
  const { carrier, duplex, failures } = make();
  const unsent = piece();
  const error = new Deno.errors.BrokenPipe("gone");
  carrier.failWrites(error);
  duplex.write(unsent);
  await duplex.written;
  assertEquals(failures, [error]);
  assertEquals(unsent, piece());
});
