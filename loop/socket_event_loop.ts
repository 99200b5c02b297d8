/**
 * The event loop's calls on sockets, pipes, names and files.
 *
 * @module
 */
import type { Carrier } from "../net/carrier.ts";
import type { AddrInfo, GetAddrInfoOptions } from "../net/names.ts";
import type { SendableFile, SendfileOptions } from "../net/sendfile.ts";
import {
  checkSocket,
  sockAccept,
  sockConnect,
  sockRecv,
  sockRecvInto,
  sockSendAll,
} from "../net/sock_calls.ts";
import { pollableOf, type Socket } from "../net/socket.ts";
import type { ReadablePipe, WritablePipe } from "../net/pipes.ts";
import type { BaseProtocol } from "../net/protocols.ts";
import { StreamTransport } from "../net/stream_transport.ts";
import type { ReadTransport, Transport, WriteTransport } from "../net/transports.ts";
import { checkFlag, checkFunction, show } from "../net/validate.ts";
import type { WaitOptions } from "../net/wait_options.ts";
import { BaseEventLoop, type EventLoopOptions } from "./base_event_loop.ts";
import { SendfileNotAvailableError } from "./errors.ts";
import { makeProtocol } from "./make_protocol.ts";
import { watchConnection } from "./open_transports.ts";
import { type Side, SocketWatches } from "./socket_watches.ts";

/**
 * The part of the event loop that works on sockets, names and files; {@linkcode EventLoop} is all
 * of it.
 *
 * @example
 * ```ts
 * import { getEventLoop, socketPair } from "@asyncio/streams";
 * import { assertEquals } from "@std/assert";
 *
 * const loop = getEventLoop();
 * const [ours, theirs] = socketPair();
 * await loop.sockSendAll(ours, "hello");
 * assertEquals(new TextDecoder().decode(await loop.sockRecv(theirs, 1024)), "hello");
 * ours.close();
 * theirs.close();
 * ```
 */
export class SocketEventLoop extends BaseEventLoop {
  readonly #watches = new SocketWatches();

  /**
   * Makes a loop; `newEventLoop()` is the usual way.
   *
   * @param options Whether the loop is free.
   */
  constructor(options: EventLoopOptions = {}) {
    super(options);
    this.#watches.wake = this.addReadySource(this.#watches);
  }

  /**
   * Calls `callback` in every batch in which there is something to receive from `sock`: bytes, the
   * end, an error, or a connection to accept. It takes the place of the reader before it.
   *
   * @param sock The socket.
   * @param callback What to call; it runs in the async context of this call.
   * @param args What to call it with.
   * @throws {TypeError} If an argument is of the wrong type.
   * @throws {Deno.errors.NotConnected} If the socket is not connected and does not listen.
   *
   * @example
   * ```ts
   * import { getEventLoop, socketPair } from "@asyncio/streams";
   * import { assertEquals } from "@std/assert";
   *
   * const loop = getEventLoop();
   * const [left, right] = socketPair();
   * const received = loop.createFuture<string>();
   * loop.addReader(left, () => {
   *   received.setResult(new TextDecoder().decode(left.recv(100)));
   *   loop.removeReader(left);
   * });
   * right.send(new TextEncoder().encode("hello"));
   * assertEquals(await received, "hello");
   * left.close();
   * right.close();
   * ```
   */
  addReader<A extends unknown[]>(
    sock: Socket,
    callback: (...args: A) => unknown,
    ...args: A
  ): void {
    this.#watch(sock, "reader", callback, args);
  }

  /**
   * Takes the reader of `sock` back.
   *
   * @param sock The socket.
   * @returns Whether there was one.
   * @throws {TypeError} If `sock` is not a socket.
   */
  removeReader(sock: Socket): boolean {
    return this.#watches.remove(checkSocket(sock), "reader");
  }

  /**
   * Calls `callback` in every batch in which `sock` has room for something to send. It takes the
   * place of the writer before it.
   *
   * @param sock The socket.
   * @param callback What to call; it runs in the async context of this call.
   * @param args What to call it with.
   * @throws {TypeError} If an argument is of the wrong type.
   * @throws {Deno.errors.NotConnected} If the socket is not connected.
   */
  addWriter<A extends unknown[]>(
    sock: Socket,
    callback: (...args: A) => unknown,
    ...args: A
  ): void {
    this.#watch(sock, "writer", callback, args);
  }

  /**
   * Takes the writer of `sock` back.
   *
   * @param sock The socket.
   * @returns Whether there was one.
   * @throws {TypeError} If `sock` is not a socket.
   */
  removeWriter(sock: Socket): boolean {
    return this.#watches.remove(checkSocket(sock), "writer");
  }

  #watch<A extends unknown[]>(
    sock: Socket,
    side: Side,
    callback: (...args: A) => unknown,
    args: A,
  ): void {
    checkFunction("callback", callback);
    if (this.isClosed()) throw new Error("The event loop is closed");
    const end = pollableOf(checkSocket(sock));
    this.#watches.add(sock, side, { end, callback, args, owner: this });
  }

  /**
   * Waits for something to receive.
   *
   * @param sock The socket.
   * @param n How many bytes to receive, at the most.
   * @param options A signal that ends the wait; no byte is lost.
   * @returns At least one byte; none at the end.
   * @throws {Deno.errors.ConnectionReset} If the connection is lost; other `Deno.errors` likewise.
   * @throws {unknown} The signal's reason.
   */
  sockRecv(sock: Socket, n: number, options?: WaitOptions): Promise<Uint8Array> {
    return sockRecv(sock, n, options);
  }

  /**
   * Waits for something to receive, and stores it.
   *
   * @param sock The socket.
   * @param buffer Where the bytes go.
   * @param options A signal that ends the wait; no byte is lost.
   * @returns How many bytes came; 0 at the end.
   * @throws As {@linkcode SocketEventLoop.sockRecv}.
   */
  sockRecvInto(sock: Socket, buffer: Uint8Array, options?: WaitOptions): Promise<number> {
    return sockRecvInto(sock, buffer, options);
  }

  /**
   * Sends all of `data`, waiting for room. After an error or an abort it can't be told how much was
   * sent.
   *
   * @param sock The socket.
   * @param data What to send, a string as UTF-8; it must not change meanwhile.
   * @param options A signal that ends the wait.
   * @throws {Deno.errors.BrokenPipe} If the other end is closed; other `Deno.errors` likewise.
   * @throws {unknown} The signal's reason.
   */
  sockSendAll(sock: Socket, data: Uint8Array | string, options?: WaitOptions): Promise<void> {
    return sockSendAll(sock, data, options);
  }

  /**
   * Connects a new socket, with Nagle's algorithm off.
   *
   * @param sock The socket; if it is bound, the connection comes from that address.
   * @param addr Where to: a TCP address, which may have a name for its host, or a Unix socket's.
   * @param options A signal that ends the wait; the socket is then new again.
   * @throws {TypeError} If an argument is of the wrong type.
   * @throws {Deno.errors.ConnectionRefused} If nobody listens there; other `Deno.errors` likewise.
   * @throws {unknown} The signal's reason.
   */
  sockConnect(sock: Socket, addr: Deno.Addr, options?: WaitOptions): Promise<void> {
    return sockConnect(sock, addr, options);
  }

  /**
   * Waits for a connection.
   *
   * @param sock A socket that listens, or a `Deno.Listener`.
   * @param options A signal that ends the wait; no connection is lost.
   * @returns A socket for the connection, and the address of its peer.
   * @throws {Error} If the socket does not listen.
   * @throws {unknown} The signal's reason.
   */
  sockAccept(
    sock: Socket | Deno.Listener,
    options?: WaitOptions,
  ): Promise<[conn: Socket, address: Deno.Addr]> {
    return sockAccept(sock, options);
  }

  /**
   * Sends a file over a socket. However it ends, the file's position is then behind what was sent.
   *
   * @param sock The socket.
   * @param file The file, open for reading; other calls may send it at the same time.
   * @param options Which part of it, and a signal that ends the wait.
   * @returns How many bytes were sent.
   * @throws {SendfileNotAvailableError} With `fallback: false`.
   * @throws {Deno.errors.BrokenPipe} If the other end is closed; other `Deno.errors` likewise.
   * @throws {unknown} The signal's reason.
   */
  async sockSendfile(
    sock: Socket,
    file: SendableFile,
    options: SendfileOptions = {},
  ): Promise<number> {
    checkFallback(options);
    const { sockSendfile } = await import("../net/sendfile.ts");
    return await sockSendfile(sock, file, options);
  }

  /**
   * Sends a file over a transport, behind what was written before. However it ends, the file's
   * position is then behind what was sent; after an abort or `close()` that is also what waits in
   * the transport, up to 512 KiB. At no time more than 1 MiB of the file is in memory.
   *
   * Until the promise has settled, `write()`, `writeLines()`, `startTls()` and another `sendfile()`
   * are refused; `writeEof()` before all was read ends the call with an error.
   *
   * @param transport The transport; nothing else can be written to it meanwhile.
   * @param file The file, open for reading; other calls may send it at the same time.
   * @param options Which part of it, and a signal that ends the wait.
   * @returns How many bytes were sent.
   * @throws {SendfileNotAvailableError} With `fallback: false`.
   * @throws {Error} If the transport is closing, or sends a file already.
   * @throws {Deno.errors.ConnectionAborted} If it is closed meanwhile; other `Deno.errors` likewise.
   * @throws {unknown} The signal's reason.
   */
  async sendfile(
    transport: WriteTransport,
    file: SendableFile,
    options: SendfileOptions = {},
  ): Promise<number> {
    checkFallback(options);
    if (!(transport instanceof StreamTransport)) {
      throw new TypeError(`a file is sent over a Transport of the loop's, not ${show(transport)}`);
    }
    // Others are refused from now on, not from the time on that the module has come.
    return await transport.sendFile(async (write) => {
      const { sendfile } = await import("../net/sendfile.ts");
      return await sendfile(transport, write, file, options);
    });
  }

  /**
   * Reads a pipe: what comes is pushed to a protocol.
   *
   * @typeParam P The protocol's type.
   * @param protocolFactory Makes the protocol.
   * @param pipe A stream of bytes, or what has one as `readable`: `Deno.stdin`, an open FIFO. It is
   *   closed with the transport.
   * @returns The transport and the protocol.
   * @throws {TypeError} If an argument is of the wrong type, or the stream is in use.
   * @throws {unknown} What `protocolFactory` throws.
   *
   * @example
   * ```ts
   * import { getEventLoop, Protocol } from "@asyncio/streams";
   * import { assertEquals } from "@std/assert";
   *
   * const loop = getEventLoop();
   * const ended = loop.createFuture<number>();
   * class Count extends Protocol {
   *   bytes = 0;
   *   override dataReceived(data: Uint8Array) {
   *     this.bytes += data.length;
   *   }
   *   override eofReceived() {
   *     ended.setResult(this.bytes);
   *   }
   * }
   * await loop.connectReadPipe(() => new Count(), new Blob(["hello"]).stream());
   * assertEquals(await ended, 5);
   * ```
   */
  async connectReadPipe<P extends BaseProtocol>(
    protocolFactory: () => P,
    pipe: ReadablePipe,
  ): Promise<[transport: ReadTransport, protocol: P]> {
    checkFunction("protocolFactory", protocolFactory);
    const { readPipe } = await import("../net/pipes.ts");
    return this.#connectPipe(protocolFactory, () => readPipe(pipe));
  }

  /**
   * Writes to a pipe. `connectionLost` is called when the pipe's reader is known to have gone.
   *
   * @typeParam P The protocol's type.
   * @param protocolFactory Makes the protocol; {@linkcode FlowControlMixin} is one for a
   *   {@linkcode StreamWriter}.
   * @param pipe A stream of bytes, or what has one as `writable`: `Deno.stdout`, an open FIFO. It
   *   is closed with the transport.
   * @returns The transport and the protocol.
   * @throws {TypeError} If an argument is of the wrong type, or the stream is in use.
   * @throws {unknown} What `protocolFactory` throws.
   *
   * @example
   * ```ts
   * import { FlowControlMixin, getEventLoop } from "@asyncio/streams";
   * import { assertEquals } from "@std/assert";
   *
   * const loop = getEventLoop();
   * const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
   * const [transport] = await loop.connectWritePipe(() => new FlowControlMixin(), writable);
   * transport.write("hello");
   * transport.close();
   * assertEquals(await new Response(readable).text(), "hello");
   * ```
   */
  async connectWritePipe<P extends BaseProtocol>(
    protocolFactory: () => P,
    pipe: WritablePipe,
  ): Promise<[transport: WriteTransport, protocol: P]> {
    checkFunction("protocolFactory", protocolFactory);
    const { writePipe } = await import("../net/pipes.ts");
    return this.#connectPipe(protocolFactory, () => writePipe(pipe));
  }

  #connectPipe<P extends BaseProtocol>(
    protocolFactory: () => P,
    open: () => Carrier,
  ): [Transport, P] {
    const protocol = makeProtocol(protocolFactory);
    const init = { carrier: open(), loop: this, accepted: false };
    const transport = new StreamTransport({ ...init, owner: watchConnection(this) });
    transport.start(protocol);
    return [transport, protocol];
  }

  /**
   * Looks up the addresses of a name, by the system's resolver.
   *
   * @param host A name or an address; `null` means this machine itself.
   * @param port The port of the addresses; `null` means 0.
   * @param options Which addresses are wanted, and a signal that ends the wait.
   * @returns The addresses, in the system's order of preference.
   * @throws {RangeError} If an argument is out of range.
   * @throws {Deno.errors.NotFound} If the name has no such address.
   * @throws {unknown} The signal's reason.
   *
   * @example
   * ```ts
   * import { getEventLoop } from "@asyncio/streams";
   * import { assertEquals } from "@std/assert";
   *
   * const loop = getEventLoop();
   * const [info] = await loop.getaddrinfo("127.0.0.1", 80, { type: "stream" });
   * assertEquals(info?.family, 4);
   * assertEquals(info?.addr, { transport: "tcp", hostname: "127.0.0.1", port: 80 });
   * ```
   */
  async getaddrinfo(
    host: string | null,
    port: number | null,
    options?: GetAddrInfoOptions,
  ): Promise<AddrInfo[]> {
    const { getaddrinfo } = await import("../net/names.ts");
    return await getaddrinfo(host, port, options);
  }

  /**
   * Looks up the names of an address and its port, by the system's resolver.
   *
   * @param addr The address.
   * @param options A signal that ends the wait.
   * @returns The host's name, and that of the service. An address that has no name is given as it
   *   is, and then the port, too.
   * @throws {RangeError} If the address is not numeric.
   * @throws {unknown} The signal's reason.
   */
  async getnameinfo(
    addr: Deno.NetAddr,
    options?: WaitOptions,
  ): Promise<[host: string, service: string]> {
    const { getnameinfo } = await import("../net/names.ts");
    return await getnameinfo(addr, options);
  }
}

function checkFallback({ fallback = true }: SendfileOptions): void {
  checkFlag("fallback", fallback);
  if (fallback) return;
  throw new SendfileNotAvailableError(
    "Deno has no sendfile of the system's: leave out fallback: false",
  );
}
