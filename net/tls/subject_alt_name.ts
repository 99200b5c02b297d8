/**
 * The names that a certificate is for, and whether a host is among them.
 *
 * Neither `tls.checkServerIdentity` nor `X509Certificate.checkHost()` will do: on Deno the first
 * takes a text apart that an attacker may have put commas into; the second knows no wildcards.
 *
 * @module
 */
import { isIP } from "node:net";
import { readSequence } from "./der.ts";
import { extensionsOf, SUBJECT_ALT_NAME } from "./extensions.ts";

/** A name of a certificate. */
export interface SubjectName {
  /** Which kind of name. */
  readonly kind: "DNS" | "IP Address" | "URI" | "email";
  /** The name; an address as {@linkcode canonicalAddress} has it. */
  readonly value: string;
}

/** What can be read, by the tags of `GeneralName`. */
const KINDS: Readonly<Record<number, Exclude<SubjectName["kind"], "IP Address">>> = {
  0x81: "email",
  0x82: "DNS",
  0x86: "URI",
};
const IP_ADDRESS = 0x87;
const decoder = new TextDecoder();
/** Names of other kinds, which say nothing about a host. */
const OTHERS: ReadonlySet<number> = new Set([0xa0, 0xa3, 0xa4, 0xa5, 0x88]);

/**
 * Reads the names out of a certificate.
 *
 * @param certificate The certificate in DER.
 * @returns Its names of the known kinds that are ASCII, in its order; none where it has no such extension.
 * @throws {SyntaxError} If it is not as RFC 5280 has it.
 */
export function subjectNamesOf(certificate: Uint8Array): SubjectName[] {
  const extension = extensionsOf(certificate).get(SUBJECT_ALT_NAME);
  if (extension === undefined) return [];
  const names: SubjectName[] = [];
  for (const { tag, body } of readSequence(extension)) {
    const kind = KINDS[tag];
    if (kind !== undefined) {
      const value = readText(body);
      if (value !== null) names.push({ kind, value });
      // Names of people, and of services, decide nothing here, and old ones are so.
      else if (kind === "DNS") throw new SyntaxError("a DNS name that is not ASCII");
    } else if (tag === IP_ADDRESS) names.push({ kind: "IP Address", value: readAddress(body) });
    else if (!OTHERS.has(tag)) throw new SyntaxError(`a name of no known kind (${tag})`);
  }
  return names;
}

function readText(bytes: Uint8Array): string | null {
  return bytes.some((byte) => byte > 0x7f) ? null : decoder.decode(bytes);
}

function readAddress(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  if (bytes.length !== 16) throw new SyntaxError(`an IP address of ${bytes.length} bytes`);
  return canonicalAddress(bytes.toHex().replace(/.{4}(?!$)/g, "$&:"))!;
}

/** The one way to write a numeric address, without its zone; `null` for what is none. */
export function canonicalAddress(host: string): string | null {
  const address = host.replace(/%.*$/s, "");
  switch (isIP(address)) {
    case 4:
      return address;
    case 6:
      return new URL(`http://[${address}]`).hostname.slice(1, -1);
    default:
      return null;
  }
}

/**
 * Whether a host is among a certificate's names, as OpenSSL and CPython see it: an address is
 * compared with addresses only, case does not matter, and a wildcard is all of the first label
 * and stands for one label.
 *
 * @param host A name in ASCII, or an address.
 * @param names The certificate's names.
 */
export function isAmong(host: string, names: readonly SubjectName[]): boolean {
  const address = canonicalAddress(host);
  if (address !== null) {
    return names.some(({ kind, value }) => kind === "IP Address" && value === address);
  }
  const name = host.toLowerCase().replace(/\.$/, "");
  return name !== "" &&
    names.some(({ kind, value }) => kind === "DNS" && fits(name, value.toLowerCase()));
}

/** A wildcard, and what is behind it: two labels at least, for nobody owns all of `.com`. */
const WILDCARD = /^\*((?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?){2,})$/;

function fits(name: string, pattern: string): boolean {
  if (name === pattern) return true;
  const domain = WILDCARD.exec(pattern)?.[1];
  if (domain === undefined || !name.endsWith(domain)) return false;
  return /^[a-z0-9-]+$/.test(name.slice(0, -domain.length));
}
