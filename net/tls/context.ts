/**
 * TLS contexts: what one side trusts, what it shows, and what it asks for.
 *
 * @module
 */
import { checkFlag, show } from "../validate.ts";
import { asciiName } from "./host_names.ts";
import { certificatesIn, isEncrypted, privateKeyIn } from "./pem.ts";

/** A version of TLS. */
export type TLSVersion = "TLSv1.2" | "TLSv1.3";

/** A certificate and its private key. */
export interface CertChain {
  /**
   * The certificate as PEM text, the authorities between it and a root behind it. What else is in
   * the text, such as the key, is passed over.
   */
  readonly cert: string;
  /** Its private key as PEM text, not encrypted. It may be the same text. */
  readonly key: string;
}

/**
 * How one side does TLS: a plain object in place of Python's `ssl.SSLContext`.
 *
 * Clients and servers take the same kind. {@linkcode createDefaultContext} makes one from files.
 * A server looks into it anew for each connection, so a renewed certificate can be put in.
 */
export interface SSLContext {
  /**
   * The authorities to trust, as PEM texts. On a client the roots that Deno trusts by default;
   * a list replaces them. On a server those who may sign clients' certificates. A certificate that is no
   * authority is trusted itself, and vouches for no other one.
   */
  readonly caCerts?: readonly string[] | undefined;
  /**
   * The certificate to show, as PEM text, with the authorities between it and a root. What else is
   * in the text, such as the key, is passed over.
   */
  readonly cert?: string | undefined;
  /** The private key of `cert`, as PEM text, not encrypted. It may be the same text. */
  readonly key?: string | undefined;
  /**
   * On a server: certificates by the host name that a client asks for, such as `"example.org"` or
   * `"*.example.org"`; `cert` serves the others.
   */
  readonly sni?: Readonly<Record<string, CertChain>> | undefined;
  /** The application protocols to offer, the best first. */
  readonly alpnProtocols?: readonly string[] | undefined;
  /**
   * On a client: whether the server's certificate has to be for the host.
   *
   * @default {true}
   */
  readonly checkHostname?: boolean | undefined;
  /**
   * On a server: whether clients have to show a certificate, signed by one of `caCerts`.
   *
   * @default {false}
   */
  readonly requestCert?: boolean | undefined;
  /**
   * Whether a peer without a good certificate is refused. On a client `false` takes any server
   * for the right one, and `getExtraInfo("peercert")` is `null`: for tests. On a server with
   * `requestCert` it makes certificates optional, as Python's `CERT_OPTIONAL`: a client may show
   * none, but one that is foreign or has expired is refused.
   *
   * @default {true}
   */
  readonly rejectUnauthorized?: boolean | undefined;
  /**
   * Whether a stream that is cut without the TLS goodbye ends as if the peer had said it, for peers
   * that never do, as many HTTP programs. By default the cut is a `Deno.errors.UnexpectedEof`.
   *
   * With it whoever sits in between can cut a stream short and nobody notices: use it only where the
   * protocol above says itself how long its messages are.
   *
   * @default {false}
   */
  readonly suppressRaggedEofs?: boolean | undefined;
  /**
   * The lowest version to speak.
   *
   * @default {"TLSv1.2"}
   */
  readonly minVersion?: TLSVersion | undefined;
  /**
   * The highest version to speak.
   *
   * @default {"TLSv1.3"}
   */
  readonly maxVersion?: TLSVersion | undefined;
}

/** Options of {@linkcode createDefaultContext}: a context's own, and files. */
export interface CreateDefaultContextOptions extends SSLContext {
  /** A PEM file of authorities to trust, beside `caCerts`. */
  readonly caFile?: string | URL | undefined;
  /** A PEM file in place of `cert`. It may hold the key, too. */
  readonly certFile?: string | URL | undefined;
  /** A PEM file in place of `key`; `certFile` by default. */
  readonly keyFile?: string | URL | undefined;
}

/**
 * Makes a TLS context with safe defaults, from PEM texts or files: Python's
 * `ssl.create_default_context`.
 *
 * TLS 1.2 or later; a client verifies the server's certificate and host name.
 *
 * @param options What differs from the defaults.
 * @returns The context, a plain frozen object.
 * @throws {TypeError} If an option is of the wrong type.
 * @throws {RangeError} If an option's value can't be, such as a certificate without a key.
 * @throws {Deno.errors.NotFound} If a file is missing; other `Deno.errors` likewise.
 *
 * @example
 * ```ts
 * import { createDefaultContext } from "@asyncio/streams";
 * import { assertEquals } from "@std/assert";
 *
 * const context = createDefaultContext({ alpnProtocols: ["h2", "http/1.1"] });
 * assertEquals(context.minVersion, "TLSv1.2");
 * assertEquals(context.checkHostname, true);
 * ```
 */
export function createDefaultContext(options: CreateDefaultContextOptions = {}): SSLContext {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`the options are an object, not ${brief(options)}`);
  }
  const { caFile, certFile, keyFile, ...own } = options;
  exclusive(options, "cert", "certFile");
  exclusive(options, "key", "keyFile");
  const cert = certFile === undefined ? own.cert : readPem("certFile", certFile, "certificate");
  const caCerts = caFile === undefined
    ? own.caCerts
    : [...checkList("caCerts", own.caCerts ?? []), readPem("caFile", caFile, "certificate")];
  const key = keyFile !== undefined
    ? readPem("keyFile", keyFile, "private key")
    : own.key ?? (certFile === undefined ? undefined : cert);
  if (certFile !== undefined && key === cert) {
    checkPem(`${fileName("certFile", certFile)}, with no keyFile beside it,`, key, "private key");
  }
  const rejectUnauthorized = own.rejectUnauthorized ?? true;
  const context: SSLContext = {
    requestCert: false,
    minVersion: "TLSv1.2",
    ...own,
    checkHostname: own.checkHostname ?? rejectUnauthorized,
    rejectUnauthorized,
    caCerts,
    cert,
    key,
  };
  checkContext(context);
  return Object.freeze(context);
}

function exclusive(
  options: CreateDefaultContextOptions,
  text: "cert" | "key",
  file: "certFile" | "keyFile",
): void {
  if (options[text] !== undefined && options[file] !== undefined) {
    throw new RangeError(`${text} and ${file} can't both be given`);
  }
}

function readPem(name: string, path: unknown, what: PemContent): string {
  if (typeof path !== "string" && !(path instanceof URL)) {
    throw new TypeError(`${name} is a path or a file: URL, not ${show(path)}`);
  }
  const text = Deno.readTextFileSync(path);
  checkPem(fileName(name, path), text, what, "");
  return text;
}

function fileName(name: string, path: string | URL): string {
  return `${name} ${JSON.stringify(String(path))}`;
}

const NAMES: ReadonlySet<string> = new Set<keyof SSLContext>([
  "caCerts",
  "cert",
  "key",
  "sni",
  "alpnProtocols",
  "checkHostname",
  "requestCert",
  "rejectUnauthorized",
  "suppressRaggedEofs",
  "minVersion",
  "maxVersion",
]);

/** Checks a context, as far as that goes without looking into its certificates. */
export function checkContext(context: unknown): SSLContext {
  if (typeof context !== "object" || context === null) {
    throw new TypeError(`an SSLContext is an object, not ${brief(context)}`);
  }
  // A misspelt "checkHostname" or "requestCert" would leave a door open.
  for (const name of Object.keys(context)) {
    if (!NAMES.has(name)) throw new TypeError(`an SSLContext has no ${show(name)}`);
  }
  const { caCerts, cert, key, sni, alpnProtocols, ...rest } = context as SSLContext;
  checkFlag("checkHostname", rest.checkHostname);
  checkFlag("requestCert", rest.requestCert);
  checkFlag("rejectUnauthorized", rest.rejectUnauthorized);
  checkFlag("suppressRaggedEofs", rest.suppressRaggedEofs);
  checkVersions(rest.minVersion, rest.maxVersion);
  if (caCerts !== undefined) {
    for (const text of checkFilled("caCerts", caCerts)) checkPem("caCerts", text, "certificate");
  }
  checkCertChain("", cert, key);
  if (sni !== undefined) checkSni(sni);
  if (alpnProtocols !== undefined) {
    for (const name of checkFilled("alpnProtocols", alpnProtocols)) checkProtocol(name);
  }
  return context;
}

function checkVersions(minVersion: unknown, maxVersion: unknown): void {
  for (const [name, version] of Object.entries({ minVersion, maxVersion })) {
    if (version !== undefined && version !== "TLSv1.2" && version !== "TLSv1.3") {
      throw new RangeError(`${name} is "TLSv1.2" or "TLSv1.3", not ${show(version)}`);
    }
  }
  if (minVersion === "TLSv1.3" && maxVersion === "TLSv1.2") {
    throw new RangeError("minVersion must not be above maxVersion");
  }
}

function checkList<T>(name: string, value: readonly T[]): readonly T[] {
  if (!Array.isArray(value)) throw new TypeError(`${name} is an array, not ${brief(value)}`);
  return value;
}

function checkFilled<T>(name: string, value: readonly T[]): readonly T[] {
  if (checkList(name, value).length > 0) return value;
  throw new RangeError(`${name} must not be empty; leave it out`);
}

/** Names a value that may be a secret, or long. */
export function brief(value: unknown): string {
  return typeof value === "string" ? "a string" : show(value);
}

/** What a PEM text is asked for. */
type PemContent = "certificate" | "private key";

const PATH_HINT = "; for a file's path, see createDefaultContext()";

function checkPem(name: string, text: unknown, what: PemContent, pathHint = PATH_HINT): void {
  if (typeof text !== "string") throw new TypeError(`${name} is PEM text, not ${show(text)}`);
  const isThere = what === "certificate"
    ? certificatesIn(text).length > 0
    : privateKeyIn(text) !== undefined && !isEncrypted(text);
  if (isThere) return;
  if (what === "private key" && isEncrypted(text)) {
    throw new RangeError(`${name} is encrypted; decrypt it first (openssl pkey does it)`);
  }
  const hint = text.includes("-----BEGIN") ? "" : pathHint;
  throw new RangeError(`${name} holds no ${what} in PEM form${hint}`);
}

function checkCertChain(prefix: string, cert: unknown, key: unknown): void {
  if (cert !== undefined) checkPem(`${prefix}cert`, cert, "certificate");
  if (key !== undefined) checkPem(`${prefix}key`, key, "private key");
  if ((cert === undefined) !== (key === undefined)) {
    throw new RangeError(`${prefix}cert and ${prefix}key go together: one is missing`);
  }
}

function checkSni(sni: unknown): void {
  if (typeof sni !== "object" || sni === null) {
    throw new TypeError(`sni is an object of certificates by host name, not ${brief(sni)}`);
  }
  for (const [host, chain] of Object.entries(sni)) {
    if (asciiName(host) === null) throw new RangeError(`sni has ${show(host)}, which is no host`);
    if (typeof chain !== "object" || chain === null) {
      throw new TypeError(`sni[${show(host)}] is an object with cert and key, not ${brief(chain)}`);
    }
    const { cert, key } = chain as Partial<CertChain>;
    if (cert === undefined) throw new RangeError(`sni[${show(host)}] has no cert`);
    checkCertChain(`sni[${show(host)}].`, cert, key);
  }
}

function checkProtocol(name: unknown): void {
  if (typeof name !== "string") throw new TypeError(`alpnProtocols has ${show(name)} in it`);
  const { length } = new TextEncoder().encode(name);
  if (length === 0 || length > 255) {
    throw new RangeError(`an ALPN protocol has 1 to 255 bytes, ${show(name)} has ${length}`);
  }
}
