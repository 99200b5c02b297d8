/**
 * Why the engine has found a certificate bad: it has one word for nearly everything.
 *
 * @module
 */
import { X509Certificate } from "node:crypto";
import type { PeerCertificate } from "node:tls";
import { OBJECT_ID, readSequence } from "./der.ts";
import type { SSLCertVerificationReason } from "./errors.ts";
import { EXTENDED_KEY_USAGE, extensionsOf, isBeforeExtensions } from "./extensions.ts";

/** The purposes of certificates, 1.3.6.1.5.5.7.3.1 and .2, and of any, 2.5.29.37.0. */
const SERVER_AUTH = "2b06010505070301";
const CLIENT_AUTH = "2b06010505070302";
const ANY_PURPOSE = "551d2500";
/** The longest way from a certificate to an authority. */
const LONGEST = 10;

/** What is wrong with a certificate. */
export interface Fault {
  /** The kind. */
  readonly reason: SSLCertVerificationReason;
  /** What a person should know beside it. */
  readonly detail: string;
}

/**
 * Says why the engine has refused a certificate. Only of one that leads to a trusted authority is
 * said what else is wrong: what it says of itself would be worth nothing otherwise.
 *
 * @param cert The peer's certificate, and those it has sent with it.
 * @param authorities Who is trusted; `null` for those that Deno trusts, which it shows only to
 * programs that may do everything.
 * @param ofClient Whether a client has shown it.
 * @param verdict The engine's word.
 */
export function faultOf(
  cert: PeerCertificate,
  authorities: readonly X509Certificate[] | null,
  ofClient: boolean,
  verdict: string,
): Fault {
  const [leaf, ...others] = chainOf(cert);
  const path = pathOf(leaf!, others, authorities ?? []);
  if (path === null) {
    const untimely = authorities === null ? untimelyOf([leaf!, ...others]) : null;
    const by = `it is by ${JSON.stringify(leaf!.issuer)}`;
    const detail = untimely === null ? by : `${by}, or ${untimely.detail}: Deno does not say which`;
    return { reason: "UNKNOWN_AUTHORITY", detail };
  }
  const untimely = untimelyOf(path);
  if (untimely !== null) return untimely;
  const role = ofClient ? "client" : "server";
  const detail = isFor(leaf!, ofClient ? CLIENT_AUTH : SERVER_AUTH)
    ? `the engine says ${verdict}`
    : `its extended key usage does not allow it to be a ${role}'s`;
  return { reason: "BAD_CERTIFICATE", detail };
}

/** What is wrong with the times of certificates, each of which is by the next one. */
function untimelyOf(path: readonly X509Certificate[]): Fault | null {
  const now = new Date();
  for (const one of path) {
    const whose = one === path[0] ? "it" : `${JSON.stringify(one.subject)}, which it is by,`;
    const { validFromDate, validToDate } = one;
    if (validToDate < now) {
      return { reason: "EXPIRED", detail: `${whose} was valid until ${validToDate.toISOString()}` };
    }
    if (validFromDate > now) {
      const detail = `${whose} is valid from ${validFromDate.toISOString()} on`;
      return { reason: "NOT_YET_VALID", detail };
    }
  }
  return null;
}

function chainOf(cert: PeerCertificate): X509Certificate[] {
  const chain: X509Certificate[] = [];
  const seen = new Set<unknown>();
  let next: Partial<PeerCertificate> & { issuerCertificate?: PeerCertificate } | undefined = cert;
  while (next?.raw !== undefined && !seen.has(next) && chain.length < LONGEST) {
    seen.add(next);
    chain.push(new X509Certificate(next.raw));
    next = next.issuerCertificate;
  }
  return chain;
}

/** Whether a certificate in `caCerts` may sign others, by what it says of itself. */
export function maySign({ ca, raw }: X509Certificate): boolean {
  return ca || isBeforeExtensions(raw);
}

/**
 * Whether a certificate is one of those in `caCerts`, or leads to one that may sign others. The engine
 * takes each of them for an authority: who is trusted as a peer could pose as every other one.
 */
export function isVouchedFor(
  cert: PeerCertificate,
  authorities: readonly X509Certificate[],
): boolean {
  const [leaf, ...others] = chainOf(cert);
  return authorities.some(({ raw }) => leaf!.raw.equals(raw)) ||
    pathOf(leaf!, others, authorities.filter(maySign)) !== null;
}

/**
 * The way from a certificate up to a trusted authority, without it; `null` where there is none. It
 * takes the first that fits at each step, and may so miss a way that another one would have led.
 */
function pathOf(
  leaf: X509Certificate,
  others: readonly X509Certificate[],
  roots: readonly X509Certificate[],
): X509Certificate[] | null {
  const path = [leaf];
  for (let last = leaf; !roots.some((root) => root.raw.equals(last.raw) || isBy(last, root));) {
    const next = others.find((one) => one.ca && !path.includes(one) && isBy(last, one));
    if (next === undefined) return null;
    path.push(last = next);
  }
  return path;
}

/** Whether one certificate was signed with another one's key. */
function isBy(cert: X509Certificate, authority: X509Certificate): boolean {
  try {
    return cert.checkIssued(authority) && cert.verify(authority.publicKey);
  } catch {
    return false; // A kind of key that Deno does not know.
  }
}

function isFor(cert: X509Certificate, purpose: string): boolean {
  const usage = extensionsOf(cert.raw).get(EXTENDED_KEY_USAGE);
  if (usage === undefined) return true;
  const purposes = readSequence(usage).filter(({ tag }) => tag === OBJECT_ID)
    .map(({ body }) => body.toHex());
  return purposes.includes(purpose) || purposes.includes(ANY_PURPOSE);
}
