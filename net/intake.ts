/**
 * The receiving half of a stream: a read buffer, where its bytes come from, and how they end.
 *
 * @module
 */
import { type Carrier, readFrom } from "./carrier.ts";
import { ReadBuffer } from "./read_buffer.ts";
import type { ReadTransport } from "./transports.ts";
import { unheeded } from "./waiters.ts";

const HERE = Symbol("the intake's own buffer");

/** Where an intake gets more bytes from: a transport, asked only when a read can't be answered. */
export interface IntakeSource {
  /** What to read from. */
  readonly carrier: Carrier;
  /** Called before a wait: sends what was written. `false` means not to read now. */
  beforeRead(): boolean;
  /**
   * Called when the carrier says that no more comes.
   *
   * @returns An error if that is not the regular end, or `null`.
   */
  readEnded(): unknown;
  /** Called when a read of the carrier failed. */
  readFailed(error: unknown): void;
}

/** A read that is still under way when an intake gives up its source: the bytes, or `null` at EOF. */
export type PendingRead = Promise<Uint8Array | null>;

/** Bytes that came and were not taken, and what becomes of those to come. */
export abstract class Intake extends ReadBuffer {
  /** No more bytes come. */
  eof = false;
  /** Why no more bytes come, where it is an error; it counts once the bytes before it can't answer. */
  fault: unknown = null;
  /** Where bytes come from; `null` when they are fed by hand. */
  source: IntakeSource | null = null;
  /** How many reads of carriers have been answered. */
  reads = 0;
  /** What the read under way stores in: this buffer, or the reader's memory. */
  #reading: typeof HERE | Uint8Array | null = null;
  /** How many bytes to take in though nobody reads them: see {@linkcode takeIn}. */
  protected ahead = 0;
  /** Who gets the read under way, since {@linkcode handOver}. */
  #heir: PromiseWithResolvers<Uint8Array | null> | null = null;

  /** A reader waits for more. */
  abstract get awaited(): boolean;

  /**
   * Called whenever bytes or the end have come.
   *
   * @param placed How many bytes have come in the memory that the reader gave.
   */
  protected abstract arrived(placed: number): void;

  /** Nothing more will come. */
  get ended(): boolean {
    return this.eof || this.fault !== null;
  }

  /** The read under way stores in the reader's memory. */
  get lent(): boolean {
    return this.#reading !== null && this.#reading !== HERE;
  }

  /**
   * Asks the source for more, unless that is under way.
   *
   * @param want How many bytes the reader would take, at the most.
   * @param target Where to store them, if not here; nothing may be buffered then.
   */
  pull(want: number, target: Uint8Array | null = null): void {
    const { source } = this;
    if (source === null || this.#reading !== null || this.ended || !source.beforeRead()) return;
    this.#reading = HERE;
    const { carrier } = source;
    const answer: Promise<unknown> = carrier.receive?.() ??
      readFrom(carrier, target === null ? this.space(want) : this.#reading = target);
    answer.then(this.#onAnswer, this.#onAnswer);
  }

  /** Goes on, for the reader that waits or {@linkcode takeIn}: the source reads again. */
  resume(): void {
    this.arrived(0);
    this.readAhead();
  }

  /** Reads ahead, if that was asked for and there is room. */
  protected readAhead(): void {
    if (this.length < this.ahead) this.pull(this.ahead);
  }

  /**
   * Reads ahead of the reader from now on, so that the end is seen though nobody reads.
   *
   * @param ahead How many bytes may be buffered, at the most.
   */
  takeIn(ahead: number): void {
    this.ahead = Math.max(this.ahead, ahead);
    this.readAhead();
  }

  /** Marks the end: an error, or `null` for a regular one. */
  end(error: unknown): void {
    if (this.ended) return;
    if (error === null) this.eof = true;
    else this.fault = error;
    this.arrived(0);
  }

  /** A transport gives up feeding its protocol by this intake: what its protocol feeds is all. */
  abstract pushedBy(transport: ReadTransport): void;

  /** Gives up the source; what is buffered stays. Returns the read that is still under way. */
  handOver(): PendingRead | null {
    this.source = null;
    if (this.#reading === null) return null;
    this.#heir ??= Promise.withResolvers();
    return unheeded(this.#heir.promise); // The heir may be long in coming, or never ask.
  }

  /**
   * What a read of the carrier comes to: how many bytes, the bytes, `null` at the end, or an error.
   *
   * A field, so that a wait makes no closure, and one for answers and errors, which saves each
   * connection 64 bytes of heap. `then` on the carrier's own promise instead of an `async` function takes a
   * ping-pong from 0.85 to 1.0 times a bare loop.
   */
  readonly #onAnswer = (answer: unknown): void => {
    const target = this.#reading === HERE ? null : this.#reading;
    this.#reading = null;
    this.reads++;
    if (this.#heir !== null) return this.#inherit(answer, target);
    let placed = 0;
    if (typeof answer === "number") {
      if (target === null) this.filled(answer);
      else if (this.length === 0) placed = answer;
      else this.append(target.subarray(0, answer)); // Behind what was fed by hand meanwhile.
    } else if (answer instanceof Uint8Array) this.adopt(answer as Uint8Array<ArrayBuffer>);
    else if (answer === null) this.end(this.source?.readEnded() ?? null);
    else {
      this.source?.readFailed(answer);
      if (!this.ended) return; // It will be, when the loss is told.
    }
    this.arrived(placed);
    this.readAhead();
  };

  #inherit(answer: unknown, target: Uint8Array | null): void {
    const heir = this.#heir!;
    this.#heir = null;
    if (typeof answer === "number") {
      heir.resolve(
        target === null ? this.lentBytes(answer) : new Uint8Array(target.subarray(0, answer)),
      );
    } else if (answer instanceof Uint8Array || answer === null) heir.resolve(answer);
    else heir.reject(answer);
    this.arrived(0);
  }
}
