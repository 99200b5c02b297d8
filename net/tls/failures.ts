/**
 * What the TLS engine reports, as this package's errors.
 *
 * @module
 */
import { SSLError, sslError, type SSLErrorReason } from "./errors.ts";

/** What the engine says, in its code or its message, and what that means. */
const SIGNS: readonly (readonly [RegExp, SSLErrorReason])[] = [
  [/NO_APPLICATION_PROTOCOL/, "NO_APPLICATION_PROTOCOL"],
  [/UNRECOGNIZED_NAME|UnrecognisedName/, "UNRECOGNIZED_NAME"],
  [/PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|incompatible: \w*Version/, "UNSUPPORTED_PROTOCOL"],
  [/PEER_DID_NOT_RETURN_A_CERTIFICATE/, "NO_CERTIFICATE"],
  [/fatal alert: (\w*Cert\w*|UnknownCA|AccessDenied)/, "PEER_REFUSED_CERTIFICATE"],
  // Within the handshake this is the signature by which the peer shows that it has the key.
  [/UNABLE_TO_VERIFY|InvalidCertificate|invalid peer certificate/, "BAD_CERTIFICATE"],
];

/**
 * A server's last words to a client whose certificate, or the lack of one, it has just been shown: of
 * TLS 1.2 (RFC 5246, 7.4.6), and of this package in TLS 1.3, for which Deno has no better ones.
 */
const REFUSALS = /fatal alert: (?:HandshakeFailure|UnexpectedMessage)/;

/** What is known of a connection whose engine fails. */
export interface Circumstances {
  /** The peer's address. */
  readonly peer: Deno.Addr | null;
  /** Whether what came began as TLS does. */
  readonly isTls: boolean;
  /** Whether the peer is a server that has shown its certificate, and nothing since. */
  readonly isJudging: boolean;
}

/** Translates what a stream of the engine failed with; errors of other kinds stay as they are. */
export function failureOf(error: unknown, { peer, isTls, isJudging }: Circumstances): unknown {
  if (!(error instanceof Error) || error instanceof SSLError || isSystemError(error)) return error;
  const { code } = error as { code?: unknown };
  if (typeof code !== "string") return error;
  return sslError(
    reasonOf(`${code} ${error.message}`, isTls, isJudging),
    peer,
    error.message,
    error,
  );
}

function reasonOf(text: string, isTls: boolean, isJudging: boolean): SSLErrorReason {
  const reason = SIGNS.find(([sign]) => sign.test(text))?.[1];
  if (reason !== undefined) return reason;
  if (!isTls) return "NOT_TLS";
  return isJudging && REFUSALS.test(text) ? "PEER_REFUSED_CERTIFICATE" : "PROTOCOL_ERROR";
}

/** Whether the system, and not TLS, has failed. */
export function isSystemError(error: unknown): boolean {
  return Object.values(Deno.errors).some((kind) => error instanceof kind);
}
