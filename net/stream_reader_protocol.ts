/**
 * The protocol that joins a stream reader and its callback to a transport.
 *
 * @module
 */
import { CancelledError } from "../loop/errors.ts";
import type { ExceptionSink } from "../loop/exception_context.ts";
import { formatAddr } from "./addresses.ts";
import type { ConnectionOwner } from "./connection_owner.ts";
import { FlowControlMixin } from "./flow_control.ts";
import { getIntake, pullFrom, StreamReader } from "./stream_reader.ts";
import { StreamTransport } from "./stream_transport.ts";
import { StreamWriter } from "./stream_writer.ts";
import type { Transport } from "./transports.ts";

/**
 * Called with the reader and the writer of each connection that a server accepts.
 *
 * What it throws, or its promise rejects with, goes to the loop's exception handler, and the
 * connection is closed. A promise rejected with a {@linkcode CancelledError} only closes it.
 */
export type ClientConnectedCallback = (
  reader: StreamReader,
  writer: StreamWriter,
) => void | Promise<void>;

/**
 * A {@linkcode Protocol} that feeds a {@linkcode StreamReader}.
 *
 * @example
 * ```ts
 * import { StreamReader, StreamReaderProtocol } from "@asyncio/streams";
 * import { assertEquals } from "@std/assert";
 *
 * const reader = new StreamReader();
 * const protocol = new StreamReaderProtocol(reader);
 * protocol.dataReceived(new TextEncoder().encode("hello\n"));
 * assertEquals(new TextDecoder().decode(await reader.readLine()), "hello\n");
 * ```
 */
export class StreamReaderProtocol extends FlowControlMixin {
  readonly #reader: StreamReader;
  readonly #clientConnectedCb: ClientConnectedCallback | null;
  readonly #loop: ExceptionSink | null;
  #transport: Transport | null = null;

  /**
   * Makes a protocol for one connection.
   *
   * @param reader The reader to feed.
   * @param clientConnectedCb Called with reader and writer when the connection is made.
   * @param loop Who is told what the callback throws; without it the error ends in the runtime's
   * own report of uncaught errors.
   */
  constructor(
    reader: StreamReader,
    clientConnectedCb: ClientConnectedCallback | null = null,
    loop: ExceptionSink | null = null,
  ) {
    super();
    this.#reader = reader;
    this.#clientConnectedCb = clientConnectedCb;
    this.#loop = loop;
  }

  /** Sets the reader's transport, and calls the callback. */
  override connectionMade(transport: Transport): void {
    this.#transport = transport;
    if (!this.#pulls(transport)) this.#reader.setTransport(transport);
    if (this.#clientConnectedCb === null) return;
    const writer = new StreamWriter(transport, this, this.#reader, this.#loop);
    this.#owner?.handlerStarted();
    let result: void | Promise<void>;
    try {
      result = this.#clientConnectedCb(this.#reader, writer);
    } catch (exception) {
      return this.#failed(exception);
    }
    // Not its own `then`, which may be anybody's, and throw.
    Promise.resolve(result).then(this.#owner?.handlerEnded, (error) => {
      if (error instanceof CancelledError) this.#end(); // As in asyncio, that is no failure.
      else this.#failed(error);
    });
  }

  /** Ends the connection behind its callback. */
  #end(): void {
    this.#transport!.close();
    this.#owner?.handlerEnded();
  }

  #pulls(transport: Transport): boolean {
    // A subclass that looks at what it receives is given it.
    const { dataReceived, eofReceived } = StreamReaderProtocol.prototype;
    return this.dataReceived === dataReceived && this.eofReceived === eofReceived &&
      pullFrom(this.#reader, transport);
  }

  get #owner(): ConnectionOwner | null {
    return this.#transport instanceof StreamTransport ? this.#transport.owner : null;
  }

  /** The callback has failed. */
  #failed(exception: unknown): void {
    const transport = this.#transport!;
    const peername = transport.getExtraInfo("peername");
    const peer = peername === null ? "" : ` for ${formatAddr(peername)}`;
    this.#end();
    if (this.#loop === null) return reportError(exception);
    this.#loop.callExceptionHandler({
      message: `Unhandled exception in clientConnectedCb${peer}`,
      exception,
      peername,
      transport,
      protocol: this,
    });
  }

  /** Feeds the reader. */
  override dataReceived(data: Uint8Array): void {
    this.#reader.feedData(data);
  }

  /** Ends the reader; the transport stays open for writing, except over TLS. */
  override eofReceived(): boolean {
    // A transport that is pulled from has told the reader already.
    if (getIntake(this.#reader).source === null) this.#reader.feedEof();
    return this.#transport?.getExtraInfo("sslcontext") === null;
  }

  /** Ends the reader: with EOF, or with the error once what had come is read. */
  override connectionLost(error: Error | null): void {
    const { feedEof, setException } = StreamReader.prototype;
    // A subclass that looks at what it is told is told the end, too.
    if (error === null && this.#reader.feedEof !== feedEof) this.#reader.feedEof();
    else if (error !== null && this.#reader.setException !== setException) {
      this.#reader.setException(error);
    } else getIntake(this.#reader).end(error);
    super.connectionLost(error);
  }
}
