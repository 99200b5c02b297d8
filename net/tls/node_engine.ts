/**
 * TLS handshakes by `node:tls`, over any carrier.
 *
 * It imports `node:tls`, which takes 20 ms and 9 MiB: load it only when it is needed.
 *
 * @module
 */
import { isIP } from "node:net";
import tls, { type TLSSocket } from "node:tls";
import { formatAddr } from "../addresses.ts";
import type { Carrier } from "../carrier.ts";
import { CarrierDuplex } from "../carrier_duplex.ts";
import { leave } from "../linger.ts";
import { explain } from "../os_error.ts";
import { PrefixedCarrier, type ReadAhead } from "../prefixed_carrier.ts";
import { nextTurn } from "../turn.ts";
import type { SSLContext } from "./context.ts";
import { chainFor, checkedCertificates, credentials } from "./credentials.ts";
import { SSLError, sslError, type SSLErrorReason } from "./errors.ts";
import { examine } from "./examine.ts";
import { failureOf, isSystemError } from "./failures.ts";
import { isCertificate, type PeerCertificate } from "./peer_cert.ts";
import { checkServerContext, type TlsPlan } from "./plan.ts";
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
/** The alert for what is nobody's fault but this side's. */
const INTERNAL_ERROR = 80;

/** A record that nobody sends after the handshake: ChangeCipherSpec. */
const OUT_OF_PLACE = Uint8Array.of(20, 3, 3, 0, 1, 1);

/** What a handshake is given beside its plan. */
export interface HandshakeOptions {
  /** Ends it. */
  signal?: AbortSignal | undefined;
  /** What was read of the carrier already: it is the engine's first input. */
  ahead?: ReadAhead | undefined;
  /**
   * What has to be over before the first byte of TLS, such as sending what was written in the clear.
   * The handshake's time runs meanwhile. What it is rejected with ends the handshake.
   */
  after?: Promise<unknown> | undefined;
}

/**
 * Does a handshake.
 *
 * @param inner What carries the ciphertext; it is closed if the handshake fails.
 * @param plan Which side this is, and what it wants.
 * @param options How it begins and ends.
 */
export function shakeHands(
  inner: Carrier,
  plan: TlsPlan,
  { ahead, ...options }: HandshakeOptions,
): Promise<Carrier> {
  const carrier = ahead === undefined ? inner : new PrefixedCarrier(inner, ahead);
  return new Handshake(carrier, plan).run(options);
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
  /** An alert of this side's own is on its way. */
  #alerted = false;
  /** A read of the inner carrier is under way. */
  #pulling = false;
  /** The peer is a server that has shown its certificate, and this side does not refuse it. */
  #judged = false;
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

  async run({ signal, after }: HandshakeOptions): Promise<TlsCarrier> {
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
      else if (after === undefined) this.#start();
      else after.then(() => this.#start(), (error) => this.#fail(error));
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
    if (this.#settled) return;
    try {
      if (this.#plan.serverSide) this.#serve();
      else this.#connect();
    } catch (error) {
      this.#giveUp(error, INTERNAL_ERROR, true);
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
      this.#pulling = false;
      this.#broke(error);
    }
  }

  /** Ends it with what a read failed with, or the engine over what was read. */
  #broke(error: unknown): void {
    const socket = this.#socket;
    const fault = socket === null ? null : readingFault(socket);
    if (fault === null) return this.#fail(error);
    const peer = this.#inner.remoteAddr;
    this.#refuseLate(socket!, sslError("BAD_CERTIFICATE", peer, fault.message, fault));
  }

  #connect(): void {
    const { context, serverHostname } = this.#plan;
    checkedCertificates(context);
    const named = serverHostname !== null && isIP(serverHostname) === 0;
    const socket = this.#socket = tls.connect({
      socket: this.#duplex,
      ...credentials(context),
      ...named && { servername: serverHostname.replace(/\.$/, "") },
      ...context.alpnProtocols && { ALPNProtocols: [...context.alpnProtocols] },
      // Whether to go on is decided by examine(): that can say what is wrong.
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
    checkServerContext(context);
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
    const { peercert, refusal } = examine(socket, this.#plan, this.#inner.remoteAddr, verdict);
    if (refusal !== null) return this.#refuseLate(socket, refusal);
    this.#settled = true;
    this.#carrier = new TlsCarrier({
      socket,
      duplex: this.#duplex,
      inner: this.#inner,
      plan: this.#plan,
      extraInfo: this.#extraInfo(socket, peercert),
    });
    this.#outcome.resolve(this.#carrier);
  }

  /**
   * Refuses a server of TLS 1.2 while it still takes an alert in the clear. Whether it is refused
   * does not depend on it: what Deno doesn't say here, it says after the handshake.
   */
  #lookEarly(socket: TLSSocket): void {
    if (this.#judged || !hasShown(socket)) return;
    const { ssl } = socket as unknown as { ssl?: { verifyError?(): unknown } | null };
    const verdict = ssl?.verifyError?.();
    const peer = this.#inner.remoteAddr;
    const { refusal } = examine(socket, this.#plan, peer, verdict ? String(verdict) : null);
    if (refusal !== null) this.#refuse(refusal, true);
    else this.#judged = true;
  }

  /** Refuses the peer when the engine is through with the handshake. */
  #refuseLate(socket: TLSSocket, refusal: SSLError): void {
    socket.on("error", (error) => this.#fail(error)); // Which is over: what it says is no news.
    // The one who sends its `Finished` second still holds it.
    const last = this.#plan.serverSide ? "TLSv1.2" : "TLSv1.3";
    this.#refuse(refusal, socket.getProtocol() === last);
  }

  /**
   * Refuses the peer in place of the engine, which knows no way to send a certain alert. The peer
   * takes one in the clear as long as nothing has come to it that was encrypted for good: the
   * engine's answer, which is still held back, would be the first. Later the engine has to be made
   * to send an alert of its own, by a record that is out of place: "unexpected message".
   */
  #refuse(error: SSLError, inClear: boolean): void {
    this.#giveUp(error, ALERTS[error.reason]!, inClear);
  }

  #giveUp(error: unknown, alert: number, inClear: boolean): void {
    if (this.#settled) return;
    if (inClear) this.#duplex.endWith(Uint8Array.of(21, 3, 3, 0, 2, 2, alert));
    else queueMicrotask(() => this.#duplex.push(OUT_OF_PLACE));
    this.#alerted = true;
    this.#fail(error);
  }

  #extraInfo(
    socket: TLSSocket,
    peercert: PeerCertificate | null,
  ): Readonly<Record<string, unknown>> {
    const { name, version } = socket.getCipher();
    const inner = this.#inner;
    return {
      socket: inner,
      ...inner.extraInfo,
      sslcontext: this.#plan.context,
      ssl_object: socket,
      peercert,
      cipher: [name, version, /AES_?128/.test(name) ? 128 : 256],
      compression: null,
      alpn_protocol: socket.alpnProtocol || null,
    };
  }

  /** Ends it with what the engine, or the inner carrier, failed with. */
  #fail(error: unknown): void {
    const peer = this.#inner.remoteAddr;
    const { firstByte } = this.#duplex;
    // The types of TLS's records are 20 to 23.
    const isTls = firstByte === null || firstByte >= 20 && firstByte <= 23;
    const known = failureOf(error, { peer, isTls, isJudging: this.#judged });
    this.#end(isSystemError(known) ? explain(`TLS with ${formatAddr(peer)} failed`, known) : known);
  }

  #end(error: unknown): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#outcome.reject(error);
  }

  /** Tells the peer why, where that can be, and closes. */
  async #leave(error: unknown): Promise<void> {
    const engineTells = error instanceof SSLError && error.reason !== "HANDSHAKE_TIMEOUT";
    if (engineTells || this.#alerted) {
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
      try {
        const chain = chainFor(name, context.sni!);
        if (chain !== undefined || context.cert !== undefined) {
          return done(null, tls.createSecureContext(credentials({ ...context, ...chain })));
        }
        const peer = this.#inner.remoteAddr;
        this.#refuse(sslError("UNRECOGNIZED_NAME", peer, JSON.stringify(name)), true);
      } catch (error) {
        this.#giveUp(error, INTERNAL_ERROR, true);
      }
    };
  }
}

type SniCallback = (
  name: string,
  done: (error: Error | null, context?: tls.SecureContext) => void,
) => void;

/** Whether the peer has shown a certificate, or something in place of one. */
function hasShown(socket: TLSSocket): boolean {
  try {
    return isCertificate(socket.getPeerCertificate(true));
  } catch {
    return true;
  }
}

/** Why the certificates that the peer has shown can't be read; `null` if they can. */
function readingFault(socket: TLSSocket): Error | null {
  try {
    socket.getPeerCertificate(true);
    return null;
  } catch (error) {
    return error as Error;
  }
}
