// TLS over carriers that cut ciphertext anywhere, in both directions.
import { assert, assertEquals } from "@std/assert";
import { equals } from "@std/bytes/equals";
import fc from "fast-check";
import { createDefaultContext } from "@asyncio/streams";
import type { Carrier } from "../../../net/carrier.ts";
import { openTls } from "../../../net/tls/open_tls.ts";
import { planClient, planServer } from "../../../net/tls/plan.ts";
import { certificates } from "../../peers/certificates.ts";
import { pattern } from "../../support.ts";
import { test } from "../support.ts";

const { authority, good } = await certificates();
const server = planServer({ ssl: createDefaultContext({ cert: good.cert, key: good.key }) })!;
const client = planClient(
  { ssl: createDefaultContext({ caCerts: [authority.cert] }) },
  "localhost",
)!;

/** Moves no more than `sizes` say, one after the other, and then as much as it is asked to. */
function cut(conn: Deno.Conn, sizes: readonly number[]): Carrier {
  const reads = [...sizes];
  const writes = [...sizes].reverse();
  return {
    localAddr: conn.localAddr,
    remoteAddr: conn.remoteAddr,
    read: (buffer) => conn.read(buffer.subarray(0, reads.shift())),
    write: (data) => conn.write(data.subarray(0, writes.shift())),
    closeWrite: () => conn.closeWrite(),
    close: () => conn.close(),
  };
}

async function connected(): Promise<[Deno.Conn, Deno.Conn]> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  return await Promise.all([Deno.connect({ hostname: "127.0.0.1", port }), listener.accept()]);
}

async function send(carrier: Carrier, data: Uint8Array): Promise<void> {
  for (let at = 0; at < data.length;) at += await carrier.write(data.subarray(at));
}

async function receive(carrier: Carrier, size: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size;) at += (await carrier.read(bytes.subarray(at)))!;
  return bytes;
}

// Cuts within a record's header, within records, and between them.
const sizes = fc.array(
  fc.oneof(fc.integer({ min: 1, max: 64 }), fc.integer({ min: 1_000, max: 70_000 })),
  { maxLength: 60 },
);
const length = fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 200_000 }));

test("what is sent over TLS arrives, however the ciphertext is cut", async () => {
  await fc.assert(
    fc.asyncProperty(sizes, sizes, length, length, async (near, far, up, down) => {
      const [a, b] = await connected();
      const [left, right] = await Promise.all([
        openTls(cut(a, near), client),
        openTls(cut(b, far), server),
      ]);
      try {
        const [, , came, back] = await Promise.all([
          send(left, pattern(up)),
          send(right, pattern(down)),
          receive(right, up),
          receive(left, down),
        ]);
        assert(equals(came, pattern(up)));
        assert(equals(back, pattern(down)));
        const end = right.read(new Uint8Array(1));
        await left.goodbye!();
        assertEquals(await end, null);
      } finally {
        left.close();
        right.close();
      }
    }),
    { numRuns: 40 },
  );
});
