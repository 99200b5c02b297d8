/**
 * A peer's certificate as `getExtraInfo("peercert")` gives it.
 *
 * @module
 */
import type { PeerCertificate as NodeCertificate } from "node:tls";
import type { SubjectName } from "./subject_alt_name.ts";

/** What a peer's certificate says: Python's `SSLSocket.getpeercert()`. */
export interface PeerCertificate {
  /** Whom it is for, such as `{ CN: "example.org" }`; an attribute that is there twice is a list. */
  readonly subject: Readonly<Record<string, string | readonly string[]>>;
  /** Who has signed it. */
  readonly issuer: Readonly<Record<string, string | readonly string[]>>;
  /**
   * The names it is for: `DNS:example.org`, `IP Address:127.0.0.1`, `URI:spiffe://example.org/x` and
   * `email:me@example.org`; other kinds are left out. A name may have commas and colons in it.
   */
  readonly subjectAltName: readonly string[];
  /** Its number, in hexadecimal. */
  readonly serialNumber: string;
  /** When its time begins. */
  readonly notBefore: Date;
  /** When its time ends. */
  readonly notAfter: Date;
  /** The SHA-256 of it, in hexadecimal with colons. */
  readonly fingerprint256: string;
  /** All of it, in DER. */
  readonly raw: Uint8Array;
}

/** Translates a certificate of `node:tls`, whose names have been read. */
export function peerCertOf(cert: NodeCertificate, names: readonly SubjectName[]): PeerCertificate {
  const { subject, issuer, serialNumber, fingerprint256 } = cert;
  return {
    subject: { ...subject } as unknown as PeerCertificate["subject"],
    issuer: { ...issuer } as unknown as PeerCertificate["issuer"],
    subjectAltName: names.map(({ kind, value }) => `${kind}:${value}`),
    serialNumber,
    notBefore: new Date(cert.valid_from),
    notAfter: new Date(cert.valid_to),
    fingerprint256,
    raw: new Uint8Array(cert.raw),
  };
}

/** Whether there is a certificate: for none, Node has an empty object. */
export function isCertificate(cert: NodeCertificate | null): cert is NodeCertificate {
  return cert !== null && Object.keys(cert).length > 0;
}
