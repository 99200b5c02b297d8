import { assert, assertEquals } from "@std/assert";
import type { Carrier } from "../../net/carrier.ts";
import { openTls } from "../../net/tls/open_tls.ts";
import { planUpgrade } from "../../net/tls/plan.ts";
import { certificates } from "./certificates.ts";
import { test } from "./open_sockets.ts";
import { startServerPeer } from "./openssl.ts";

const { authority, good } = await certificates();

test("sslShutdownTimeout bounds a goodbye that the peer has no room for", async () => {
  await using peer = await startServerPeer(good);
  const conn = await Deno.connect({ hostname: "127.0.0.1", port: peer.port });
  let stuck = false;
  let goodbyes = 0;
  const inner: Carrier = {
    localAddr: conn.localAddr,
    remoteAddr: conn.remoteAddr,
    read: (buffer) => conn.read(buffer),
    write(data) {
      if (!stuck) return conn.write(data);
      goodbyes++; // Sent by the engine, and never taken.
      return Promise.withResolvers<number>().promise;
    },
    closeWrite: () => conn.closeWrite(),
    close: () => conn.close(),
  };
  const context = { caCerts: [authority.cert] };
  const options = { serverHostname: "localhost", sslShutdownTimeout: 50 };
  const carrier = await openTls(inner, planUpgrade(context, false, options));
  stuck = true;
  const start = performance.now();
  await carrier.goodbye!();
  const took = performance.now() - start;
  carrier.close();
  assertEquals(goodbyes, 1);
  assert(took >= 45 && took < 5_000, `${took} ms`);
});
