/**
 * Reading for a protocol: what comes is pushed to it.
 *
 * @module
 */
import { readFrom } from "./carrier.ts";
import type { BaseProtocol, BufferedProtocol, Protocol } from "./protocols.ts";
import type { IntakeSource, PendingRead } from "./intake.ts";
import type { ReadAhead } from "./prefixed_carrier.ts";
import { ReadBuffer } from "./read_buffer.ts";
import { show } from "./validate.ts";
import { unheeded } from "./waiters.ts";

/** The largest piece a protocol is handed at once, in bytes: asyncio's. */
const PIECE = 262_144;

/** What a push loop needs of its transport. */
export interface PushSource extends IntakeSource {
  /** Whether data may be handed out: neither paused nor closing. */
  isReading(): boolean;
}

/** Reads a carrier for as long as its transport reads, and hands what comes to the protocol. */
export class PushLoop {
  readonly #source: PushSource;
  readonly #protocol: () => BaseProtocol;
  readonly #tell: (callback: () => void) => void;
  /** What came, in part while reading was paused. */
  readonly #buffer = new ReadBuffer();
  #reading = false;
  #delivering = false;
  #ended = false;
  /** The end came, and was not told yet: reading may be paused. */
  #endHeld = false;
  /** Who gets the read under way, since {@linkcode handOver}. */
  #heir: PromiseWithResolvers<Uint8Array | null> | null = null;

  /**
   * Makes a loop that does nothing before {@linkcode run}.
   *
   * @param source The transport.
   * @param protocol Tells the protocol in force.
   * @param tell Calls a callback of the protocol; it never throws.
   */
  constructor(
    source: PushSource,
    protocol: () => BaseProtocol,
    tell: (callback: () => void) => void,
  ) {
    this.#source = source;
    this.#protocol = protocol;
    this.#tell = tell;
  }

  /** Takes over a read of the carrier that is under way already. */
  adopt(read: PendingRead): void {
    this.#reading = true;
    read.then((bytes) => {
      if (bytes === null) return this.#onRead(null);
      this.#reading = false;
      if (this.#heir !== null) return this.#heir.resolve(bytes);
      this.#buffer.append(bytes);
      this.run();
    }, this.#onError);
  }

  /** Gives up for good. Returns what came and was not handed out, and the read under way. */
  handOver(): ReadAhead {
    const bytes = this.#buffer.take(this.#buffer.length);
    this.#ended = true;
    if (this.#endHeld) return { bytes, pending: Promise.resolve(null) };
    if (!this.#reading) return { bytes };
    this.#heir = Promise.withResolvers();
    // The heir may be long in coming, or never ask.
    return { bytes, pending: unheeded(this.#heir.promise) };
  }

  /** Goes on, if the transport reads; it may be called at any time. */
  run(): void {
    if (this.#delivering) return; // Called by what is delivered to: it goes on behind that.
    this.#deliver();
    if (this.#endHeld && this.#source.isReading()) this.#end();
    if (this.#reading || this.#ended || !this.#source.beforeRead()) return;
    this.#reading = true;
    readFrom(this.#source.carrier, this.#buffer.space(PIECE)).then(this.#onRead, this.#onError);
  }

  readonly #onRead = (n: number | null): void => {
    this.#reading = false;
    if (this.#heir !== null) {
      return this.#heir.resolve(n === null ? null : this.#buffer.lentBytes(n));
    }
    if (n === null) this.#endHeld = true;
    else this.#buffer.filled(n);
    this.run();
  };

  readonly #onError = (error: unknown): void => {
    this.#reading = false;
    if (this.#heir !== null) return this.#heir.reject(error);
    this.#source.readFailed(error);
  };

  #end(): void {
    this.#endHeld = false;
    this.#ended = true;
    this.#source.readEnded();
  }

  #deliver(): void {
    this.#delivering = true;
    while (this.#buffer.length > 0 && this.#source.isReading()) this.#tell(this.#handOut);
    this.#delivering = false;
  }

  /**
   * A protocol's own buffer is asked for only when there is something to put into it, and filled
   * at once: what else the protocol does with it meanwhile is not disturbed.
   */
  readonly #handOut = (): void => {
    const protocol: Protocol & BufferedProtocol = this.#protocol();
    if (protocol.getBuffer === undefined) {
      if (protocol.dataReceived === undefined && protocol.bufferUpdated !== undefined) {
        throw new TypeError("a protocol with bufferUpdated() needs getBuffer(), too");
      }
      const data = this.#buffer.take(this.#buffer.length);
      return protocol.dataReceived?.(data);
    }
    const buffer = protocol.getBuffer(-1);
    if (!(buffer instanceof Uint8Array)) {
      throw new TypeError(`getBuffer() returned ${show(buffer)}, not a Uint8Array`);
    }
    if (buffer.length === 0) throw new RangeError("getBuffer() returned an empty buffer");
    return protocol.bufferUpdated?.(this.#buffer.moveTo(buffer));
  };
}
