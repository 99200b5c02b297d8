/**
 * Writing to a stream.
 *
 * @module
 */
import type { ExceptionSink } from "../loop/exception_context.ts";
import { closed, drained, type FlowControlMixin } from "./flow_control.ts";
import { DEFAULT_LIMIT, getIntake, type StreamReader } from "./stream_reader.ts";
import { StreamTransport } from "./stream_transport.ts";
import type { SSLContext } from "./tls/context.ts";
import { planUpgrade, type StartTlsOptions } from "./tls/plan.ts";
import { tell, wasTold } from "./told.ts";
import type { ExtraInfo, WriteTransport } from "./transports.ts";
import { nextTurn } from "./turn.ts";
import { unheeded } from "./waiters.ts";
import type { WaitOptions } from "./wait_options.ts";

/** The web streams that somebody asked for; a field of each writer would cost idle connections memory. */
const writables = new WeakMap<StreamWriter, WritableStream<Uint8Array | string>>();

/**
 * Writes to a connection, as asyncio's `StreamWriter` does.
 *
 * What is written is copied, gathered, and sent before the current turn of Deno's loop ends.
 *
 * It is `AsyncDisposable`: `await using` closes it and waits until all is sent.
 *
 * @example
 * ```ts
 * import { openConnection, startServer } from "@asyncio/streams";
 * import { assertEquals } from "@std/assert";
 *
 * await using server = await startServer(async (reader, writer) => {
 *   await using _ = writer;
 *   writer.write(await reader.readLine());
 * }, "127.0.0.1", 0);
 * const { port } = server.sockets[0]!.addr as Deno.NetAddr;
 *
 * const [reader, writer] = await openConnection("127.0.0.1", port);
 * await using _ = writer;
 * writer.write("hello\n");
 * await writer.drain();
 * assertEquals(new TextDecoder().decode(await reader.read()), "hello\n");
 * ```
 */
export class StreamWriter implements AsyncDisposable {
  /** The transport beneath. */
  readonly transport: WriteTransport;
  readonly #protocol: FlowControlMixin;
  readonly #reader: StreamReader | null;

  /**
   * Joins a transport and its protocol; {@linkcode openConnection} and {@linkcode startServer} do it.
   *
   * @param transport Where to write.
   * @param protocol The transport's protocol.
   * @param reader The reader of the same connection, whose exception {@linkcode drain} rejects with.
   * @param _loop The loop, as in asyncio.
   */
  constructor(
    transport: WriteTransport,
    protocol: FlowControlMixin,
    reader: StreamReader | null = null,
    _loop: ExceptionSink | null = null,
  ) {
    this.transport = transport;
    this.#protocol = protocol;
    this.#reader = reader;
  }

  /**
   * Writes `data`; it never waits.
   *
   * The bytes are copied: the caller may use the array again at once. After the connection was
   * lost they are dropped, and {@linkcode drain} says why.
   *
   * @param data Bytes, or text to send as UTF-8.
   * @throws {TypeError} If `data` is neither.
   * @throws {Error} After {@linkcode close} or {@linkcode writeEof}, or while a file is sent.
   */
  write(data: Uint8Array | string): void {
    this.transport.write(data);
  }

  /**
   * Writes each piece in turn; nothing is put between them.
   *
   * @param lines The pieces.
   * @throws {TypeError} If one is neither bytes nor text.
   * @throws {Error} After {@linkcode close} or {@linkcode writeEof}, or while a file is sent.
   */
  writeLines(lines: Iterable<Uint8Array | string>): void {
    this.transport.writeLines(lines);
  }

  /**
   * Waits until it is fit to write more.
   *
   * It returns at once unless more bytes are buffered than the high-water mark (64 KiB); then
   * it waits until no more than the low-water mark (16 KiB) are. It waits for as long as the peer
   * doesn't read. What is buffered when it returns is sent soon, unless `transport.abort()` drops it.
   *
   * @param options A signal to end the wait.
   * @throws {Error} If the connection is lost, or the reader has an exception: that one.
   * @throws {unknown} The signal's reason.
   */
  drain(options?: WaitOptions): Promise<void> {
    const signal = options?.signal;
    const exception = this.#reader?.exception() ?? null;
    return exception === null && !this.transport.isClosing()
      ? drained(this.#protocol, signal)
      : this.#drainedAtEnd(exception, signal);
  }

  #drainedAtEnd(exception: Error | null, signal: AbortSignal | undefined): Promise<void> {
    if (exception !== null) return unheeded(Promise.reject(tell(exception)));
    // The end of the connection is told in this turn, and the caller shall hear of it.
    return unheeded(nextTurn().then(() => drained(this.#protocol, signal)));
  }

  /**
   * Closes the connection once all that was written is sent; it returns at once.
   *
   * Both directions end: a read that waits gets EOF.
   */
  close(): void {
    this.transport.close();
  }

  /** Whether the connection is closing, closed or lost. */
  isClosing(): boolean {
    return this.transport.isClosing();
  }

  /**
   * Waits until the connection has ended, be it by {@linkcode close} or otherwise.
   *
   * @param options A signal to end the wait.
   * @throws {Error} What the connection ended with, if it was not a regular end.
   * @throws {unknown} The signal's reason.
   */
  waitClosed(options?: WaitOptions): Promise<void> {
    this.#lookForEnd();
    return closed(this.#protocol, options?.signal);
  }

  /** A peer that vanishes is noticed only by reading, and the caller may have stopped. */
  #lookForEnd(): void {
    if (this.#reader !== null) getIntake(this.#reader).takeIn(DEFAULT_LIMIT);
  }

  /** Whether {@linkcode writeEof} can be had; over TLS it can't. */
  canWriteEof(): boolean {
    return this.transport.canWriteEof();
  }

  /**
   * Says that no more comes, once all that was written is sent; the reader goes on.
   *
   * @throws {Error} Over TLS.
   */
  writeEof(): void {
    this.transport.writeEof();
  }

  /**
   * Tells what is known of the connection, under asyncio's names: `"peername"`, `"sockname"`, …
   *
   * @param name The name.
   * @returns The value, or `null` where nothing is known under that name.
   */
  getExtraInfo<K extends keyof ExtraInfo>(name: K): ExtraInfo[K] | null;
  /**
   * Tells what is known of the connection, or `defaultValue`.
   *
   * @param name The name.
   * @param defaultValue What to return where nothing is known under that name.
   */
  getExtraInfo<K extends keyof ExtraInfo, D>(name: K, defaultValue: D): ExtraInfo[K] | D;
  /**
   * Tells what is known of the connection under a name of the transport's own.
   *
   * @param name The name.
   * @param defaultValue What to return where nothing is known under that name; `null` by default.
   */
  getExtraInfo(name: string, defaultValue?: unknown): unknown;
  getExtraInfo(name: string, defaultValue: unknown = null): unknown {
    return this.transport.getExtraInfo(name, defaultValue);
  }

  /**
   * Does a TLS handshake, and goes on over TLS: the reader and the writer stay the same.
   *
   * It is the server's side on an accepted connection, the client's on an opened one. What was
   * written before is sent in the clear first. Bytes that have come and were not read become TLS's
   * first input: what somebody smuggled in before TLS can't pass for encrypted, it makes the
   * handshake fail. After a failure the connection is lost; so it is when `signal` aborts.
   *
   * @param sslContext What this side trusts, shows and asks for; on a client `true` for the defaults.
   * @param options The server's name, on a client; time limits; a signal.
   * @throws {TypeError} If an argument is of the wrong type.
   * @throws {RangeError} If an argument is out of range, a certificate can't be read, or a key belongs to
   * another; the connection stays as it was.
   * @throws {SSLError} If the handshake fails.
   * @throws {Deno.errors.ConnectionReset} If the peer drops the connection; other `Deno.errors` likewise.
   * @throws {Error} If a read waits, a file is being sent, or the connection is closed, or closed
   * meanwhile.
   * @throws {unknown} The signal's reason.
   */
  async startTls(sslContext: SSLContext | true, options: StartTlsOptions = {}): Promise<void> {
    const { transport } = this;
    if (!(transport instanceof StreamTransport)) {
      throw new TypeError("startTls() needs a connection's own transport");
    }
    const plan = planUpgrade(sslContext, transport.accepted, options);
    await transport.startTls(plan, { reader: this.#reader && getIntake(this.#reader) });
  }

  /**
   * The same end as a web stream, made when first asked for.
   *
   * Closing it closes the connection and waits for that; aborting it aborts the connection.
   */
  get writable(): WritableStream<Uint8Array | string> {
    const known = writables.get(this);
    if (known !== undefined) return known;
    const writable = new WritableStream<Uint8Array | string>({
      // Not `abort`, which is called only when a write under way, which may wait for ever, has ended.
      start: ({ signal }) => signal.addEventListener("abort", () => this.transport.abort()),
      write: (chunk) => {
        this.write(chunk);
        return this.drain();
      },
      close: () => {
        this.close();
        return this.waitClosed();
      },
    });
    writables.set(this, writable);
    return writable;
  }

  /**
   * Closes the connection and waits until all is sent and it has ended: for as long as the peer doesn't
   * read. `transport.abort()` drops what is left, and ends the wait.
   *
   * @throws {Error} What the connection ended with, unless a read, {@linkcode drain},
   * {@linkcode waitClosed} or {@linkcode startTls} has told that already: told twice it would hide
   * in a `SuppressedError`.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    this.#lookForEnd();
    try {
      await closed(this.#protocol, undefined, true);
    } catch (error) {
      if (!wasTold(error)) throw error;
    }
  }
}
