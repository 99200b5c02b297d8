/**
 * Sockets as `asyncio`'s users know them: calls that never wait, for the loop to wait for.
 *
 * @module
 */
import { AcceptEndpoint } from "./accept_endpoint.ts";
import { formatAddr } from "./addresses.ts";
import type { Carrier } from "./carrier.ts";
import { ConnEndpoint } from "./conn_endpoint.ts";
import { withoutDelay } from "./connect.ts";
import type { Endpoint, Pollable } from "./endpoint.ts";
import { explain } from "./os_error.ts";
import {
  checkBacklog,
  checkHost,
  checkNumber,
  checkPort,
  checkUnixPath,
  show,
} from "./validate.ts";

/** A socket's state, from `new Socket()` on. */
type State =
  | { kind: "new"; bound: Deno.Addr | null }
  | { kind: "connecting"; bound: Deno.Addr | null }
  | { kind: "connected"; endpoint: Endpoint }
  | { kind: "listening"; endpoint: AcceptEndpoint }
  | { kind: "closed"; before: State };

/** The state that tells a socket's addresses: a closed one keeps them. */
function lasting(state: State): State {
  return state.kind === "closed" ? state.before : state;
}

/** Calls what frees a resource; closed by whoever made it, there is nothing left to free. */
function free(close: () => void): void {
  try {
    close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}

function checkBound(addr: Deno.Addr): Deno.Addr {
  if (addr?.transport === "unix") return { ...addr, path: checkUnixPath(addr.path) };
  if (addr?.transport === "tcp") {
    const hostname = checkHost("addr.hostname", addr.hostname);
    return { ...addr, hostname, port: checkPort("addr.port", addr.port, 0) };
  }
  throw new TypeError("a socket is bound to an address whose transport is tcp or unix");
}

/** Checks how many bytes are wanted; there may be no limit. */
export function checkCount(n: number): number {
  checkNumber("n", n, 0);
  if (n !== Infinity && !Number.isInteger(n)) throw new TypeError(`n is an integer, not ${n}`);
  return n;
}

/** Checks bytes, to send or to be overwritten. */
export function checkBytes(name: string, value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  throw new TypeError(`${name} is a Uint8Array, not ${show(value)}`);
}

function listenOn(addr: Deno.Addr, backlog: number): Deno.Listener {
  try {
    if (addr.transport === "unix") return Deno.listen({ transport: "unix", path: addr.path });
    const { hostname, port } = addr as Deno.NetAddr;
    return Deno.listen({ hostname, port, tcpBacklog: backlog });
  } catch (error) {
    throw explain(`cannot listen on ${formatAddr(addr)}`, error);
  }
}

/** What waits can be for: a socket's end, whichever it is. Throws if it has none. */
export let pollableOf: (socket: Socket) => Pollable;
/** The end of a connected socket. Throws if it is not connected. */
export let endpointOf: (socket: Socket) => Endpoint;
/** The end of a listening socket. Throws if it does not listen. */
export let acceptorOf: (socket: Socket) => AcceptEndpoint;
/** Connects a new socket by `open`, which is given the address to connect from. */
export let connectBy: (
  socket: Socket,
  open: (bound: Deno.Addr | null) => Promise<Carrier>,
) => Promise<void>;
/** Makes a connected socket of its end. */
export let endpointSocket: (endpoint: Endpoint) => Socket;

/**
 * A socket that never waits: it is what asyncio's `add_reader` and `sock_recv` take.
 *
 * It is made new, for `loop.sockConnect` or for {@linkcode Socket.listen}; of a `Deno.Conn` or a
 * `Deno.Listener`, which it then owns; or by `socketPair()`. Its own calls answer at once, and throw
 * `Deno.errors.WouldBlock` where they would have to wait; the loop's `sockRecv`, `sockSendAll` and
 * `sockAccept` wait. It can be used as `sock` wherever a connection can.
 *
 * As the system does, it keeps up to 64 KiB each way: {@linkcode Socket.send} takes bytes before they
 * leave, and what it took is still sent after {@linkcode Socket.close}.
 *
 * @example
 * ```ts
 * import { getEventLoop, Socket } from "@asyncio/streams";
 * import { assertEquals } from "@std/assert";
 *
 * const loop = getEventLoop();
 * using server = new Socket();
 * server.bind({ transport: "tcp", hostname: "127.0.0.1", port: 0 });
 * server.listen();
 * using client = new Socket();
 * await loop.sockConnect(client, server.localAddr);
 * const [accepted] = await loop.sockAccept(server);
 * using _ = accepted;
 *
 * await loop.sockSendAll(client, "hello");
 * assertEquals(new TextDecoder().decode(await loop.sockRecv(accepted, 100)), "hello");
 * ```
 */
export class Socket implements Disposable {
  #state: State = { kind: "new", bound: null };

  /**
   * Makes a socket.
   *
   * @param source An open connection or listener to use; without one the socket is new.
   * @throws {TypeError} If the source is neither.
   */
  constructor(source?: Deno.Conn | Deno.Listener) {
    if (source === undefined) return;
    const { accept, read } = (source ?? {}) as Partial<Deno.Listener & Deno.Conn>;
    if (typeof accept === "function") {
      const endpoint = new AcceptEndpoint(source as Deno.Listener);
      this.#state = { kind: "listening", endpoint };
    } else if (typeof read === "function") {
      const endpoint = new ConnEndpoint(withoutDelay(source as Deno.Conn));
      this.#state = { kind: "connected", endpoint };
    } else {
      throw new TypeError(`a socket is made of a Deno.Conn or Deno.Listener, not ${show(source)}`);
    }
  }

  static {
    pollableOf = (socket) => {
      const state = socket.#state;
      if ("endpoint" in state) return state.endpoint;
      throw socket.#unfit();
    };
    endpointOf = (socket) => {
      const state = socket.#state;
      if (state.kind === "connected") return state.endpoint;
      throw socket.#unfit();
    };
    acceptorOf = (socket) => {
      const state = socket.#state;
      if (state.kind === "listening") return state.endpoint;
      throw state.kind === "closed"
        ? socket.#unfit()
        : new Error("the socket does not listen: bind() and listen() come first");
    };
    connectBy = (socket, open) => socket.#connect(open);
    endpointSocket = (endpoint) => {
      const socket = new Socket();
      socket.#state = { kind: "connected", endpoint };
      return socket;
    };
  }

  #unfit(): Error {
    return this.#state.kind === "closed"
      ? new Deno.errors.BadResource("the socket is closed")
      : new Deno.errors.NotConnected("the socket is not connected: loop.sockConnect() does that");
  }

  async #connect(open: (bound: Deno.Addr | null) => Promise<Carrier>): Promise<void> {
    const before = this.#state;
    if (before.kind === "closed") throw this.#unfit();
    if (before.kind !== "new") throw new Error(`the socket is ${before.kind} already`);
    const connecting = this.#state = { kind: "connecting", bound: before.bound };
    let conn: Carrier;
    try {
      conn = await open(before.bound);
    } catch (error) {
      if (this.#state === connecting) this.#state = before;
      throw error;
    }
    if (this.#state !== connecting) {
      conn.close();
      throw new Deno.errors.Interrupted("the socket was closed");
    }
    this.#state = { kind: "connected", endpoint: new ConnEndpoint(conn) };
  }

  /**
   * The address of this end.
   *
   * @throws {Deno.errors.NotConnected} If it has none yet.
   */
  get localAddr(): Deno.Addr {
    const state = lasting(this.#state);
    if (state.kind === "connected") return state.endpoint.localAddr;
    if (state.kind === "listening") return state.endpoint.listener.addr;
    throw this.#unfit();
  }

  /**
   * The address of the other end.
   *
   * @throws {Deno.errors.NotConnected} If there is none.
   */
  get remoteAddr(): Deno.Addr {
    const state = lasting(this.#state);
    if (state.kind === "connected") return state.endpoint.remoteAddr;
    throw this.#unfit();
  }

  /** Whether {@linkcode Socket.close} was called. */
  get closed(): boolean {
    return this.#state.kind === "closed";
  }

  /**
   * Says which address to listen on, or to connect from. It is taken up by
   * {@linkcode Socket.listen} or `loop.sockConnect`.
   *
   * @param addr A numeric TCP address, port 0 meaning a free one; or a Unix socket's path.
   * @throws {TypeError} If it is neither.
   * @throws {RangeError} If a part of it is out of range.
   * @throws {Error} If the socket is in use already.
   */
  bind(addr: Deno.Addr): void {
    const state = this.#state;
    if (state.kind === "closed") throw this.#unfit();
    if (state.kind !== "new") throw new Error(`the socket is ${state.kind} already`);
    state.bound = checkBound(addr);
  }

  /**
   * Listens on the address that {@linkcode Socket.bind} was given.
   *
   * @param backlog How many connections may wait to be accepted.
   * @throws {Error} If there is no address.
   * @throws {Deno.errors.AddrInUse} If the address is taken; other `Deno.errors` likewise.
   */
  listen(backlog = 100): void {
    checkBacklog(backlog);
    const state = this.#state;
    if (state.kind === "closed") throw this.#unfit();
    if (state.kind !== "new") throw new Error(`the socket is ${state.kind} already`);
    if (state.bound === null) throw new Error("listen() needs an address: bind() comes first");
    const listener = listenOn(state.bound, backlog);
    this.#state = { kind: "listening", endpoint: new AcceptEndpoint(listener) };
  }

  /**
   * Takes the connection that waits. Over Deno's listener the first call begins to look for one:
   * it throws, though one may be there. A reader (`loop.addReader`), or `loop.sockAccept`, waits.
   *
   * @returns A socket of its own.
   * @throws {Deno.errors.WouldBlock} If none waits.
   * @throws {Error} If this socket does not listen.
   */
  accept(): Socket {
    const conn = acceptorOf(this).accept();
    if (conn === null) throw new Deno.errors.WouldBlock("no connection waits to be accepted");
    return new Socket(conn);
  }

  /**
   * Takes what has come. Over a `Deno.Conn`, a call that finds nothing at hand begins to look: the
   * first one throws, though something may be there. A reader (`loop.addReader`), or
   * `loop.sockRecv`, waits.
   *
   * @param n How many bytes to take, at the most.
   * @returns At least one byte; none at the end.
   * @throws {Deno.errors.WouldBlock} If nothing has come yet.
   * @throws {TypeError} If `n` is no integer.
   * @throws {RangeError} If `n` is negative.
   * @throws {Deno.errors.ConnectionReset} If the connection is lost; other `Deno.errors` likewise.
   */
  recv(n: number): Uint8Array {
    const buffer = new Uint8Array(Math.min(checkCount(n), 65_536));
    return buffer.subarray(0, this.recvInto(buffer));
  }

  /**
   * Moves what has come to `buffer`.
   *
   * @param buffer Where the bytes go.
   * @returns How many bytes, at least one; 0 at the end.
   * @throws {TypeError} If it is no `Uint8Array`; else as {@linkcode Socket.recv}.
   */
  recvInto(buffer: Uint8Array): number {
    const endpoint = endpointOf(this);
    if (checkBytes("buffer", buffer).length === 0) return 0;
    const n = endpoint.recvInto(buffer);
    if (n === undefined) throw new Deno.errors.WouldBlock("nothing has come yet");
    return n ?? 0;
  }

  /**
   * Sends as much of `data` as there is room for.
   *
   * @param data What to send; it may be reused at once.
   * @returns How many bytes were taken, at least one.
   * @throws {TypeError} If `data` is no `Uint8Array`; `loop.sockSendAll` takes strings, too.
   * @throws {Deno.errors.WouldBlock} If there is no room now.
   * @throws {Deno.errors.BrokenPipe} If the other end is closed; other `Deno.errors` likewise.
   */
  send(data: Uint8Array): number {
    const n = endpointOf(this).send(checkBytes("data", data));
    if (n > 0 || data.length === 0) return n;
    throw new Deno.errors.WouldBlock("there is no room to send now");
  }

  /**
   * Waits for bytes, as `Deno.Conn.read` does.
   *
   * @param buffer Where the bytes go; it must not be empty.
   * @returns How many bytes came, or `null` at the end.
   */
  async read(buffer: Uint8Array): Promise<number | null> {
    return await endpointOf(this).read(checkBytes("buffer", buffer));
  }

  /**
   * Sends a part of `data`, waiting for room, as `Deno.Conn.write` does.
   *
   * @param data The bytes; they must not change until the promise settles.
   * @returns How many bytes were taken, at least one.
   */
  async write(data: Uint8Array): Promise<number> {
    return await endpointOf(this).write(checkBytes("data", data));
  }

  /** Says that no more bytes come from this end; receiving goes on. */
  async closeWrite(): Promise<void> {
    await endpointOf(this).closeWrite();
  }

  /**
   * Closes the socket: calls that wait end, and those to come fail. It may be called twice, and after
   * what the socket was made of was closed.
   *
   * What {@linkcode Socket.send} took is still sent; to a peer that doesn't read it waits, in the
   * background, and keeps the connection open until {@linkcode Socket.abort}. The file of a Unix socket
   * that listened is removed; another server's that has taken its place stays, if there is the
   * permission to read and write its folder.
   */
  close(): void {
    const state = this.#state;
    if (state.kind === "closed") return;
    this.#state = { kind: "closed", before: state };
    if ("endpoint" in state) free(() => state.endpoint.close());
  }

  /** Closes the socket at once, also after {@linkcode Socket.close}: what was not sent yet is dropped. */
  abort(): void {
    this.close();
    const state = lasting(this.#state);
    if (state.kind === "connected") free(() => state.endpoint.abort?.());
  }

  /** Closes the socket. */
  [Symbol.dispose](): void {
    this.close();
  }
}
