/**
 * What the TLS engine reports, as this package's errors.
 *
 * @module
 */
import type { PeerCertificate } from "node:tls";
import {
  type SSLCertVerificationReason,
  SSLError,
  sslError,
  type SSLErrorReason,
} from "./errors.ts";

/** What the engine says, in its code or its message, and what that means. */
const SIGNS: readonly (readonly [RegExp, SSLErrorReason])[] = [
  [/NO_APPLICATION_PROTOCOL/, "NO_APPLICATION_PROTOCOL"],
  [/UNRECOGNIZED_NAME|UnrecognisedName/, "UNRECOGNIZED_NAME"],
  [/PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|incompatible: \w*Version/, "UNSUPPORTED_PROTOCOL"],
  [/WRONG_VERSION_NUMBER|HTTP_REQUEST|InvalidContentType/, "NOT_TLS"],
  [/PEER_DID_NOT_RETURN_A_CERTIFICATE/, "NO_CERTIFICATE"],
  [/fatal alert: (\w*Cert\w*|UnknownCA|AccessDenied)/, "PEER_REFUSED_CERTIFICATE"],
  // Within the handshake this is the signature by which the peer shows that it has the key.
  [/UNABLE_TO_VERIFY|InvalidCertificate|invalid peer certificate/, "BAD_CERTIFICATE"],
];

/** Translates what a stream of the engine failed with; errors of other kinds stay as they are. */
export function failureOf(error: unknown, peer: Deno.Addr | null): unknown {
  if (!(error instanceof Error) || error instanceof SSLError || isSystemError(error)) return error;
  const { code } = error as { code?: unknown };
  if (typeof code !== "string") return error;
  const text = `${code} ${error.message}`;
  const reason = SIGNS.find(([sign]) => sign.test(text))?.[1] ?? "PROTOCOL_ERROR";
  return sslError(reason, peer, error.message, error);
}

/** Whether the system, and not TLS, has failed. */
export function isSystemError(error: unknown): boolean {
  return Object.values(Deno.errors).some((kind) => error instanceof kind);
}

const VERDICTS: Readonly<Record<string, SSLCertVerificationReason>> = {
  CERT_HAS_EXPIRED: "EXPIRED",
  CERT_NOT_YET_VALID: "NOT_YET_VALID",
  CERT_REVOKED: "BAD_CERTIFICATE",
  INVALID_PURPOSE: "BAD_CERTIFICATE",
};

/**
 * Says why a certificate has been found bad.
 *
 * @param code The engine's verdict.
 * @param cert The certificate, and those above it.
 */
export function verdictOf(code: string, cert: PeerCertificate): SSLCertVerificationReason {
  const verdict = VERDICTS[code];
  if (verdict !== undefined) return verdict;
  // The engine has one word for an unknown authority and for a time that is over.
  const now = Date.now();
  if (Date.parse(cert.valid_to) < now) return "EXPIRED";
  if (Date.parse(cert.valid_from) > now) return "NOT_YET_VALID";
  return "UNKNOWN_AUTHORITY";
}
