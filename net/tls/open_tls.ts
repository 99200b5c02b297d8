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
import { PrefixedCarrier, type ReadAhead } from "../prefixed_carrier.ts";
import type { TlsPlan } from "./plan.ts";

/** How TLS begins. */
export interface OpenTlsOptions {
  /** Ends the handshake. */
  signal?: AbortSignal | undefined;
  /** What was read of the carrier already: it is the engine's first input. */
  ahead?: ReadAhead | undefined;
}

const loadEngine = () => import("./node_engine.ts");

/**
 * Loads the engine and looks into the context's certificates, before anything is opened.
 *
 * @throws {RangeError} If one can't be read, or a key belongs to another.
 */
export async function prepareTls(plan: TlsPlan | null): Promise<void> {
  if (plan !== null) (await loadEngine()).checkCertificates(plan.context);
}

/**
 * Does a TLS handshake over a carrier.
 *
 * @param inner What carries the ciphertext; it is closed if the handshake fails.
 * @param plan Which side this is, and what it wants.
 * @param options How it begins.
 * @returns What carries the cleartext.
 */
export async function openTls(
  inner: Carrier,
  plan: TlsPlan,
  options: OpenTlsOptions = {},
): Promise<Carrier> {
  const { signal, ahead } = options;
  const { shakeHands } = await loadEngine();
  return await shakeHands(ahead ? new PrefixedCarrier(inner, ahead) : inner, plan, signal);
}
