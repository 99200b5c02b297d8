/**
 * Byte echo over TLS.
 *
 * @module
 */
import { certificates } from "../tests/peers/certificates.ts";
import { type EchoWorkload, measureEcho } from "./echo.ts";
import type { Workload } from "./workloads.ts";

const workload: EchoWorkload = {
  id: "g",
  title: "Byte echo over TLS, 4 connections × 64 KiB",
  unit: "messages/s",
  load: { message: "x", size: 65_536, depth: 1, connections: 4 },
  contenders: {
    ours: ["ours over TLS", "tls"],
    "ours, V8 tuned": ["ours over TLS, V8 tuned", "tls"],
    asyncio: ["asyncio", "tls"],
    "bare Deno.listenTls": ["Deno.listenTls", "tls"],
  },
  goals: [
    { against: "asyncio", bound: "at least", value: 1 },
    { against: "bare Deno.listenTls", bound: "at least", value: 10 },
  ],
};

/** The workload: it makes certificates first. */
export const tlsEcho: Workload = {
  id: workload.id,
  async measure(settings) {
    const { authority, good } = await certificates();
    const load = { ...workload.load, authority: authority.cert };
    return await measureEcho({ ...workload, load }, settings, good.certFile, good.keyFile);
  },
};
