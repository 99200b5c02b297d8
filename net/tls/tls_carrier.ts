/**
 * TLS as a carrier over any carrier.
 *
 * @module
 */
import type { TLSSocket } from "node:tls";
import { formatAddr } from "../addresses.ts";
import type { Carrier } from "../carrier.ts";
import type { CarrierDuplex } from "../carrier_duplex.ts";
import { DuplexCarrier } from "../duplex_carrier.ts";
import { leave } from "../linger.ts";
import { nextTurn } from "../turn.ts";
import { failureOf } from "./failures.ts";
import type { TlsPlan } from "./plan.ts";

/** Three records: the engine encrypts and sends so many bytes at a time. */
const WRITE_SIZE = 65_536;

/** How a {@linkcode TlsCarrier} is made. */
export interface TlsCarrierInit {
  /** The engine, its handshake done. */
  socket: TLSSocket;
  /** The stream between the engine and the inner carrier. */
  duplex: CarrierDuplex;
  /** What carries the ciphertext. */
  inner: Carrier;
  /** Which side this is, and what it wants. */
  plan: TlsPlan;
  /** What is known of the connection. */
  extraInfo: Readonly<Record<string, unknown>>;
}

/** A connection after its TLS handshake. It reads ciphertext only when cleartext is asked for. */
export class TlsCarrier extends DuplexCarrier {
  /** TLS has no half-close that peers understand. */
  readonly canCloseWrite = false;
  /** See {@linkcode Carrier.extraInfo}. */
  readonly extraInfo: Readonly<Record<string, unknown>>;
  readonly #inner: Carrier;
  readonly #duplex: CarrierDuplex;
  readonly #plan: TlsPlan;
  /** Cleartext has come. */
  #heard = false;
  /** A read of the inner carrier that is under way. */
  #pulling: Promise<boolean> | null = null;
  /** {@linkcode TlsCarrier.goodbye} was called. */
  #leaving = false;

  /** Makes a carrier. */
  constructor(init: TlsCarrierInit) {
    super(init.socket, init.inner);
    this.extraInfo = init.extraInfo;
    this.#inner = init.inner;
    this.#duplex = init.duplex;
    this.#plan = init.plan;
    // Only what is asked for comes in at all, so the engine may always flow.
    init.socket.resume();
  }

  protected override arrived(): void {
    this.#heard = true;
  }

  #failure(error: unknown): unknown {
    // In TLS 1.3 a server judges a client when that has been through with its handshake for long.
    const isJudging = !this.#plan.serverSide && !this.#heard;
    return failureOf(error, { peer: this.remoteAddr, isTls: true, isJudging });
  }

  protected override fail(error: unknown): void {
    super.fail(this.#failure(error));
  }

  /** Reports that sending ciphertext failed: what the peer said before it left can still be read. */
  writeFailed(error: unknown): void {
    this.failWrites(this.#failure(error));
  }

  protected override ask(): void {
    if (this.#pulling !== null || this.#leaving) return;
    this.#pulling = this.#duplex.pull();
    this.#pulling.then(this.#onPulled, this.#onPullFailed);
  }

  readonly #onPulled = (more: boolean): void => {
    this.#pulling = null;
    if (!more) this.#innerEnded();
    else if (this.waiting) this.ask();
  };

  readonly #onPullFailed = (error: unknown): void => {
    this.#pulling = null;
    this.fail(error);
  };

  async #innerEnded(): Promise<void> {
    // A goodbye that came before the end is told in this turn.
    await nextTurn();
    if (this.ended || this.failed) return;
    if (this.#plan.context.suppressRaggedEofs === true) return this.end();
    const peer = formatAddr(this.remoteAddr);
    const message = `the connection with ${peer} was cut: no TLS goodbye came`;
    // The peer may read on.
    this.failReads(new Deno.errors.UnexpectedEof(message));
  }

  override write(data: Uint8Array): Promise<number> {
    return super.write(data.length > WRITE_SIZE ? data.subarray(0, WRITE_SIZE) : data);
  }

  override closeWrite(): Promise<void> {
    return Promise.reject(new Deno.errors.NotSupported("TLS has no half-close"));
  }

  /**
   * Sends the TLS goodbye. The peer's own goodbye is not waited for: a peer that is busy elsewhere
   * may never send it. Ciphertext that nobody read is taken in as it is: see {@linkcode leave}. All
   * of that takes the shutdown timeout at most: a peer that does not read, or does not stop sending,
   * can hold it up.
   */
  async goodbye(): Promise<void> {
    if (this.failed) return;
    this.#leaving = true;
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, this.#plan.shutdownTimeout);
    try {
      await Promise.race([this.#depart(), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  async #depart(): Promise<void> {
    await this.#sayGoodbye();
    if (this.ended) return;
    await leave(this.#inner, { pending: this.#pulling?.then((more) => more || null) });
  }

  async #sayGoodbye(): Promise<void> {
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    this.stream.end(resolve);
    await ended;
    await nextTurn();
    await this.#duplex.written;
  }

  override close(): void {
    super.close();
    this.#inner.close();
  }
}
