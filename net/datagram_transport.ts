/**
 * The transport of datagrams, over a socket of `node:dgram`.
 *
 * @module
 */
import type { RemoteInfo, Socket as UdpSocket } from "node:dgram";
import type { ExceptionSink } from "../loop/exception_context.ts";
import type { TransportWatch } from "../loop/open_transports.ts";
import { formatAddr, formatHost } from "./addresses.ts";
import { callSafely } from "./call_safely.ts";
import { fromNodeError } from "./os_error.ts";
import { mayReach } from "./permission.ts";
import type { DatagramProtocol } from "./protocols.ts";
import { DatagramTransport, type ExtraInfo, type WriteBufferLimits } from "./transports.ts";
import { checkHost, checkPort, show } from "./validate.ts";
import { checkWriteBufferLimits } from "./write_buffer_limits.ts";

/** What a datagram counts for in the buffer beside its bytes, as in CPython: that of its header. */
const HEADER = 8;
const encoder = new TextEncoder();

/** A datagram that waits to be sent, and the one behind it. */
interface Outgoing {
  readonly data: Uint8Array;
  readonly to: Deno.NetAddr;
  next: Outgoing | null;
}

/** How a transport is made. */
export interface UdpTransportInit {
  /** A socket that is bound. */
  socket: UdpSocket;
  /** The only peer; the socket is connected to it. */
  remoteAddr: Deno.NetAddr | null;
  /** Who is told of errors that no caller can be told. */
  loop: ExceptionSink;
  /** Who is told that it is open, and that it is closed. */
  watch?: TransportWatch | undefined;
}

/**
 * A UDP endpoint's transport.
 *
 * Datagrams leave in the order they were given in, one at a time, so that each one's error is told
 * before the next is sent.
 */
export class UdpTransport extends DatagramTransport {
  readonly #socket: UdpSocket;
  readonly #localAddr: Deno.NetAddr;
  readonly #remoteAddr: Deno.NetAddr | null;
  readonly #loop: ExceptionSink;
  readonly #watch: TransportWatch | undefined;
  #protocol: DatagramProtocol;
  #first: Outgoing | null = null;
  #last: Outgoing | null = null;
  #size = 0;
  #limits = checkWriteBufferLimits();
  /** The protocol has been told to pause writing. */
  #full = false;
  /** A call of `send` is under way. */
  #sending = false;
  #closeCalled = false;
  /** Nothing more is received, and nothing new is sent. */
  #closing = false;
  /** `connectionLost` was called, or will be in a moment. */
  #lost = false;

  /** Makes a transport that does nothing before {@linkcode start}. */
  constructor({ socket, remoteAddr, loop, watch }: UdpTransportInit, protocol: DatagramProtocol) {
    super();
    this.#socket = socket;
    this.#localAddr = toNetAddr(socket.address());
    this.#remoteAddr = remoteAddr;
    this.#loop = loop;
    this.#watch = watch;
    this.#protocol = protocol;
  }

  /** Calls `connectionMade`, and receives. */
  start(): void {
    this.#watch?.attach(this);
    this.#socket.on("message", this.#onMessage);
    this.#socket.on("error", this.#onError);
    // Somebody else who holds the socket may close it.
    this.#socket.on("close", () => this.#lose());
    this.#tell(() => this.#protocol.connectionMade?.(this));
  }

  /** See {@linkcode DatagramTransport.getExtraInfo}. */
  getExtraInfo<K extends keyof ExtraInfo>(name: K): ExtraInfo[K] | null;
  getExtraInfo<K extends keyof ExtraInfo, D>(name: K, defaultValue: D): ExtraInfo[K] | D;
  getExtraInfo(name: string, defaultValue?: unknown): unknown;
  getExtraInfo(name: string, defaultValue: unknown = null): unknown {
    if (name === "sockname") return this.#localAddr;
    if (name === "peername") return this.#remoteAddr ?? defaultValue;
    return name === "socket" ? this.#socket : defaultValue;
  }

  /** See {@linkcode DatagramTransport.getProtocol}. */
  getProtocol(): DatagramProtocol {
    return this.#protocol;
  }

  /** See {@linkcode DatagramTransport.setProtocol}. */
  setProtocol(protocol: DatagramProtocol): void {
    this.#protocol = protocol;
  }

  // Receiving

  readonly #onMessage = (message: Uint8Array, { address, port }: RemoteInfo): void => {
    if (this.#closing) return;
    const remote = this.#remoteAddr;
    // Deno doesn't connect the system's socket, which would keep strangers out.
    if (remote !== null && (port !== remote.port || address !== remote.hostname)) return;
    // A copy: the message is a view of 64 KiB, and a Buffer, whose slice() isn't that of an array.
    const data = new Uint8Array(message);
    const addr = { transport: "udp", hostname: address, port } as const;
    this.#tell(() => this.#protocol.datagramReceived?.(data, addr));
  };

  readonly #onError = (error: Error): void => {
    if (!this.#closing) this.#tellError(fromNodeError(error) as Error, null);
  };

  // Sending

  /** See {@linkcode DatagramTransport.sendTo}. */
  sendTo(data: Uint8Array | string, addr: Deno.Addr | null = null): void {
    if (typeof data !== "string" && !(data instanceof Uint8Array)) {
      throw new TypeError(`sendTo() takes a Uint8Array or a string, not ${show(data)}`);
    }
    const to = this.#target(addr);
    if (this.#closeCalled) throw new Error("sendTo() after close()");
    if (this.#closing) return;
    const bytes = typeof data === "string" ? encoder.encode(data) : new Uint8Array(data);
    const outgoing: Outgoing = { data: bytes, to, next: null };
    if (this.#last === null) this.#first = outgoing;
    else this.#last.next = outgoing;
    this.#last = outgoing;
    this.#size += bytes.length + HEADER;
    this.#pauseIfFull();
    this.#send();
  }

  #target(addr: Deno.Addr | null): Deno.NetAddr {
    const remote = this.#remoteAddr;
    if (addr === null) {
      if (remote !== null) return remote;
      throw new TypeError("sendTo() needs an address: the endpoint was made without a remoteAddr");
    }
    const { hostname, port } = addr as Deno.NetAddr;
    const to = {
      transport: "udp",
      hostname: checkHost("addr.hostname", hostname),
      port: checkPort("addr.port", port, 1),
    } as const;
    if (
      remote !== null && (canonical(to.hostname) !== remote.hostname || to.port !== remote.port)
    ) {
      throw new RangeError(
        `this endpoint sends to ${formatAddr(remote)} only, not to ${formatAddr(to)}`,
      );
    }
    return to;
  }

  #send(): void {
    const outgoing = this.#first;
    if (outgoing === null || this.#sending) return;
    this.#sending = true;
    const { data, to } = outgoing;
    const sent = (error: Error | null) => this.#sent(outgoing, error);
    try {
      if (this.#remoteAddr === null) this.#socket.send(data, to.port, to.hostname, sent);
      else this.#socket.send(data, sent);
    } catch (error) {
      queueMicrotask(() => sent(error as Error)); // A socket given as `sock` may be closed by others.
    }
  }

  #sent({ data, to, next }: Outgoing, error: Error | null): void {
    this.#sending = false;
    if (this.#lost) return;
    this.#first = next;
    if (next === null) this.#last = null;
    this.#size -= data.length + HEADER;
    if (error !== null && error !== undefined) this.#tellError(sendError(error, data, to), to);
    if (this.#full && this.#size <= this.#limits.low) {
      this.#full = false;
      this.#tell(() => this.#protocol.resumeWriting?.());
    }
    if (this.#first !== null) this.#send();
    else if (this.#closing) this.#lose();
  }

  #pauseIfFull(): void {
    if (this.#full || this.#size <= this.#limits.high) return;
    this.#full = true;
    this.#tell(() => this.#protocol.pauseWriting?.());
  }

  /** See {@linkcode DatagramTransport.getWriteBufferSize}. */
  getWriteBufferSize(): number {
    return this.#size;
  }

  /** See {@linkcode DatagramTransport.getWriteBufferLimits}. */
  getWriteBufferLimits(): { low: number; high: number } {
    return { ...this.#limits };
  }

  /** See {@linkcode DatagramTransport.setWriteBufferLimits}. */
  setWriteBufferLimits(limits?: WriteBufferLimits): void {
    this.#limits = checkWriteBufferLimits(limits);
    this.#pauseIfFull();
  }

  // Closing

  /** See {@linkcode DatagramTransport.isClosing}. */
  isClosing(): boolean {
    return this.#closing;
  }

  /** See {@linkcode DatagramTransport.close}. */
  close(): void {
    this.#closeCalled = this.#closing = true;
    if (this.#first === null) this.#lose();
  }

  /** See {@linkcode DatagramTransport.abort}. */
  abort(): void {
    this.#lose();
  }

  #lose(): void {
    if (this.#lost) return;
    this.#lost = this.#closing = true;
    this.#first = this.#last = null;
    this.#size = 0;
    this.#socket.off("message", this.#onMessage);
    try {
      this.#socket.close();
    } catch {
      // It was closed by whoever made it.
    }
    this.#watch?.detach(this);
    queueMicrotask(() => this.#tell(() => this.#protocol.connectionLost?.(null)));
  }

  // Telling

  #tellError(error: Error, to: Deno.NetAddr | null): void {
    if (this.#protocol.errorReceived !== undefined) {
      return this.#tell(() => this.#protocol.errorReceived!(error));
    }
    this.#report("Error on a datagram endpoint, whose protocol has no errorReceived", error, to);
  }

  #tell(callback: () => void): void {
    callSafely(callback, (exception) => {
      this.#report("Unhandled exception in a datagram protocol's callback", exception);
    });
  }

  #report(message: string, exception: unknown, peername = this.#remoteAddr): void {
    this.#loop.callExceptionHandler({
      message: `${message} (endpoint ${formatAddr(this.#localAddr)})`,
      exception,
      peername,
      transport: this,
      protocol: this.#protocol,
    });
  }
}

/** A numeric address as the system writes it. */
export function canonical(host: string): string {
  const url = URL.parse(`udp://[${host}]`);
  if (url === null) return host;
  const address = url.hostname.slice(1, -1);
  const mapped = address.match(/^::ffff:([^:]+):([^:]+)$/); // An IPv4 address, which stays readable.
  if (mapped === null) return address;
  const bytes = mapped.slice(1).map((word) => parseInt(word, 16)).flatMap((n) => [n >> 8, n & 255]);
  return `::ffff:${bytes.join(".")}`;
}

/** The address that `node:dgram` tells. */
export function toNetAddr({ address, port }: { address: string; port: number }): Deno.NetAddr {
  return { transport: "udp", hostname: address, port };
}

/** Says more than Deno's `node:dgram`, which tells of most errors that they are unknown. */
function sendError(error: Error, data: Uint8Array, { hostname, port }: Deno.NetAddr): Error {
  const to = formatHost(hostname, port);
  const what = `cannot send a datagram of ${data.length} bytes to ${to}`;
  if (!mayReach(to)) {
    return new Deno.errors.NotCapable(`${what}: it requires net access, run with --allow-net`);
  }
  const known = fromNodeError(error);
  const kind = known === error ? Error : (known as Error).constructor as ErrorConstructor;
  return new kind(`${what}: ${error.message}`, { cause: error });
}
