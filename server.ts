/**
 * Servers: listeners, the connections they accept, and how both end.
 *
 * @module
 */
import type { AbstractEventLoop } from "./loop/abstract_event_loop.ts";
import { acceptFrom } from "./net/accept.ts";
import type { ConnectionOwner } from "./net/connection_owner.ts";
import { closeListener, leavesBehind } from "./net/listen.ts";
import { startTimer } from "./net/timers.ts";
import type { Transport } from "./net/transports.ts";
import { checkSignalType } from "./net/validate.ts";
import type { WaitOptions } from "./net/wait_options.ts";
import { Waiters } from "./net/waiters.ts";

export type { ConnectionOwner } from "./net/connection_owner.ts";

/** How {@linkcode Server.shutdown} ends. */
export interface ShutdownOptions extends WaitOptions {
  /**
   * How long the handlers may take to finish, in ms.
   *
   * @default {30000}
   */
  timeout?: number | undefined;
}

/** How a {@linkcode Server} is made; `startServer` and `loop.createServer` do it. */
export interface ServerInit {
  /** The loop it belongs to. */
  loop: AbstractEventLoop;
  /** Open listeners; the server closes them. */
  listeners: readonly Deno.Listener[];
  /** Called with each accepted connection and the server, for which it makes a transport. */
  connected: (conn: Deno.Conn, owner: ConnectionOwner) => void;
  /** How many connections may be open before no more are accepted; the others wait in the backlog. */
  maxConnections?: number | undefined;
  /**
   * Closes the listeners, where that takes more than `close()`. What it returns is called when the
   * last accept has ended, for Deno frees a listener only then.
   */
  closeListener?: (() => (() => void) | null) | undefined;
}

/** How long what is left after a {@linkcode Server.shutdown} has to send its last bytes, in ms. */
const GRACE = 1_000;

/**
 * A running server: asyncio's `Server`.
 *
 * It is `AsyncDisposable`: `await using` closes it and waits for its handlers.
 *
 * @example
 * ```ts
 * import { startServer } from "@asyncio/streams";
 * import { assert, assertEquals } from "@std/assert";
 *
 * await using server = await startServer(() => {}, "127.0.0.1", 0);
 * assert(server.isServing());
 * server.close();
 * assertEquals(server.sockets.length, 0);
 * await server.waitClosed();
 * ```
 */
export class Server implements AsyncDisposable {
  readonly #init: ServerInit;
  #listeners: readonly Deno.Listener[];
  readonly #transports = new Set<Transport>();
  #handlers = 0;
  /** Settled when no listener is being accepted from. */
  #accepting: Promise<unknown> = Promise.resolve();
  #serving = false;
  #awaited = false;
  #closed = false;
  /** The listeners are not only closed, but free: that is when their last accept has ended. */
  #freed = false;
  /** Who waits until a connection or a handler ends, or the server is closed. */
  readonly #changes = new Waiters();
  readonly #owner: ConnectionOwner;

  /** Makes a server that accepts nothing before {@linkcode startServing}. */
  constructor(init: ServerInit) {
    this.#init = init;
    this.#listeners = [...init.listeners];
    this.#owner = {
      attach: (transport) => void this.#transports.add(transport),
      detach: (transport) => {
        this.#transports.delete(transport);
        this.#changes.resolve();
      },
      handlerStarted: () => void this.#handlers++,
      handlerEnded: () => {
        this.#handlers--;
        this.#changes.resolve();
      },
    };
  }

  /** The listeners; none once the server is closed. */
  get sockets(): readonly Deno.Listener[] {
    return this.#listeners;
  }

  /** How many accepted connections are open. */
  get connections(): number {
    return this.#transports.size;
  }

  /** The loop that the server belongs to. */
  getLoop(): AbstractEventLoop {
    return this.#init.loop;
  }

  /** Whether connections are being accepted. */
  isServing(): boolean {
    return this.#serving;
  }

  /**
   * Starts to accept connections; it may be called twice. Those that came before were kept waiting.
   *
   * @throws {Error} If the server is closed.
   */
  startServing(): Promise<void> {
    if (this.#closed) return Promise.reject(new Error("the server is closed"));
    if (!this.#serving) {
      this.#serving = true;
      this.#accepting = Promise.all(this.#listeners.map((listener) => this.#accept(listener)));
      // Where somebody else has closed the last listener, nobody is served any more.
      this.#accepting.finally(() => this.close());
    }
    return Promise.resolve();
  }

  #accept(listener: Deno.Listener): Promise<void> {
    const isClosed = () => this.#closed;
    const accepted = (conn: Deno.Conn) => this.#accepted(conn);
    return acceptFrom(listener, isClosed, this.#until(isClosed), this.#init.loop, accepted);
  }

  #accepted(conn: Deno.Conn): void | Promise<void> {
    const { loop, connected, maxConnections = Infinity } = this.#init;
    if (this.#closed) return conn.close();
    // Looked at right before the connection is counted: several listeners share it.
    if (this.#transports.size >= maxConnections) {
      return this.#changes.wait().then(() => this.#accepted(conn));
    }
    try {
      connected(conn, this.#owner);
    } catch (exception) {
      const peername = conn.remoteAddr;
      loop.callExceptionHandler({ message: "Error in making a transport", exception, peername });
      conn.close();
    }
  }

  /** Waits until `condition` holds; it is looked at whenever something has changed. */
  async #until(condition: () => boolean, signal?: AbortSignal): Promise<void> {
    while (!condition()) await this.#changes.wait(signal);
  }

  /**
   * Accepts connections until the server is closed, be it by {@linkcode close}, by the signal, or
   * because somebody else has closed the listeners. One call at a time may wait.
   *
   * @param options A signal to end it: the server is closed then, too.
   * @throws {TypeError} If the signal is none.
   * @throws {Error} If the server is closed, or another call is waiting.
   * @throws {unknown} The signal's reason.
   */
  async serveForever(options: WaitOptions = {}): Promise<void> {
    const { signal } = options;
    checkSignalType(signal);
    if (this.#awaited) throw new Error("serveForever() is waiting already");
    this.#awaited = true;
    try {
      signal?.throwIfAborted();
      await this.startServing();
      await this.#until(() => this.#closed, signal);
    } catch (error) {
      this.close();
      throw error;
    } finally {
      this.#awaited = false;
    }
  }

  /** Stops accepting. Connections stay open; it returns at once and may be called twice. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#serving = false;
    const listeners = this.#listeners;
    this.#listeners = [];
    let finish: (() => void) | null = null;
    if (this.#init.closeListener !== undefined) finish = this.#init.closeListener();
    else for (const listener of listeners) closeListener(listener);
    const end = () => {
      finish?.();
      this.#freed = true;
      this.#changes.resolve();
    };
    const freed = this.#accepting.then(end, end);
    for (const listener of listeners) leavesBehind(listener, freed);
    this.#changes.resolve();
  }

  /** Closes every connection once what was written to it is sent; handlers read EOF. */
  closeClients(): void {
    for (const transport of [...this.#transports]) transport.close();
  }

  /** Closes every connection at once: what was not sent is dropped. */
  abortClients(): void {
    for (const transport of [...this.#transports]) transport.abort();
  }

  /**
   * Waits until the server is closed and the handler of every connection is done.
   *
   * @param options A signal to end the wait.
   * @throws {TypeError} If the signal is none.
   * @throws {unknown} The signal's reason.
   */
  async waitClosed(options: WaitOptions = {}): Promise<void> {
    const { signal } = options;
    checkSignalType(signal);
    signal?.throwIfAborted();
    await this.#until(() => this.#freed && this.#handlers === 0, signal);
  }

  /**
   * Stops accepting, lets the handlers finish for a while, then closes what is left.
   *
   * What is left when they have finished, or the time is over, is closed as
   * {@linkcode closeClients} does; what has not been sent by the end of the time, or a
   * second later, is aborted. It does not wait for handlers that go on without their connection.
   *
   * @param options How long to wait, and a signal that ends the wait: what is left is aborted then.
   * @throws {TypeError} If the timeout is not a number, or the signal is none.
   * @throws {RangeError} If it is negative.
   * @throws {unknown} The signal's reason.
   *
   * @example
   * ```ts
   * import { startServer } from "@asyncio/streams";
   * import { assert } from "@std/assert";
   *
   * const server = await startServer(() => {}, "127.0.0.1", 0);
   * await server.shutdown({ timeout: 500 });
   * assert(!server.isServing());
   * ```
   */
  async shutdown(options: ShutdownOptions = {}): Promise<void> {
    const { timeout = 30_000, signal } = options;
    if (typeof timeout !== "number" || Number.isNaN(timeout)) {
      throw new TypeError(`timeout is a number of ms, not ${timeout}`);
    }
    if (timeout < 0) throw new RangeError(`timeout must not be negative, got ${timeout}`);
    checkSignalType(signal);
    this.close();
    const end = performance.now() + timeout;
    try {
      await this.#within(timeout, () => this.#handlers === 0, signal);
      this.closeClients();
      const rest = Math.max(end - performance.now(), GRACE);
      await this.#within(rest, () => this.#transports.size === 0, signal);
    } finally {
      this.abortClients();
    }
  }

  /** Waits until `condition` holds, for `ms` at the most, unless `signal` aborts first. */
  async #within(ms: number, condition: () => boolean, signal?: AbortSignal): Promise<void> {
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = startTimer(resolve, ms);
    try {
      signal?.throwIfAborted();
      await Promise.race([late, this.#until(condition, signal)]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Closes the server and waits for its handlers. */
  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return this.waitClosed();
  }
}
