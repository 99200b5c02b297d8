/**
 * The certificates and keys of a context: whether they are good, and as the engine wants them.
 *
 * @module
 */
import type { X509Certificate } from "node:crypto";
import type { SecureContextOptions } from "node:tls";
import type { CertChain, SSLContext } from "./context.ts";
import { asciiName } from "./host_names.ts";
import { certificatesIn, privateKeyIn } from "./pem.ts";

/** A context whose certificates have been looked at. */
interface Checked {
  /** The texts that were looked at: a context may be changed while it is in use. */
  readonly texts: readonly unknown[];
  /** Whom it trusts; `null` where that is left to Deno. */
  readonly authorities: readonly X509Certificate[] | null;
}

/** Looking costs a millisecond, and with many authorities twenty, for each connection. */
const known = new WeakMap<SSLContext, Checked>();

/** `node:crypto`, which takes as long to load as `node:tls`: only contexts with PEM texts need it. */
function loadCrypto(): typeof import("node:crypto") {
  // An import would take a turn, and what is bad has to be refused before anything is touched.
  // deno-lint-ignore no-process-global
  return process.getBuiltinModule("node:crypto");
}

/**
 * Checks that certificates can be read and that keys belong to them.
 *
 * @returns The authorities that the context trusts.
 * @throws {RangeError} If one can't be read, or a key belongs to another.
 */
export function checkedCertificates(context: SSLContext): Pick<Checked, "authorities"> {
  const texts = textsOf(context);
  const before = known.get(context);
  if (before !== undefined && isSame(before.texts, texts)) return before;
  const { caCerts, cert, key, sni = {} } = context;
  const authorities = caCerts?.flatMap((text) => readCertificates("caCerts", text)) ?? null;
  if (cert !== undefined) checkPair("", cert, key!);
  for (const [host, chain] of Object.entries(sni)) {
    checkPair(`sni[${JSON.stringify(host)}].`, chain.cert, chain.key);
  }
  const checked = { texts, authorities };
  known.set(context, checked);
  return checked;
}

/** All that has to be the same for a context to be as good as it was. */
function textsOf({ caCerts, cert, key, sni = {} }: SSLContext): unknown[] {
  const chains = Object.entries(sni).flatMap(([host, chain]) => [host, chain.cert, chain.key]);
  return [caCerts?.length, ...caCerts ?? [], cert, key, ...chains];
}

function isSame(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((text, i) => text === b[i]);
}

function readCertificates(name: string, text: string): X509Certificate[] {
  const { X509Certificate } = loadCrypto();
  return certificatesIn(text).map((block, i) =>
    readable(i === 0 ? name : `certificate ${i + 1} of ${name}`, () => new X509Certificate(block))
  );
}

/** What the engine can sign with; with another key every handshake would fail, for no visible reason. */
const KEY_TYPES: ReadonlySet<string> = new Set(["rsa", "ec", "ed25519"]);

function checkPair(prefix: string, cert: string, key: string): void {
  const { createPrivateKey } = loadCrypto();
  const [certificate] = readCertificates(`${prefix}cert`, cert);
  const privateKey = readable(`${prefix}key`, () => createPrivateKey(privateKeyIn(key)!));
  const { asymmetricKeyType = "" } = privateKey;
  if (!KEY_TYPES.has(asymmetricKeyType)) {
    throw new RangeError(
      `${prefix}key is of type ${asymmetricKeyType}: Deno takes rsa, ec, ed25519`,
    );
  }
  if (!certificate!.checkPrivateKey(privateKey)) {
    throw new RangeError(
      `${prefix}key does not belong to ${prefix}cert, of which the first certificate counts`,
    );
  }
}

function readable<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new RangeError(`${name} can't be read: ${(cause as Error).message}`, { cause });
  }
}

/** A context's certificates, as the engine wants them. */
export function credentials(context: SSLContext): SecureContextOptions {
  const { caCerts, cert, key, minVersion = "TLSv1.2", maxVersion = "TLSv1.3" } = context;
  return {
    minVersion,
    maxVersion,
    ...caCerts && { ca: caCerts.flatMap(certificatesIn) },
    ...cert !== undefined && { cert: certificatesIn(cert).join("\n"), key: privateKeyIn(key!)! },
  };
}

/** The certificate for a host name: its own, or one for all beneath the same domain. */
export function chainFor(
  host: string,
  sni: NonNullable<SSLContext["sni"]>,
): CertChain | undefined {
  const find = (name: string) => Object.entries(sni).find(([key]) => asciiName(key) === name)?.[1];
  const name = host.toLowerCase();
  return find(name) ?? find(name.replace(/^[^.]*/, "*"));
}
