/**
 * The sending half of a stream: a write buffer, where its bytes go, and flow control.
 *
 * @module
 */
import { type Carrier, writeTo } from "./carrier.ts";
import { SendProgress } from "./send_progress.ts";
import { atTurnEnd, type TurnListener } from "./turn.ts";
import { unheeded } from "./waiters.ts";
import { WriteBuffer } from "./write_buffer.ts";
import { checkWriteBufferLimits, type Marks } from "./write_buffer_limits.ts";

/** What is in force before somebody sets others. */
export const DEFAULT_LIMITS: Marks = checkWriteBufferLimits();

/** What a sender needs of its transport. */
export interface SenderOwner {
  /** What to write to. */
  readonly carrier: Carrier;
  /** Called above the high-water mark with `true`, at the low one with `false`. */
  writingPaused(paused: boolean): void;
  /** Called when nothing is left to send. */
  sentAll(): void;
  /** Called when the carrier takes no more; what was left is dropped. */
  sendFailed(error: unknown): void;
}

/**
 * Sends what is written when the turn ends, when it is told to, or when the buffer is full: one write
 * of the carrier at a time.
 */
export class Sender implements TurnListener {
  readonly #owner: SenderOwner;
  readonly #out = new WriteBuffer();
  #limits: Marks = DEFAULT_LIMITS;
  /** A write of the carrier is under way. */
  #writing = false;
  /** {@linkcode turnEnded} will be called. */
  #dirty = false;
  /** The owner has been told to pause writing. */
  #full = false;
  #ended: { error: unknown } | null = null;
  #progress: SendProgress | null = null;
  /** Of what is buffered only so many bytes may leave, and who waits for that: see {@linkcode hold}. */
  #held: { bytes: number; readonly sent: PromiseWithResolvers<void> } | null = null;

  /** Starts with nothing. */
  constructor(owner: SenderOwner) {
    this.#owner = owner;
  }

  /** How many bytes are buffered, those of the write under way included. */
  get length(): number {
    return this.#out.length;
  }

  /** The marks in force. */
  get limits(): Marks {
    return this.#limits;
  }

  set limits(limits: Marks) {
    this.#limits = limits;
    if (this.#out.length > limits.high) this.pause();
  }

  /** How far sending has come since somebody first asked. */
  get progress(): SendProgress {
    if (this.#progress === null) {
      this.#progress = new SendProgress();
      if (this.#ended !== null) this.#progress.end(this.#ended.error);
    }
    return this.#progress;
  }

  /** Appends a copy of `data`, and sends it before the turn ends. */
  write(data: Uint8Array | string): void {
    this.#out.append(data);
    if (this.#out.length > this.#limits.high) return this.pause();
    if (!this.#dirty && !this.#writing) this.#schedule();
  }

  #schedule(): void {
    this.#dirty = true;
    atTurnEnd(this);
  }

  /** See {@linkcode TurnListener.turnEnded}. */
  turnEnded(): void {
    this.#dirty = false;
    this.flush();
  }

  /** Tells the owner to pause writing, unless it was told, and sends what is buffered. */
  pause(): void {
    if (!this.#full) {
      this.#full = true;
      this.#owner.writingPaused(true);
    }
    this.flush();
  }

  /** Sends what is buffered, unless that is under way. */
  flush(): void {
    const held = this.#held;
    if (this.#writing || this.#out.length === 0 || held?.bytes === 0) return;
    this.#writing = true;
    const head = this.#out.head();
    const bytes = held === null ? head : head.subarray(0, held.bytes);
    writeTo(this.#owner.carrier, bytes).then(this.#onWritten, this.#onWritten);
  }

  /** What a write of the carrier comes to: how many bytes, or an error. */
  readonly #onWritten = (answer: unknown): void => {
    this.#writing = false;
    if (this.#ended !== null) return;
    if (typeof answer === "number") return this.#written(answer);
    this.#out.clear();
    this.#held?.sent.reject(answer);
    this.#owner.sendFailed(answer);
  };

  #written(n: number): void {
    this.#out.sent(n);
    this.#progress?.advance(n, this.#out.length);
    const held = this.#held;
    if (held !== null && (held.bytes -= n) === 0) held.sent.resolve();
    this.flush();
    if (this.#full && this.#out.length <= this.#limits.low) {
      this.#full = false;
      this.#owner.writingPaused(false);
    }
    if (this.#out.length === 0) this.#owner.sentAll();
  }

  /**
   * Sends what is buffered now, and nothing more before {@linkcode release}.
   *
   * @returns A promise that is fulfilled when that has left, and rejected when it can't.
   */
  hold(): Promise<void> {
    const sent = Promise.withResolvers<void>();
    this.#held = { bytes: this.#out.length, sent };
    if (this.#out.length === 0) sent.resolve();
    this.flush();
    return unheeded(sent.promise); // The end is told elsewhere, too.
  }

  /** Sends what was held back. */
  release(): void {
    this.#held = null;
    this.flush();
  }

  /** The connection has ended: drops everything. `error` says why; `null` is a regular end. */
  end(error: unknown): void {
    this.#ended = { error };
    this.#out.clear();
    this.#progress?.end(error);
    this.#held?.sent.reject(error);
  }
}
