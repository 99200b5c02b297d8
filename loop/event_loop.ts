/**
 * The event loop: what schedules, and connections.
 *
 * @module
 */
import { claim } from "../net/claims.ts";
import { withoutDelay } from "../net/connect.ts";
import type { ConnectionOwner } from "../net/connection_owner.ts";
import {
  checkConn,
  type ConnectAcceptedSocketOptions,
  type CreateConnectionOptions,
  type CreateConnectionSockOptions,
  type CreateUnixConnectionOptions,
  openCarrier,
  openUnixCarrier,
} from "../net/open_carrier.ts";
import {
  type CreateServerOptions,
  type CreateServerSockOptions,
  type CreateUnixServerOptions,
  type Listening,
  openListeners,
  openUnixListener,
} from "../net/open_listeners.ts";
import type { BaseProtocol } from "../net/protocols.ts";
import type { Socket } from "../net/socket.ts";
import { StreamTransport, type StreamTransportInit } from "../net/stream_transport.ts";
import type { SSLContext } from "../net/tls/context.ts";
import { openTls, prepareTls } from "../net/tls/open_tls.ts";
import { planServer, planUpgrade, type StartTlsOptions, type TlsPlan } from "../net/tls/plan.ts";
import type { Transport } from "../net/transports.ts";
import { checkFlag, checkFunction, checkSignal, show } from "../net/validate.ts";
import { Server } from "../server.ts";
import { makeProtocol } from "./make_protocol.ts";
import { watchConnection } from "./open_transports.ts";
import { SystemEventLoop } from "./system_event_loop.ts";

/** Options of {@linkcode EventLoop.startTls}. */
export interface LoopStartTlsOptions extends StartTlsOptions {
  /**
   * Whether this side is the server.
   *
   * @default {false}
   */
  serverSide?: boolean | undefined;
}

/**
 * asyncio's event loop over Deno's own.
 *
 * @example
 * ```ts
 * import { getEventLoop } from "@asyncio/streams";
 * import { assertEquals } from "@std/assert";
 *
 * const loop = getEventLoop();
 * const future = loop.createFuture<number>();
 * loop.callSoon((n) => future.setResult(n), 42);
 * assertEquals(await future, 42);
 * ```
 */
export class EventLoop extends SystemEventLoop {
  /**
   * Opens a TCP connection and hands it to a protocol.
   *
   * `connectionMade` has been called when the promise is fulfilled. Nagle's algorithm is off.
   *
   * @typeParam P The protocol's type.
   * @param protocolFactory Makes the protocol, once there is a connection.
   * @param host The host's name or address.
   * @param port The port, 1 to 65535.
   * @param options TLS, family, local address, how to try several addresses, signal.
   * @returns The transport and the protocol.
   * @throws {TypeError} If an argument is of the wrong type.
   * @throws {RangeError} If an argument is out of range.
   * @throws {Deno.errors.NotFound} If the host's name is unknown.
   * @throws {Deno.errors.ConnectionRefused} If nobody listens there; other `Deno.errors` likewise.
   * @throws {SSLError} If the TLS handshake fails.
   * @throws {unknown} What `protocolFactory` throws, or the signal's reason.
   *
   * @example A client that collects the answer
   * ```ts
   * import { getEventLoop, Protocol, type Transport } from "@asyncio/streams";
   * import { assertEquals } from "@std/assert";
   *
   * const loop = getEventLoop();
   * class Greeter extends Protocol {
   *   override connectionMade(transport: Transport) {
   *     transport.write("hello");
   *     transport.close();
   *   }
   * }
   * class Client extends Protocol {
   *   answer = "";
   *   readonly lost = loop.createFuture<void>();
   *   override dataReceived(data: Uint8Array) {
   *     this.answer += new TextDecoder().decode(data);
   *   }
   *   override connectionLost() {
   *     this.lost.setResult();
   *   }
   * }
   * await using server = await loop.createServer(() => new Greeter(), "127.0.0.1", 0);
   * const { port } = server.sockets[0]!.addr as Deno.NetAddr;
   *
   * const [, client] = await loop.createConnection(() => new Client(), "127.0.0.1", port);
   * await client.lost;
   * assertEquals(client.answer, "hello");
   * ```
   */
  createConnection<P extends BaseProtocol>(
    protocolFactory: () => P,
    host: string,
    port: number,
    options?: CreateConnectionOptions,
  ): Promise<[Transport, P]>;
  /**
   * Hands a connection that is open already to a protocol.
   *
   * @typeParam P The protocol's type.
   * @param protocolFactory Makes the protocol.
   * @param options The connection.
   * @returns The transport and the protocol.
   * @throws {TypeError} If there is no connection.
   * @throws {Error} If a transport has it already.
   * @throws {SSLError} If the TLS handshake fails.
   * @throws {unknown} What `protocolFactory` throws, or the signal's reason.
   */
  createConnection<P extends BaseProtocol>(
    protocolFactory: () => P,
    options: CreateConnectionSockOptions,
  ): Promise<[Transport, P]>;
  async createConnection<P extends BaseProtocol>(
    protocolFactory: () => P,
    host: string | CreateConnectionSockOptions,
    port?: number,
    options: CreateConnectionOptions = {},
  ): Promise<[Transport, P]> {
    checkFunction("protocolFactory", protocolFactory);
    const open = () => openCarrier(host, port, options);
    const carrier = await (typeof host === "string" ? open() : claim(host?.sock, open));
    return this.#connect(protocolFactory, { carrier });
  }

  /**
   * Opens a connection to a Unix socket and hands it to a protocol.
   *
   * @typeParam P The protocol's type.
   * @param protocolFactory Makes the protocol, once there is a connection.
   * @param path The socket's path, as a string or a `file:` URL, or `"\0name"` for an abstract
   *   socket; `null` where `sock` is given.
   * @param options Signal, or an open connection.
   * @returns The transport and the protocol.
   * @throws {TypeError} If an argument is of the wrong type.
   * @throws {RangeError} If the path is empty or too long.
   * @throws {Error} If a transport has `sock` already.
   * @throws {Deno.errors.NotFound} If there is no such socket; other `Deno.errors` likewise.
   * @throws {SSLError} If the TLS handshake fails.
   * @throws {unknown} What `protocolFactory` throws, or the signal's reason.
   */
  async createUnixConnection<P extends BaseProtocol>(
    protocolFactory: () => P,
    path: string | URL | null,
    options: CreateUnixConnectionOptions = {},
  ): Promise<[Transport, P]> {
    checkFunction("protocolFactory", protocolFactory);
    const carrier = await claim(options.sock, () => openUnixCarrier(path, options));
    return this.#connect(protocolFactory, { carrier });
  }

  /**
   * Hands a connection that was accepted elsewhere to a protocol.
   *
   * @typeParam P The protocol's type.
   * @param protocolFactory Makes the protocol.
   * @param sock The connection; it is closed with the transport.
   * @param options TLS, signal.
   * @returns The transport and the protocol.
   * @throws {TypeError} If an argument is of the wrong type.
   * @throws {RangeError} If a certificate can't be read.
   * @throws {Error} If a transport has the connection already.
   * @throws {SSLError} If the TLS handshake fails.
   * @throws {unknown} What `protocolFactory` throws, or the signal's reason.
   */
  async connectAcceptedSocket<P extends BaseProtocol>(
    protocolFactory: () => P,
    sock: Deno.Conn | Socket,
    options: ConnectAcceptedSocketOptions = {},
  ): Promise<[Transport, P]> {
    checkFunction("protocolFactory", protocolFactory);
    const { signal } = options;
    checkSignal(signal);
    const plan = planServer(options);
    const carrier = await claim(sock, async () => {
      await prepareTls(plan);
      const conn = checkConn(sock);
      return plan === null ? conn : await openTls(conn, plan, { signal });
    });
    return this.#connect(protocolFactory, { carrier, accepted: true });
  }

  /**
   * Starts a TCP server whose connections are handed to protocols.
   *
   * @param protocolFactory Makes the protocol of each connection.
   * @param host The host to listen on, or a list of hosts; `null`, as `""`, means every interface.
   * @param port The port; 0, the default, means a free one: see `server.sockets`.
   * @param options Family, backlog and more.
   * @returns The server.
   * @throws {TypeError} If an argument is of the wrong type.
   * @throws {RangeError} If an argument is out of range, the list of hosts is empty, or a
   *   certificate can't be read.
   * @throws {Deno.errors.AddrInUse} If the port is taken; other `Deno.errors` likewise.
   * @throws {Deno.errors.NotSupported} If Deno can't do what an option says.
   * @throws {unknown} The signal's reason.
   */
  createServer(
    protocolFactory: () => BaseProtocol,
    host?: string | readonly string[] | null,
    port?: number,
    options?: CreateServerOptions,
  ): Promise<Server>;
  /**
   * Starts a server on a listener that is open already.
   *
   * @param protocolFactory Makes the protocol of each connection.
   * @param options The listener.
   * @returns The server.
   * @throws {TypeError} If there is no listener.
   * @throws {RangeError} If an argument is out of range, or a certificate can't be read.
   * @throws {unknown} The signal's reason.
   */
  createServer(
    protocolFactory: () => BaseProtocol,
    options: CreateServerSockOptions,
  ): Promise<Server>;
  async createServer(
    protocolFactory: () => BaseProtocol,
    host: string | readonly string[] | null | CreateServerSockOptions = null,
    port = 0,
    options: CreateServerOptions = {},
  ): Promise<Server> {
    checkFunction("protocolFactory", protocolFactory);
    return await this.#serve(protocolFactory, await openListeners(host, port, options, this));
  }

  /**
   * Starts a server on a Unix socket whose connections are handed to protocols.
   *
   * @param protocolFactory Makes the protocol of each connection.
   * @param path The socket's path, as a string or a `file:` URL, or `"\0name"` for an abstract
   *   socket; `null` where `sock` is given.
   * @param options The socket file's mode, and more.
   * @returns The server.
   * @throws {TypeError} If an argument is of the wrong type.
   * @throws {RangeError} If the path is empty or too long, or a certificate can't be read.
   * @throws {Deno.errors.AddrInUse} If there is a file at the path; other `Deno.errors` likewise.
   * @throws {unknown} The signal's reason.
   */
  async createUnixServer(
    protocolFactory: () => BaseProtocol,
    path: string | URL | null,
    options: CreateUnixServerOptions = {},
  ): Promise<Server> {
    checkFunction("protocolFactory", protocolFactory);
    return await this.#serve(protocolFactory, await openUnixListener(path, options, this));
  }

  /**
   * Does a TLS handshake over a transport, and hands the cleartext to a protocol.
   *
   * What was written before is sent in the clear first. Bytes that have come and were not
   * handed out become TLS's first input: nothing that was smuggled in passes for encrypted.
   * If it fails, the connection is lost.
   *
   * @param transport The transport; it goes on, over TLS.
   * @param protocol Who gets the cleartext; its `connectionMade` is not called.
   * @param sslContext What this side trusts, shows and asks for; `true` for the defaults.
   * @param options Which side this is, the server's name, time limits.
   * @returns The transport, for asyncio's sake.
   * @throws {TypeError} If an argument is of the wrong type.
   * @throws {RangeError} If an argument is out of range, or a certificate can't be read.
   * @throws {SSLError} If the handshake fails.
   * @throws {Deno.errors.ConnectionReset} If the peer drops the connection; other `Deno.errors` likewise.
   * @throws {Error} If the transport is closed, or closed meanwhile, or sends a file.
   */
  async startTls(
    transport: Transport,
    protocol: BaseProtocol,
    sslContext: SSLContext | true,
    options: LoopStartTlsOptions = {},
  ): Promise<Transport> {
    if (!(transport instanceof StreamTransport)) {
      throw new TypeError(`startTls() takes a connection's transport, not ${show(transport)}`);
    }
    const { serverSide = false, ...rest } = options;
    checkFlag("serverSide", serverSide);
    await transport.startTls(planUpgrade(sslContext, serverSide, rest), { protocol });
    return transport;
  }

  #connect<P extends BaseProtocol>(
    protocolFactory: () => P,
    init: Omit<StreamTransportInit, "loop">,
    tls: TlsPlan | null = null,
  ): [Transport, P] {
    const owner = watchConnection(this, init.owner);
    const accepted = init.accepted ?? init.owner !== undefined;
    const transport = new StreamTransport({ ...init, accepted, owner, loop: this });
    let protocol: P;
    try {
      protocol = makeProtocol(protocolFactory);
    } catch (error) {
      if (init.owner === undefined) init.carrier.close(); // A server closes its own.
      throw error;
    }
    transport.start(protocol, tls);
    return [transport, protocol];
  }

  async #serve(protocolFactory: () => BaseProtocol, listening: Listening): Promise<Server> {
    const { listeners, closeListener, options, tls } = listening;
    const { keepAlive = false, maxConnections, startServing = true } = options;
    const connected = (conn: Deno.Conn, owner: ConnectionOwner) => {
      if (keepAlive) (conn as Partial<Deno.TcpConn>).setKeepAlive?.(true);
      this.#connect(protocolFactory, { carrier: withoutDelay(conn), owner }, tls);
    };
    const server = new Server({ loop: this, listeners, connected, maxConnections, closeListener });
    if (startServing) await server.startServing();
    return server;
  }
}
