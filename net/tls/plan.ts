/**
 * The TLS options of connections and servers, checked.
 *
 * @module
 */
import { LONGEST_TIMER } from "../timers.ts";
import { checkHost, checkNumber, checkSignal, show } from "../validate.ts";
import type { WaitOptions } from "../wait_options.ts";
import { brief, checkContext, type SSLContext } from "./context.ts";
import { checkedCertificates } from "./credentials.ts";
import { asciiName } from "./host_names.ts";

/** The TLS options that clients and servers share. */
export interface SSLTimeoutOptions {
  /**
   * How long the handshake may take, in ms.
   *
   * @default {60000}
   */
  sslHandshakeTimeout?: number | undefined;
  /**
   * How long the TLS goodbye may take when the connection is closed and all data has been sent, in
   * ms. Within it a peer that still sends is listened to for two seconds at the most.
   *
   * @default {30000}
   */
  sslShutdownTimeout?: number | undefined;
}

/** The TLS options of servers. */
export interface ServerSSLOptions extends SSLTimeoutOptions {
  /** TLS with this context, which needs a certificate; no TLS by default. */
  ssl?: SSLContext | false | null | undefined;
}

/** The TLS options of connections. */
export interface ClientSSLOptions extends SSLTimeoutOptions {
  /** TLS with this context, or with the default one if `true`; no TLS by default. */
  ssl?: SSLContext | boolean | null | undefined;
  /**
   * The host that the server's certificate has to be for, and that is asked for by SNI; the host
   * connected to by default. Names that are not ASCII are translated (IDNA).
   */
  serverHostname?: string | undefined;
}

/** The options of an upgrade to TLS. */
export interface StartTlsOptions extends SSLTimeoutOptions, WaitOptions {
  /** On the client: the host that the server's certificate has to be for. */
  serverHostname?: string | undefined;
  /**
   * Ends the upgrade: it is rejected with the signal's reason, and the connection is lost, for what
   * is half upgraded can't go on. Once the promise has settled it has no effect.
   */
  signal?: AbortSignal | undefined;
}

/** What a TLS handshake needs to know. */
export interface TlsPlan {
  /** Whether this side is the server. */
  readonly serverSide: boolean;
  /** What it trusts, shows and asks for. */
  readonly context: SSLContext;
  /** The server's name, on the client, in ASCII. */
  readonly serverHostname: string | null;
  /** How long the handshake may take, in ms. */
  readonly handshakeTimeout: number;
  /** How long the goodbye may take, in ms. */
  readonly shutdownTimeout: number;
  /** Ends the handshake, where it has a signal of its own. */
  readonly signal?: AbortSignal | undefined;
}

/** What is used without an {@linkcode SSLContext}. */
const DEFAULT: SSLContext = Object.freeze({});

/**
 * Checks a client's options.
 *
 * @param options The options.
 * @param host The host connected to, or `null` where there is none.
 * @returns What to do, or `null` for no TLS.
 */
export function planClient(options: ClientSSLOptions, host: string | null): TlsPlan | null {
  const { ssl, serverHostname } = options;
  if (!isOn(options, ssl)) {
    if (serverHostname !== undefined) throw new RangeError("serverHostname needs ssl");
    return null;
  }
  const context = ssl === true ? DEFAULT : checkContext(ssl);
  if (context.rejectUnauthorized === false && context.checkHostname === true) {
    throw new RangeError("checkHostname needs rejectUnauthorized: no name is sure without it");
  }
  const name = serverHostname === undefined
    ? host
    : serverHostname === ""
    ? null
    : checkHost("serverHostname", serverHostname);
  const serverName = name === null ? null : asciiName(name);
  if (name !== null && serverName === null) {
    throw new RangeError(`serverHostname is a host, not ${show(name)}`);
  }
  const unchecked = context.checkHostname === false || context.rejectUnauthorized === false;
  if (name === null && !unchecked) {
    throw new RangeError(
      "serverHostname is needed to check the server's certificate (or checkHostname: false)",
    );
  }
  checkedCertificates(context);
  return { serverSide: false, context, serverHostname: serverName, ...timeouts(options) };
}

/**
 * Checks a server's options.
 *
 * @param options The options.
 * @returns What to do, or `null` for no TLS.
 */
export function planServer(options: ServerSSLOptions): TlsPlan | null {
  const { ssl } = options;
  if (!isOn(options, ssl)) return null;
  if (ssl as unknown === true) {
    throw new TypeError("a server's ssl is an SSLContext: it needs a certificate to show");
  }
  const context = checkServerContext(ssl);
  return { serverSide: true, context, serverHostname: null, ...timeouts(options) };
}

/**
 * Checks a server's context. It may be changed while the server runs, so it is checked for each
 * connection, too.
 */
export function checkServerContext(ssl: unknown): SSLContext {
  const context = checkContext(ssl);
  if (context.cert === undefined && context.sni === undefined) {
    throw new RangeError("a TLS server needs a certificate: cert and key, or sni");
  }
  if (context.requestCert === true && context.caCerts === undefined) {
    throw new RangeError("requestCert needs caCerts, the authorities of clients' certificates");
  }
  checkedCertificates(context);
  return context;
}

/** Checks the options of an upgrade. */
export function planUpgrade(
  ssl: SSLContext | true,
  serverSide: boolean,
  options: StartTlsOptions,
): TlsPlan {
  if (typeof ssl !== "object" && ssl !== true || ssl === null) {
    throw new TypeError(`startTls() takes an SSLContext, not ${brief(ssl)}`);
  }
  const { signal, ...rest } = options;
  checkSignal(signal);
  if (!serverSide) return { ...planClient({ ...rest, ssl }, null)!, signal };
  if (rest.serverHostname !== undefined) throw new RangeError("serverHostname is for clients");
  return { ...planServer({ ...rest, ssl: ssl as SSLContext })!, signal };
}

function isOn(options: SSLTimeoutOptions, ssl: unknown): boolean {
  if (ssl !== undefined && ssl !== null && ssl !== false) return true;
  for (const name of ["sslHandshakeTimeout", "sslShutdownTimeout"] as const) {
    if (options[name] !== undefined) throw new RangeError(`${name} needs ssl`);
  }
  return false;
}

function timeouts(options: SSLTimeoutOptions) {
  const { sslHandshakeTimeout = 60_000, sslShutdownTimeout = 30_000 } = options;
  return {
    handshakeTimeout: checkTimeout("sslHandshakeTimeout", sslHandshakeTimeout),
    shutdownTimeout: checkTimeout("sslShutdownTimeout", sslShutdownTimeout),
  };
}

function checkTimeout(name: string, value: unknown): number {
  const ms = checkNumber(name, value, 0);
  if (ms === 0) throw new RangeError(`${name} must be above 0, got ${show(value)}`);
  return Math.min(ms, LONGEST_TIMER);
}
