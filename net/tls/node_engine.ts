/**
 * TLS handshakes by `node:tls`, over any carrier.
 *
 * It imports `node:tls`, which takes 20 ms and 9 MiB: load it only when it is needed.
 *
 * @module
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import tls, { type PeerCertificate, type SecureContextOptions, type TLSSocket } from "node:tls";
import { formatAddr } from "../addresses.ts";
import type { Carrier } from "../carrier.ts";
import { CarrierDuplex } from "../carrier_duplex.ts";
import { leave } from "../linger.ts";
import { explain } from "../os_error.ts";
import { nextTurn } from "../turn.ts";
import type { CertChain, SSLContext } from "./context.ts";
import { SSLError, sslError, type SSLErrorReason } from "./errors.ts";
import { failureOf, isSystemError, verdictOf } from "./failures.ts";
import type { TlsPlan } from "./plan.ts";
import { isCertificate, peerCertOf } from "./peer_cert.ts";
import { TlsCarrier } from "./tls_carrier.ts";

/** How long telling the peer of a failure may take, in ms. */
const ALERT_LIMIT = 1_000;
/** The alerts for what is refused here and not by the engine, which sends its own: OpenSSL's. */
const ALERTS: Partial<Record<SSLErrorReason, number>> = {
  NO_CERTIFICATE: 40,
  WRONG_HOST: 42,
  BAD_CERTIFICATE: 42,
  NOT_YET_VALID: 42,
  EXPIRED: 45,
  UNKNOWN_AUTHORITY: 48,
  UNRECOGNIZED_NAME: 112,
};

/** A record that nobody sends after the handshake: ChangeCipherSpec. */
const OUT_OF_PLACE = Uint8Array.of(20, 3, 3, 0, 1, 1);

/** Checks that certificates can be read and that keys belong to them. */
export function checkCertificates(context: SSLContext): void {
  const { caCerts = [], cert, key, sni = {} } = context;
  for (const text of caCerts) readable("caCerts", () => new X509Certificate(text));
  if (cert !== undefined) checkPair("", cert, key!);
  for (const [host, chain] of Object.entries(sni)) {
    checkPair(`sni[${JSON.stringify(host)}].`, chain.cert, chain.key);
  }
}

function checkPair(prefix: string, cert: string, key: string): void {
  const certificate = readable(`${prefix}cert`, () => new X509Certificate(cert));
  const privateKey = readable(`${prefix}key`, () => createPrivateKey(key));
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new RangeError(`${prefix}key does not belong to ${prefix}cert`);
  }
}

function readable<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new RangeError(`${name} can't be read: ${(cause as Error).message}`, { cause });
  }
}

/**
 * Does a handshake.
 *
 * @param inner What carries the ciphertext; it is closed if the handshake fails.
 * @param plan Which side this is, and what it wants.
 * @param signal Ends the handshake.
 */
export function shakeHands(inner: Carrier, plan: TlsPlan, signal?: AbortSignal): Promise<Carrier> {
  return new Handshake(inner, plan).run(signal);
}

/** One handshake, from the first byte to its outcome. */
class Handshake {
  readonly #inner: Carrier;
  readonly #plan: TlsPlan;
  readonly #duplex: CarrierDuplex;
  readonly #outcome = Promise.withResolvers<TlsCarrier>();
  /** The peer need not be told any more. */
  readonly #late = Promise.withResolvers<void>();
  #settled = false;
  /** A read of the inner carrier is under way. */
  #pulling = false;
  #socket: TLSSocket | null = null;
  #carrier: TlsCarrier | null = null;

  constructor(inner: Carrier, plan: TlsPlan) {
    this.#inner = inner;
    this.#plan = plan;
    this.#duplex = new CarrierDuplex(inner, (error) => {
      if (this.#carrier === null) this.#fail(error);
      else this.#carrier.writeFailed(error);
    });
  }

  async run(signal: AbortSignal | undefined): Promise<TlsCarrier> {
    const peer = this.#inner.remoteAddr;
    const abort = () => {
      this.#end(signal!.reason);
      this.#late.resolve();
    };
    const late = () => this.#fail(sslError("HANDSHAKE_TIMEOUT", peer));
    const timer = setTimeout(late, this.#plan.handshakeTimeout);
    signal?.addEventListener("abort", abort);
    try {
      if (signal?.aborted) abort();
      else this.#start();
      return await this.#outcome.promise;
    } catch (error) {
      await this.#leave(error);
      throw error;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    }
  }

  #start(): void {
    try {
      if (this.#plan.serverSide) this.#serve();
      else this.#connect();
    } catch (error) {
      this.#fail(error);
    }
    this.#pull();
  }

  /** Feeds the engine until it has an outcome. */
  async #pull(): Promise<void> {
    try {
      while (!this.#settled) {
        this.#pulling = true;
        const more = await this.#duplex.pull();
        this.#pulling = false;
        if (more) continue;
        // An alert that came before the end is told in this turn.
        await nextTurn();
        this.#fail(sslError("UNEXPECTED_EOF", this.#inner.remoteAddr));
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  #connect(): void {
    const { context, serverHostname } = this.#plan;
    const named = serverHostname !== null && isIP(serverHostname) === 0;
    const socket = this.#socket = tls.connect({
      socket: this.#duplex,
      ...credentials(context),
      ...named && { servername: serverHostname.replace(/\.$/, "") },
      ...context.alpnProtocols && { ALPNProtocols: [...context.alpnProtocols] },
      // Whether to go on is decided in #refusal(): that can say what is wrong.
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
    });
    socket.on("error", (error) => this.#fail(error));
    socket.once("secureConnect", () => this.#secured(socket));
    const look = () => this.#settled ? this.#duplex.off("data", look) : this.#lookEarly(socket);
    this.#duplex.on("data", look);
  }

  #serve(): void {
    const { context } = this.#plan;
    const server = tls.createServer({
      ...credentials(context),
      ...context.alpnProtocols && { ALPNProtocols: [...context.alpnProtocols] },
      ...context.sni && { SNICallback: this.#chooseCertificate(context) },
      requestCert: context.requestCert === true,
      rejectUnauthorized: false, // As above.
    });
    server.once("secureConnection", (socket) => this.#secured(socket));
    server.on("tlsClientError", (error, socket) => {
      this.#socket ??= socket;
      this.#fail(error);
    });
    server.emit("connection", this.#duplex);
  }

  #secured(socket: TLSSocket): void {
    if (this.#settled) return;
    this.#socket = socket;
    const verdict = socket.authorized ? null : String(socket.authorizationError);
    const refusal = this.#refusal(socket.getPeerCertificate(true), verdict);
    if (refusal !== null) {
      socket.on("error", (error) => this.#fail(error)); // Which is over: what it says is no news.
      // The one who sends its `Finished` second still holds it.
      const last = this.#plan.serverSide ? "TLSv1.2" : "TLSv1.3";
      return this.#refuse(refusal, socket.getProtocol() === last);
    }
    this.#settled = true;
    this.#carrier = new TlsCarrier({
      socket,
      duplex: this.#duplex,
      inner: this.#inner,
      shutdownTimeout: this.#plan.shutdownTimeout,
      extraInfo: this.#extraInfo(socket),
    });
    this.#outcome.resolve(this.#carrier);
  }

  /**
   * Refuses a server of TLS 1.2 while it still takes an alert in the clear. Whether it is refused
   * does not depend on it: what Deno doesn't say here, it says after the handshake.
   */
  #lookEarly(socket: TLSSocket): void {
    const cert = socket.getPeerCertificate(true);
    const { ssl } = socket as unknown as { ssl?: { verifyError?(): unknown } | null };
    const verdict = ssl?.verifyError?.();
    const refusal = isCertificate(cert)
      ? this.#refusal(cert, verdict ? String(verdict) : null)
      : null;
    if (refusal !== null) this.#refuse(refusal, true);
  }

  /** What is wrong with the peer's certificate, if anything is; `verdict` is the engine's. */
  #refusal(cert: PeerCertificate, verdict: string | null): SSLError | null {
    const { context, serverSide, serverHostname } = this.#plan;
    if (context.rejectUnauthorized === false) return null;
    if (serverSide && context.requestCert !== true) return null;
    const peer = this.#inner.remoteAddr;
    if (!isCertificate(cert)) return sslError("NO_CERTIFICATE", peer);
    if (verdict !== null) return sslError(verdictOf(verdict, cert), peer, verdict);
    if (serverSide || context.checkHostname === false) return null;
    if (!cert.subjectaltname) {
      return sslError(
        "WRONG_HOST",
        peer,
        "it has no subjectAltName, which is where hosts are named",
      );
    }
    const mismatch = tls.checkServerIdentity(serverHostname!, cert);
    return mismatch === undefined ? null : sslError("WRONG_HOST", peer, mismatch.message, mismatch);
  }

  /**
   * Refuses the peer in place of the engine, which knows no way to send a certain alert. The peer
   * takes one in the clear as long as nothing has come to it that was encrypted for good: the
   * engine's answer, which is still held back, would be the first. Later the engine has to be made
   * to send an alert of its own, by a record that is out of place: "unexpected message".
   */
  #refuse(error: SSLError, inClear: boolean): void {
    const alert = Uint8Array.of(21, 3, 3, 0, 2, 2, ALERTS[error.reason]!);
    if (inClear) this.#duplex.endWith(alert);
    else queueMicrotask(() => this.#duplex.push(OUT_OF_PLACE));
    this.#fail(error);
  }

  #extraInfo(socket: TLSSocket): Readonly<Record<string, unknown>> {
    const { name, version } = socket.getCipher();
    const inner = this.#inner;
    return {
      socket: inner,
      ...inner.extraInfo,
      sslcontext: this.#plan.context,
      ssl_object: socket,
      peercert: peerCertOf(socket.getPeerCertificate()),
      cipher: [name, version, /AES_?128/.test(name) ? 128 : 256],
      compression: null,
      alpn_protocol: socket.alpnProtocol || null,
    };
  }

  /** Ends it with what the engine, or the inner carrier, failed with. */
  #fail(error: unknown): void {
    const peer = this.#inner.remoteAddr;
    const known = failureOf(error, peer);
    this.#end(isSystemError(known) ? explain(`TLS with ${formatAddr(peer)} failed`, known) : known);
  }

  #end(error: unknown): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#outcome.reject(error);
  }

  /** Tells the peer why, where that can be, and closes. */
  async #leave(error: unknown): Promise<void> {
    if (error instanceof SSLError && error.reason !== "HANDSHAKE_TIMEOUT") {
      const timer = setTimeout(this.#late.resolve, ALERT_LIMIT);
      await Promise.race([this.#lastWords(), this.#late.promise]);
      clearTimeout(timer);
    }
    this.#socket?.destroy();
    this.#duplex.release();
    try {
      this.#inner.close();
    } catch {
      // Whoever ended the handshake has closed it.
    }
  }

  /** Sees to it that the peer gets the alert. */
  async #lastWords(): Promise<void> {
    await nextTurn(); // The engine hands its own over a moment after its error.
    await this.#duplex.written;
    // With a read under way nothing unread is at hand, for which closing would reset the connection.
    if (!this.#pulling) await leave(this.#inner);
  }

  /** Chooses the certificate for the host name that a client asks for. */
  #chooseCertificate(context: SSLContext): SniCallback {
    return (name, done) => {
      const chain = chainFor(name.toLowerCase(), context.sni!);
      if (chain === undefined && context.cert === undefined) {
        const peer = this.#inner.remoteAddr;
        return this.#refuse(sslError("UNRECOGNIZED_NAME", peer, JSON.stringify(name)), true);
      }
      done(null, tls.createSecureContext(credentials({ ...context, ...chain })));
    };
  }
}

type SniCallback = (
  name: string,
  done: (error: Error | null, context?: tls.SecureContext) => void,
) => void;

/** The certificate for a host name: its own, or one for all beneath the same domain. */
function chainFor(host: string, sni: NonNullable<SSLContext["sni"]>): CertChain | undefined {
  const find = (name: string) =>
    Object.entries(sni).find(([key]) => key.toLowerCase() === name)?.[1];
  return find(host) ?? find(host.replace(/^[^.]*/, "*"));
}

function credentials(context: SSLContext): SecureContextOptions {
  const { caCerts, cert, key, minVersion = "TLSv1.2", maxVersion = "TLSv1.3" } = context;
  return {
    minVersion,
    maxVersion,
    ...caCerts && { ca: [...caCerts] },
    ...cert !== undefined && { cert, key: key! },
  };
}
