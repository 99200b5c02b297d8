/**
 * A Node stream over a carrier, for engines that want one, such as `node:tls`.
 *
 * It imports `node:stream`: load it only when it is needed.
 *
 * @module
 */
import { Duplex } from "node:stream";
import type { Carrier } from "./carrier.ts";

/** The sizes of a receive buffer, in bytes: for who waits, and for bulk. */
const SMALLEST = 2_048;
const LARGEST = 65_792;
/** After this many small pieces in a row, the buffer becomes small again. */
const CALM = 4;

/** What Deno's TLS engine writes: memory that is not shared. */
type Piece = Uint8Array<ArrayBuffer>;

/**
 * A Node stream that receives only when {@linkcode CarrierDuplex.pull} says so.
 *
 * Node's own back-pressure ends at an engine that takes whatever comes, so whoever reads the
 * engine asks here. The carrier stays its owner's to close.
 */
export class CarrierDuplex extends Duplex {
  readonly #carrier: Carrier;
  readonly #failed: (error: unknown) => void;
  #buffer = new Uint8Array(SMALLEST);
  /** How many pieces in a row were small. */
  #calm = 0;
  /** All writes so far. */
  #written: Promise<void> = Promise.resolve();
  /** {@linkcode endWith} was called. */
  #ended = false;
  #firstByte: number | null = null;

  /**
   * Makes a stream.
   *
   * @param carrier What carries the bytes.
   * @param failed Told when writing fails; the stream itself stays silent.
   */
  constructor(carrier: Carrier, failed: (error: unknown) => void) {
    super({ allowHalfOpen: true, autoDestroy: false });
    this.#carrier = carrier;
    this.#failed = failed;
  }

  /** The first byte that came, or `null`. */
  get firstByte(): number | null {
    return this.#firstByte;
  }

  /** Settles when all that was written so far has left, or can't. */
  get written(): Promise<void> {
    return this.#written;
  }

  /** Nothing: {@linkcode pull} reads. */
  override _read(): void {}

  /** Sends a piece, and gives its memory back. */
  override _write(chunk: Piece, _encoding: string, done: () => void): void {
    if (this.#ended) return done();
    this.#written = sendAll(this.#carrier, chunk).then(() => {
      giveBack(chunk);
      done();
    }, this.#failed);
  }

  /** Sends `bytes` behind what is on its way, and drops what is written from now on. */
  endWith(bytes: Uint8Array): void {
    this.#ended = true;
    this.#written = this.#written.then(() => sendAll(this.#carrier, bytes)).catch(this.#failed);
  }

  /** Nothing: an engine that fails ends its stream before it hands over the alert that says why. */
  override destroy(): this {
    return this;
  }

  /** Ends the stream; the carrier stays open. */
  release(): void {
    super.destroy();
  }

  /**
   * Reads once and passes on what came.
   *
   * @returns Whether something came; `false` at the end.
   */
  async pull(): Promise<boolean> {
    const buffer = this.#buffer;
    const n = await this.#carrier.read(buffer);
    if (n === null) return false;
    this.#firstByte ??= buffer[0]!;
    this.push(buffer.subarray(0, n));
    // Whoever listens to "data" has copied the bytes by now; otherwise the stream keeps them.
    const kept = this.readableLength > 0;
    const size = this.#nextSize(n);
    if (kept || size !== buffer.length) this.#buffer = new Uint8Array(size);
    return true;
  }

  #nextSize(n: number): number {
    const { length } = this.#buffer;
    this.#calm = n <= SMALLEST / 2 ? this.#calm + 1 : 0;
    if (this.#calm >= CALM) return SMALLEST;
    return n === length ? Math.min(length * 8, LARGEST) : length;
  }
}

/**
 * Frees the memory of a piece that has all of its buffer to itself: Deno's TLS engine makes a copy
 * for each write and keeps none. Left to the garbage collector, an echo of 64 KiB messages over TLS
 * takes 9 % more of the processor.
 */
function giveBack({ buffer, byteLength }: Piece): void {
  if (byteLength === buffer.byteLength) buffer.transfer(0);
}

/** Writes all of `data`. */
async function sendAll(carrier: Carrier, data: Uint8Array): Promise<void> {
  for (let sent = 0; sent < data.length;) {
    sent += await carrier.write(sent === 0 ? data : data.subarray(sent));
  }
}
