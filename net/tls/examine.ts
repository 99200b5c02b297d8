/**
 * What a side thinks of its peer's certificate.
 *
 * @module
 */
import type { PeerCertificate as NodeCertificate, TLSSocket } from "node:tls";
import { checkedCertificates } from "./credentials.ts";
import { type SSLError, sslError } from "./errors.ts";
import { faultOf, isVouchedFor, maySign } from "./fault.ts";
import { isCertificate, type PeerCertificate, peerCertOf } from "./peer_cert.ts";
import type { TlsPlan } from "./plan.ts";
import { isAmong, type SubjectName, subjectNamesOf } from "./subject_alt_name.ts";

/** How many names of a certificate a message has. */
const SHOWN = 10;

/** What a look at the peer's certificate came to. */
export interface Examined {
  /** The certificate, if it was verified. */
  readonly peercert: PeerCertificate | null;
  /** Why the peer is refused, if it is. */
  readonly refusal: SSLError | null;
}

const NOTHING: Examined = { peercert: null, refusal: null };

/**
 * Looks at the peer's certificate. One that nobody verifies is not shown to anybody either, as in
 * Python: whoever sent it may be anyone.
 *
 * @param socket The engine.
 * @param plan What this side wants.
 * @param peer The peer's address.
 * @param verdict What the engine says against the certificate; `null` for nothing.
 */
export function examine(
  socket: TLSSocket,
  plan: TlsPlan,
  peer: Deno.Addr | null,
  verdict: string | null,
): Examined {
  const { context, serverSide } = plan;
  const verified = serverSide ? context.requestCert === true : context.rejectUnauthorized !== false;
  if (!verified) return NOTHING;
  try {
    const cert = socket.getPeerCertificate(true);
    if (isCertificate(cert)) return judge(cert, plan, peer, verdict);
  } catch (error) {
    // The certificate, or one behind it, is not what the standard says.
    const refusal = sslError("BAD_CERTIFICATE", peer, (error as Error).message, error);
    return { peercert: null, refusal };
  }
  if (serverSide && context.rejectUnauthorized === false) return NOTHING;
  return { peercert: null, refusal: sslError("NO_CERTIFICATE", peer) };
}

function judge(
  cert: NodeCertificate,
  { context, serverSide, serverHostname }: TlsPlan,
  peer: Deno.Addr | null,
  verdict: string | null,
): Examined {
  const { authorities } = checkedCertificates(context);
  if (verdict !== null) {
    const { reason, detail } = faultOf(cert, authorities, serverSide, verdict);
    return { peercert: null, refusal: sslError(reason, peer, detail) };
  }
  const names = subjectNamesOf(cert.raw);
  if (authorities?.every(maySign) === false && !isVouchedFor(cert, authorities)) {
    const detail = "the one in caCerts that it is by is no authority";
    return { peercert: null, refusal: sslError("UNKNOWN_AUTHORITY", peer, detail) };
  }
  if (!serverSide && context.checkHostname !== false && !isAmong(serverHostname!, names)) {
    const detail = `${serverHostname} is not among its names: ${list(names)}`;
    return { peercert: null, refusal: sslError("WRONG_HOST", peer, detail) };
  }
  return { peercert: peerCertOf(cert, names), refusal: null };
}

function list(names: readonly SubjectName[]): string {
  if (names.length === 0) return "it has no subjectAltName, which is where hosts are named";
  const shown = names.slice(0, SHOWN).map(({ kind, value }) => `${kind}:${JSON.stringify(value)}`);
  return shown.join(", ") + (names.length > SHOWN ? ", …" : "");
}
