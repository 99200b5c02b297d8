/**
 * The errors of TLS, by kinds that a program can tell apart.
 *
 * @module
 */
import { formatAddr } from "../addresses.ts";

/** Why the peer's certificate is not good enough. */
export type SSLCertVerificationReason =
  /**
   * No authority that this side trusts has signed it. Without `caCerts` this is said of any chain that
   * Deno refuses, also over its time, for Deno does not show whom it trusts; the message says more.
   */
  | "UNKNOWN_AUTHORITY"
  /** It is for other host names. */
  | "WRONG_HOST"
  /** Its time is over, or that of an authority between it and a trusted one. */
  | "EXPIRED"
  /** Its time has not come. */
  | "NOT_YET_VALID"
  /** The peer gave none, where one is required. */
  | "NO_CERTIFICATE"
  /** Something else is wrong with it; the message says what. */
  | "BAD_CERTIFICATE";

/** What went wrong. */
export type SSLErrorReason =
  | SSLCertVerificationReason
  /**
   * The peer refused this side's certificate, or the lack of one. A client also says so of a server
   * that breaks off right after it was shown either, with an alert that names no better reason.
   */
  | "PEER_REFUSED_CERTIFICATE"
  /** ALPN: the two sides have no protocol in common. */
  | "NO_APPLICATION_PROTOCOL"
  /** A server has no certificate for the host name that a client asks for. */
  | "UNRECOGNIZED_NAME"
  /** The two sides have no version of TLS in common. */
  | "UNSUPPORTED_PROTOCOL"
  /** The handshake took longer than `sslHandshakeTimeout`. */
  | "HANDSHAKE_TIMEOUT"
  /** What the peer sent does not begin as TLS does. */
  | "NOT_TLS"
  /** The peer left during the handshake. */
  | "UNEXPECTED_EOF"
  /** Anything else; the message says what. */
  | "PROTOCOL_ERROR";

/**
 * TLS failed: Python's `ssl.SSLError`.
 *
 * @example
 * ```ts
 * import { SSLError } from "@asyncio/streams";
 * import { assertEquals } from "@std/assert";
 *
 * const error = new SSLError("no common protocol", "NO_APPLICATION_PROTOCOL");
 * assertEquals(error.reason, "NO_APPLICATION_PROTOCOL");
 * ```
 */
export class SSLError extends Error {
  /** What went wrong. */
  readonly reason: SSLErrorReason;

  /**
   * Makes the error.
   *
   * @param message What happened, to which peer, and what to do.
   * @param reason What went wrong.
   * @param options The error that caused it.
   */
  constructor(message: string, reason: SSLErrorReason, options?: ErrorOptions) {
    super(message, options);
    this.name = "SSLError";
    this.reason = reason;
  }
}

/**
 * The peer's certificate is missing or not good enough: Python's
 * `ssl.SSLCertVerificationError`.
 *
 * @example
 * ```ts
 * import { SSLCertVerificationError, SSLError } from "@asyncio/streams";
 * import { assert } from "@std/assert";
 *
 * const error = new SSLCertVerificationError("it is for another host", "WRONG_HOST");
 * assert(error instanceof SSLError);
 * ```
 */
export class SSLCertVerificationError extends SSLError {
  /** Why the certificate is not good enough. */
  declare readonly reason: SSLCertVerificationReason;

  /**
   * Makes the error.
   *
   * @param message What happened, to which peer, and what to do.
   * @param reason Why the certificate is not good enough.
   * @param options The error that caused it.
   */
  constructor(message: string, reason: SSLCertVerificationReason, options?: ErrorOptions) {
    super(message, reason, options);
    this.name = "SSLCertVerificationError";
  }
}

/** What to do about each reason, after what the engine says. */
const HINTS: Readonly<Record<SSLErrorReason, string>> = {
  UNKNOWN_AUTHORITY: "no trusted authority has signed its certificate; if it should be trusted, " +
    "put its authority's certificate into caCerts",
  WRONG_HOST: "its certificate is for another host; set serverHostname if that is intended",
  EXPIRED: "its certificate has expired",
  NOT_YET_VALID: "its certificate is not valid yet; is the clock right?",
  NO_CERTIFICATE: "it gave no certificate, and one is required",
  BAD_CERTIFICATE: "its certificate is not acceptable",
  PEER_REFUSED_CERTIFICATE: "it refused this side's certificate, or that there was none",
  NO_APPLICATION_PROTOCOL: "the two sides have no protocol in common; compare alpnProtocols",
  UNSUPPORTED_PROTOCOL: "the two sides have no version of TLS in common; compare minVersion",
  UNRECOGNIZED_NAME: "there is no certificate for the host it asks for; add it to sni, or a cert",
  HANDSHAKE_TIMEOUT: "it took too long; sslHandshakeTimeout says how long it may take",
  NOT_TLS: "it did not answer with TLS; is this the right port?",
  UNEXPECTED_EOF: "it closed the connection during the handshake",
  PROTOCOL_ERROR: "TLS broke down",
};

const CERTIFICATE_REASONS = new Set<SSLErrorReason>([
  "UNKNOWN_AUTHORITY",
  "WRONG_HOST",
  "EXPIRED",
  "NOT_YET_VALID",
  "NO_CERTIFICATE",
  "BAD_CERTIFICATE",
]);

/**
 * Makes the error for a failure.
 *
 * @param reason What went wrong.
 * @param peer The peer's address.
 * @param detail What the engine says about it.
 * @param cause What the engine threw.
 */
export function sslError(
  reason: SSLErrorReason,
  peer: Deno.Addr | null,
  detail?: string,
  cause?: unknown,
): SSLError {
  const more = detail === undefined ? "" : ` (${detail})`;
  const message = `TLS with ${formatAddr(peer)} failed: ${HINTS[reason]}${more}`;
  const options = cause === undefined ? {} : { cause };
  return CERTIFICATE_REASONS.has(reason)
    ? new SSLCertVerificationError(message, reason as SSLCertVerificationReason, options)
    : new SSLError(message, reason, options);
}
