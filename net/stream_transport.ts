/**
 * The transport of a byte stream: flow control and closing, over any carrier.
 *
 * @module
 */
import { concat } from "@std/bytes/concat";
import type { ExceptionSink } from "../loop/exception_context.ts";
import { formatAddr } from "./addresses.ts";
import { callSafely } from "./call_safely.ts";
import type { Carrier } from "./carrier.ts";
import type { ConnectionOwner } from "./connection_owner.ts";
import type { Intake, IntakeSource, PendingRead } from "./intake.ts";
import { leave } from "./linger.ts";
import type { ReadAhead } from "./prefixed_carrier.ts";
import type { BaseProtocol, Protocol } from "./protocols.ts";
import { PushLoop } from "./push_loop.ts";
import type { SendProgress } from "./send_progress.ts";
import { DEFAULT_LIMITS, Sender, type SenderOwner } from "./sender.ts";
import { openTls } from "./tls/open_tls.ts";
import type { TlsPlan } from "./tls/plan.ts";
import { tell } from "./told.ts";
import { type ExtraInfo, Transport, type WriteBufferLimits } from "./transports.ts";
import { nextTurn } from "./turn.ts";
import { show } from "./validate.ts";
import { checkWriteBufferLimits } from "./write_buffer_limits.ts";

/** How much is taken in from a broken connection, in bytes: more than a system's buffer holds. */
const SALVAGE = 8_388_608;
/** After so many turns in which nothing came of it, there is nothing left: over TLS a read takes several. */
const PATIENCE = 4;

// What is so, as bits of one field: a field for each would cost every connection 80 bytes of heap.
/** A server has accepted the connection. */
const ACCEPTED = 1 << 0;
const READING_PAUSED = 1 << 1;
/** The peer has said that it sends no more. */
const READ_ENDED = 1 << 2;
/** `writeEof` was called. */
const EOF_WRITTEN = 1 << 3;
/** The carrier is being half-closed. */
const EOF_UNDER_WAY = 1 << 4;
const EOF_SENT = 1 << 5;
/** TLS is about to begin. */
const UPGRADING = 1 << 6;
/** `close` was called. */
const CLOSE_CALLED = 1 << 7;
/** No more is written: `close` was called, or the connection is lost or about to be. */
const CLOSING = 1 << 8;
/** All is sent, and the goodbye is being said. */
const LEAVING = 1 << 9;
/** `connectionLost` was called, or will be in a moment. */
const LOST = 1 << 10;
/** A file is being sent: nobody else writes. */
const SENDING_FILE = 1 << 11;
/** What keeps `write` from writing: one check, for what each message calls is to stay small. */
const UNWRITABLE = CLOSING | EOF_WRITTEN | SENDING_FILE;

/** How a transport is made. */
export interface StreamTransportInit {
  /** What carries the bytes. */
  carrier: Carrier;
  /** Who is told of errors that no caller can be told. */
  loop: ExceptionSink;
  /** The server it belongs to. */
  owner?: ConnectionOwner | undefined;
  /** Whether this side has accepted the connection; with an owner it has. */
  accepted?: boolean | undefined;
}

/** How an upgrade to TLS begins. */
export interface UpgradeOptions {
  /** Who gets the cleartext; the same protocol as before by default. */
  protocol?: BaseProtocol;
  /** Who has taken in what came before, in the clear; by default who pulls from the transport. */
  reader?: Intake | null;
}

/**
 * A byte stream's transport.
 *
 * It sends by a {@linkcode Sender}. It receives by one of two ways: a protocol is pushed to by a
 * {@linkcode PushLoop}; a stream's {@linkcode Intake} pulls, and nothing is under way that nobody
 * asked for.
 */
export class StreamTransport extends Transport implements IntakeSource, SenderOwner {
  /** What carries the bytes. */
  carrier: Carrier;
  /** The server the connection belongs to. */
  readonly owner: ConnectionOwner | null;
  #state = 0;
  readonly #loop: ExceptionSink;
  /** Made with the first write: many connections only listen. */
  #sender: Sender | null = null;
  #protocol: BaseProtocol | null = null;
  #intake: Intake | null = null;
  #push: PushLoop | null = null;
  /** Why it was lost, or will be once all is sent; `null` for a regular end. */
  #lostBy: unknown = null;
  /** Why the carrier takes no more. */
  #writeError: unknown = null;

  /** Makes a transport that does nothing before {@linkcode start}. */
  constructor(init: StreamTransportInit) {
    super();
    this.carrier = init.carrier;
    this.owner = init.owner ?? null;
    if (init.accepted ?? this.owner !== null) this.#state |= ACCEPTED;
    this.#loop = init.loop;
  }

  /** See {@linkcode Transport.getExtraInfo}. */
  getExtraInfo<K extends keyof ExtraInfo>(name: K): ExtraInfo[K] | null;
  getExtraInfo<K extends keyof ExtraInfo, D>(name: K, defaultValue: D): ExtraInfo[K] | D;
  getExtraInfo(name: string, defaultValue?: unknown): unknown;
  getExtraInfo(name: string, defaultValue: unknown = null): unknown {
    switch (name) {
      case "peername":
        return this.carrier.remoteAddr ?? defaultValue;
      case "sockname":
        return this.carrier.localAddr ?? defaultValue;
      case "socket":
        return this.carrier.extraInfo?.[name] ?? this.carrier;
      default:
        return this.carrier.extraInfo?.[name] ?? defaultValue;
    }
  }

  #is(flag: number): boolean {
    return (this.#state & flag) !== 0;
  }

  /** Shows no more than this in logs: what carries the bytes may lead to private keys. */
  [Symbol.for("Deno.customInspect")](): string {
    const state = this.#is(LOST) ? "closed" : this.#is(CLOSING) ? "closing" : "open";
    return `StreamTransport { ${state}, peer ${formatAddr(this.carrier.remoteAddr)} }`;
  }

  /** See {@linkcode Transport.getProtocol}. */
  getProtocol(): BaseProtocol {
    if (this.#protocol === null) throw new Error("the transport has no protocol yet");
    return this.#protocol;
  }

  /** See {@linkcode Transport.setProtocol}. */
  setProtocol(protocol: BaseProtocol): void {
    if (protocol === this.#protocol) return;
    this.#protocol = protocol;
    if (this.#is(CLOSING)) return; // What is under way is the goodbye's.
    const intake = this.#intake;
    const pending = intake?.handOver() ?? null;
    intake?.pushedBy(this); // Its protocol may come back.
    this.#intake = null;
    this.#pushIfNobodyPulls(pending);
  }

  /** Hands the connection to `protocol`, after a TLS handshake if there is a plan for one. */
  start(protocol: BaseProtocol, tls: TlsPlan | null = null): void {
    const { owner } = this;
    owner?.attach(this);
    if (tls === null) return this.#begin(protocol);
    // To the server a handshake is a part of its handler, which may begin only when it is done.
    owner?.handlerStarted();
    this.#upgrade(tls)
      .then(() => this.#begin(protocol), (error) => this.#unshaken(error))
      .then(owner?.handlerEnded);
  }

  #begin(protocol: BaseProtocol): void {
    this.#protocol = protocol;
    this.#tell(() => protocol.connectionMade?.(this));
    this.#pushIfNobodyPulls();
  }

  /**
   * Lets `intake` pull from this transport, in place of pushing to the protocol.
   *
   * @returns `false` where pushing has begun: then it goes on.
   */
  pulledBy(intake: Intake): boolean {
    if (this.#push !== null) return false;
    this.#intake = intake;
    intake.source = this;
    return true;
  }

  #pushIfNobodyPulls(pending: PendingRead | null = null): void {
    if (this.#intake !== null || this.#is(CLOSING | UPGRADING | READ_ENDED)) return;
    this.#push ??= new PushLoop(
      this,
      () => this.#protocol!,
      (callback) => this.#tell(callback, true),
    );
    if (pending !== null) this.#push.adopt(pending);
    else this.#push.run();
  }

  /**
   * Calls a protocol's method; what it throws is reported and, from one that receives, ends the
   * connection, as in asyncio.
   */
  #tell<T>(callback: () => T, isFatal = false): T | undefined {
    return callSafely(callback, (exception) => {
      this.#report("Unhandled exception in a protocol's callback", exception);
      if (isFatal) this.#lose(exception);
    });
  }

  #report(message: string, exception: unknown): void {
    const peername = this.carrier.remoteAddr;
    const peer = peername === null ? "" : ` (peer ${formatAddr(peername)})`;
    this.#loop.callExceptionHandler({
      message: `${message}${peer}`,
      exception,
      peername,
      transport: this,
      protocol: this.#protocol,
    });
  }

  // TLS

  /** Whether a server has accepted the connection. */
  get accepted(): boolean {
    return this.#is(ACCEPTED);
  }

  /**
   * Does a TLS handshake over the connection, and goes on over TLS.
   *
   * What was written before is sent in the clear first, what is written meanwhile is sent over TLS.
   * Bytes that have come and were not read become TLS's first input. If it fails, the connection
   * is lost.
   *
   * @param plan Which side this is, and what it wants.
   * @param options Who gets the cleartext, and who has had it before.
   * @throws {Error} If the connection is not in a state for it, such as in the middle of a file, or is
   * closed meanwhile.
   */
  async startTls(plan: TlsPlan, options: UpgradeOptions = {}): Promise<void> {
    const { protocol = this.#protocol } = options;
    const reader = options.reader ?? this.#intake;
    if (this.#is(CLOSING)) throw new Error("startTls() after the connection was closed or lost");
    if (this.#is(EOF_WRITTEN)) throw new Error("startTls() after writeEof()");
    if (this.#is(UPGRADING)) throw new Error("startTls() while TLS is about to begin");
    if (this.#is(SENDING_FILE)) throw new Error("startTls() while sendfile() is in progress");
    if (reader?.awaited) {
      throw new Error("startTls() while a read waits: let it end, or abort it, before");
    }
    const before = this.#protocol;
    const intake = this.#intake;
    const ahead = this.#handOver(reader);
    this.#protocol = protocol;
    await this.#upgrade(plan, ahead);
    if (intake !== null && this.#protocol === before) {
      this.pulledBy(intake);
      intake.resume();
    } else intake?.pushedBy(this); // Its protocol may come back.
    this.#pushIfNobodyPulls();
    this.#sender?.release();
    if (this.#is(CLOSING)) this.#finish();
  }

  /**
   * Stops feeding whoever reads. Returns what came too early, or is still on its way: `reader` gives
   * back what it has not given out.
   */
  #handOver(reader: Intake | null): ReadAhead {
    const rest: ReadAhead = this.#intake !== null
      ? { pending: this.#intake.handOver() }
      : this.#push?.handOver() ?? {};
    this.#intake = this.#push = null;
    if (reader === null) return rest;
    return {
      ...rest,
      bytes: concat([reader.take(reader.length), rest.bytes ?? new Uint8Array(0)]),
    };
  }

  async #upgrade(plan: TlsPlan, ahead?: ReadAhead): Promise<void> {
    this.#state |= UPGRADING;
    try {
      // Before the first handshake nobody can write.
      const after = this.#protocol === null ? undefined : this.#sending.hold();
      const carrier = await openTls(this.carrier, plan, { ahead, after });
      if (this.#is(LOST)) carrier.close();
      else this.carrier = carrier;
    } catch (error) {
      // Ended by `close()` or `abort()`: that is nobody's failure.
      const ended = this.#is(LOST) && this.#lostBy === null;
      this.#lose(error);
      if (!ended) throw tell(error);
    } finally {
      this.#state &= ~UPGRADING;
    }
    if (!this.#is(LOST)) return;
    throw new Deno.errors.ConnectionAborted("the connection was closed during the TLS handshake");
  }

  #unshaken(exception: unknown): void {
    if (this.#lostBy === null) return; // As above: there is nothing to tell.
    this.#report("The TLS handshake of an accepted connection failed", exception);
  }

  // Reading

  /** See {@linkcode Transport.isReading}. */
  isReading(): boolean {
    return !this.#is(READING_PAUSED) && !this.#is(CLOSING);
  }

  /** See {@linkcode Transport.pauseReading}. */
  pauseReading(): void {
    this.#state |= READING_PAUSED;
  }

  /** See {@linkcode Transport.resumeReading}. */
  resumeReading(): void {
    if (!this.#is(READING_PAUSED)) return;
    this.#state &= ~READING_PAUSED;
    this.#push?.run();
    this.#intake?.resume();
  }

  /** See {@linkcode IntakeSource.beforeRead}. */
  beforeRead(): boolean {
    this.#sender?.flush();
    return !this.#is(READING_PAUSED) && (!this.#is(CLOSING) || this.#writeError !== null);
  }

  /** See {@linkcode IntakeSource.readEnded}. */
  readEnded(): unknown {
    if (this.#writeError !== null) return this.#writeError;
    this.#state |= READ_ENDED;
    if (this.#is(CLOSING)) return null;
    const keepOpen = this.#tell(() => (this.#protocol as Protocol).eofReceived?.(), true);
    if (keepOpen !== true || this.carrier.canCloseWrite === false) this.#finish();
    return null;
  }

  /** See {@linkcode IntakeSource.readFailed}. */
  readFailed(error: unknown): void {
    const isEnd = error instanceof Error && error === this.carrier.readFault &&
      this.#writeError === null;
    if (!isEnd || this.getWriteBufferSize() === 0) return this.#lose(this.#writeError ?? error);
    // The peer may read on: what was written before is sent, and nothing else.
    this.#state |= READ_ENDED | CLOSING;
    this.#lostBy = error;
    this.#intake?.end(error);
    this.#sender?.pause();
  }

  /** Why it was lost, or will be once all is sent; `null` if it was not, or in a regular way. */
  get endsBy(): unknown {
    return this.#lostBy;
  }

  // Writing

  /** See {@linkcode Transport.write}. */
  write(data: Uint8Array | string): void {
    checkData(data);
    if (this.#is(UNWRITABLE)) this.#refuse();
    else this.#sending.write(data);
  }

  /** A write that comes too late, or in the middle of a file: `write` has one check for all. */
  #refuse(): void {
    if (this.#is(CLOSE_CALLED)) {
      throw new Deno.errors.ConnectionAborted(
        "write() after close(), by the program or its server",
      );
    }
    if (this.#is(EOF_WRITTEN)) throw new Error("write() after writeEof()");
    if (this.#is(SENDING_FILE)) throw new Error("write() while sendfile() is in progress");
    // Lost: dropped, as in asyncio; `connectionLost` and `drain()` say why.
  }

  /** See {@linkcode Transport.writeLines}. */
  writeLines(lines: Iterable<Uint8Array | string>): void {
    const pieces = [...lines];
    pieces.forEach(checkData); // All of them, before the first is sent.
    for (const piece of pieces) this.write(piece);
  }

  /** Refuses what others write until `send`, which is given a way to write, has ended. */
  async sendFile<T>(send: (write: (data: Uint8Array) => void) => Promise<T>): Promise<T> {
    if (this.#is(CLOSING)) throw new Error("sendfile() on a transport that is closing");
    if (this.#is(SENDING_FILE)) throw new Error("sendfile() while another one is in progress");
    this.#state |= SENDING_FILE;
    try {
      return await send((data) => {
        if (this.#is(EOF_WRITTEN)) this.#refuse();
        else this.#sending.write(data);
      });
    } finally {
      this.#state &= ~SENDING_FILE;
    }
  }

  get #sending(): Sender {
    return this.#sender ?? this.#makeSender();
  }

  #makeSender(): Sender {
    this.#sender = new Sender(this);
    if (this.#is(LOST)) this.#sender.end(this.#lostBy);
    return this.#sender;
  }

  /** See {@linkcode SenderOwner.writingPaused}. */
  writingPaused(paused: boolean): void {
    if (!paused && this.#lostBy !== null) return; // More would be dropped.
    const protocol = this.#protocol;
    this.#tell(() => paused ? protocol?.pauseWriting?.() : protocol?.resumeWriting?.());
  }

  /** See {@linkcode SenderOwner.sendFailed}. */
  sendFailed(error: unknown): void {
    if (this.#is(UPGRADING)) return; // The upgrade waits for what failed, and says why.
    if (this.#lostBy !== null) this.#lose(this.#lostBy);
    else if (this.#is(CLOSE_CALLED) || this.#intake === null) this.#lose(error);
    else this.#salvage(this.#intake, error);
  }

  /**
   * Takes in what the peer sent before the connection broke: a server that answers "too large" and
   * closes has its answer read. A broken socket has all of it at hand; who has to be waited for
   * is not, nor is who goes on for ever, as a peer can that merely stopped reading.
   */
  async #salvage(intake: Intake, error: unknown): Promise<void> {
    this.#writeError = error;
    this.#state |= CLOSING;
    this.#state &= ~READING_PAUSED;
    this.writingPaused(true); // `drain()` waits for the end, and says why it came.
    intake.takeIn(SALVAGE);
    for (let idle = 0, seen = -1; !intake.ended && idle < PATIENCE;) {
      idle = intake.reads === seen ? idle + 1 : 0;
      seen = intake.reads;
      await nextTurn();
    }
    this.#lose(error);
  }

  /** See {@linkcode SenderOwner.sentAll}. */
  sentAll(): void {
    if (this.#is(EOF_WRITTEN) && !this.#is(EOF_UNDER_WAY | EOF_SENT)) this.#sendEof();
    else if (this.#is(CLOSING)) this.#finish();
  }

  /** How far sending has come since somebody first asked. */
  get progress(): SendProgress {
    return this.#sending.progress;
  }

  /** See {@linkcode Transport.canWriteEof}. */
  canWriteEof(): boolean {
    return this.carrier.canCloseWrite !== false && !this.#is(UPGRADING);
  }

  /** See {@linkcode Transport.writeEof}. */
  writeEof(): void {
    if (!this.canWriteEof()) {
      throw new Error("writeEof() can't be had over TLS, which has no half-close: use close()");
    }
    if (this.#is(CLOSING) || this.#is(EOF_WRITTEN)) return;
    this.#state |= EOF_WRITTEN;
    if (this.getWriteBufferSize() === 0) this.#sendEof();
    else this.#sender?.flush();
  }

  async #sendEof(): Promise<void> {
    this.#state |= EOF_UNDER_WAY;
    try {
      await this.carrier.closeWrite();
    } catch (error) {
      return this.#is(LOST) ? undefined : this.sendFailed(error);
    } finally {
      this.#state &= ~EOF_UNDER_WAY;
    }
    this.#state |= EOF_SENT;
    if (this.#is(CLOSING)) this.#finish();
  }

  /** See {@linkcode Transport.getWriteBufferSize}. */
  getWriteBufferSize(): number {
    return this.#sender?.length ?? 0;
  }

  /** See {@linkcode Transport.getWriteBufferLimits}. */
  getWriteBufferLimits(): { low: number; high: number } {
    return { ...(this.#sender?.limits ?? DEFAULT_LIMITS) };
  }

  /** See {@linkcode Transport.setWriteBufferLimits}. */
  setWriteBufferLimits(limits?: WriteBufferLimits): void {
    this.#sending.limits = checkWriteBufferLimits(limits);
  }

  // Closing

  /** See {@linkcode Transport.isClosing}. */
  isClosing(): boolean {
    return this.#is(CLOSING);
  }

  /** See {@linkcode Transport.close}. */
  close(): void {
    if (this.#is(CLOSE_CALLED)) return;
    this.#state |= CLOSE_CALLED;
    this.#finish();
  }

  /** See {@linkcode Transport.abort}. */
  abort(): void {
    this.#lose(null);
  }

  /** Closes, once all is sent. */
  #finish(): void {
    if (this.#is(LOST) || this.#writeError !== null) return;
    this.#state |= CLOSING;
    if (this.#is(UPGRADING)) {
      // What was written comes after the upgrade.
      if (this.getWriteBufferSize() === 0) this.#lose(null);
    } else if (this.getWriteBufferSize() > 0) this.#sender?.flush();
    else if (!this.#is(EOF_UNDER_WAY | LEAVING)) this.#leave();
  }

  /** All is sent: says goodbye, and makes sure that closing does not take back what was sent. */
  async #leave(): Promise<void> {
    this.#state |= LEAVING;
    try {
      if (!this.#is(READ_ENDED) || this.carrier.goodbye) {
        const pending = this.#intake?.handOver() ?? this.#push?.handOver().pending;
        await leave(this.carrier, {
          pending,
          halfClose: this.canWriteEof() && !this.#is(EOF_SENT),
        });
      }
    } catch {
      // All was sent, and the peer is gone already: to this side that is an end like any other.
    }
    this.#lose(this.#lostBy);
  }

  /** The end: frees the carrier and tells the protocol. */
  #lose(error: unknown): void {
    if (this.#is(LOST)) return;
    this.#state |= LOST | CLOSING;
    this.#lostBy = error;
    this.#sender?.end(error);
    try {
      this.carrier.close();
    } catch {
      // It was closed by whoever made it: there is nothing left to free.
    }
    this.owner?.detach(this);
    queueMicrotask(() =>
      callSafely(
        () => this.#protocol?.connectionLost?.(error as Error | null),
        (exception) => this.#report("Unhandled exception in connectionLost", exception),
      )
    );
  }
}

function checkData(data: Uint8Array | string): void {
  if (typeof data !== "string" && !(data instanceof Uint8Array)) {
    throw new TypeError(`write() takes a Uint8Array or a string, not ${show(data)}`);
  }
}
