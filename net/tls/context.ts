/**
 * TLS contexts: what one side trusts, what it shows, and what it asks for.
 *
 * @module
 */
import { checkFlag, show } from "../validate.ts";

/** A version of TLS. */
export type TLSVersion = "TLSv1.2" | "TLSv1.3";

/** A certificate and its private key. */
export interface CertChain {
  /** The certificate as PEM text, the authorities between it and a root behind it. */
  readonly cert: string;
  /** Its private key as PEM text, not encrypted. */
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
   * a list replaces them. On a server those who may sign clients' certificates.
   */
  readonly caCerts?: readonly string[] | undefined;
  /** The certificate to show, as PEM text, with the authorities between it and a root. */
  readonly cert?: string | undefined;
  /** The private key of `cert`, as PEM text, not encrypted. */
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
   * for the right one: for tests. On a server with `requestCert` it makes certificates optional.
   *
   * @default {true}
   */
  readonly rejectUnauthorized?: boolean | undefined;
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
    throw new TypeError(`the options are an object, not ${show(options)}`);
  }
  const { caFile, certFile, keyFile, ...own } = options;
  exclusive(options, "cert", "certFile");
  exclusive(options, "key", "keyFile");
  const cert = certFile === undefined ? own.cert : readPem("certFile", certFile);
  const caCerts = caFile === undefined
    ? own.caCerts
    : [...own.caCerts ?? [], readPem("caFile", caFile)];
  const key = keyFile !== undefined
    ? readPem("keyFile", keyFile)
    : own.key ?? (certFile === undefined ? undefined : cert);
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

function readPem(name: string, path: unknown): string {
  if (typeof path !== "string" && !(path instanceof URL)) {
    throw new TypeError(`${name} is a path or a file: URL, not ${show(path)}`);
  }
  return Deno.readTextFileSync(path);
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
  "minVersion",
  "maxVersion",
]);

/** Checks a context, as far as that goes without looking into its certificates. */
export function checkContext(context: unknown): SSLContext {
  if (typeof context !== "object" || context === null) {
    throw new TypeError(`an SSLContext is an object, not ${show(context)}`);
  }
  // A misspelt "checkHostname" or "requestCert" would leave a door open.
  for (const name of Object.keys(context)) {
    if (!NAMES.has(name)) throw new TypeError(`an SSLContext has no ${show(name)}`);
  }
  const { caCerts, cert, key, sni, alpnProtocols, ...rest } = context as SSLContext;
  checkFlag("checkHostname", rest.checkHostname);
  checkFlag("requestCert", rest.requestCert);
  checkFlag("rejectUnauthorized", rest.rejectUnauthorized);
  checkVersions(rest.minVersion, rest.maxVersion);
  if (caCerts !== undefined) {
    for (const text of checkList("caCerts", caCerts)) checkPem("caCerts", text, CERTIFICATE);
  }
  checkCertChain("", cert, key);
  if (sni !== undefined) checkSni(sni);
  if (alpnProtocols !== undefined) {
    for (const name of checkList("alpnProtocols", alpnProtocols)) checkProtocol(name);
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

function checkList(name: string, value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new TypeError(`${name} is an array, not ${show(value)}`);
  if (value.length === 0) throw new RangeError(`${name} must not be empty; leave it out`);
  return value;
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----/;
const PRIVATE_KEY = /-----BEGIN (?:RSA |EC )?PRIVATE KEY-----/;
const ENCRYPTED = /-----BEGIN ENCRYPTED PRIVATE KEY-----|Proc-Type: 4,ENCRYPTED/;

function checkPem(name: string, text: unknown, what: RegExp): void {
  if (typeof text !== "string") throw new TypeError(`${name} is PEM text, not ${show(text)}`);
  if (what === PRIVATE_KEY && ENCRYPTED.test(text)) {
    throw new RangeError(`${name} is encrypted; decrypt it first (openssl pkey does it)`);
  }
  if (what.test(text)) return;
  const hint = text.includes("-----BEGIN") ? "" : "; for a file's path, see createDefaultContext()";
  const kind = what === PRIVATE_KEY ? "private key" : "certificate";
  throw new RangeError(`${name} holds no ${kind} in PEM form${hint}`);
}

function checkCertChain(prefix: string, cert: unknown, key: unknown): void {
  if (cert !== undefined) checkPem(`${prefix}cert`, cert, CERTIFICATE);
  if (key !== undefined) checkPem(`${prefix}key`, key, PRIVATE_KEY);
  if ((cert === undefined) !== (key === undefined)) {
    throw new RangeError(`${prefix}cert and ${prefix}key go together: one is missing`);
  }
}

function checkSni(sni: unknown): void {
  if (typeof sni !== "object" || sni === null) {
    throw new TypeError(`sni is an object of certificates by host name, not ${show(sni)}`);
  }
  for (const [host, chain] of Object.entries(sni)) {
    if (typeof chain !== "object" || chain === null) {
      throw new TypeError(`sni[${show(host)}] is an object with cert and key, not ${show(chain)}`);
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
