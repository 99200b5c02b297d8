/**
 * The choice of the TLS engine, which is `node:tls` for every handshake that this package does.
 *
 * Deno's own TLS is faster, and was measured first. But it tells neither the peer's certificate nor
 * the cipher; the connections of `Deno.listenTls` keep Nagle's algorithm on, so that answers of
 * more than one record stall for 40 ms each; and it has no server-side upgrade, no SNI, no
 * client certificates and no Unix sockets. Whatever were left to it would differ to the user.
 * A `Deno.TlsConn` or `Deno.TlsListener` that a program has made itself can be given as `sock`.
 *
 * @module
 */
import type { Carrier } from "../carrier.ts";
import { unheeded } from "../waiters.ts";
import type { HandshakeOptions } from "./node_engine.ts";
import type { TlsPlan } from "./plan.ts";

const loadEngine = () => import("./node_engine.ts");

/** Loads the engine, before anything is opened. */
export async function prepareTls(plan: TlsPlan | null): Promise<void> {
  if (plan !== null) await loadEngine();
}

/**
 * Does a TLS handshake over a carrier.
 *
 * @param inner What carries the ciphertext; it is closed if the handshake fails.
 * @param plan Which side this is, and what it wants.
 * @param options How it begins; the signal is the plan's by default.
 * @returns What carries the cleartext.
 */
export async function openTls(
  inner: Carrier,
  plan: TlsPlan,
  options: HandshakeOptions = {},
): Promise<Carrier> {
  const { signal = plan.signal, after } = options;
  if (after !== undefined) unheeded(after); // It may be over before the engine is there.
  const { shakeHands } = await loadEngine();
  return await shakeHands(inner, plan, { ...options, signal });
}
