/**
 * What every event loop can do about connections.
 *
 * @module
 */
import type {
  ConnectAcceptedSocketOptions,
  CreateConnectionOptions,
  CreateConnectionSockOptions,
  CreateUnixConnectionOptions,
} from "../net/open_carrier.ts";
import type {
  CreateServerOptions,
  CreateServerSockOptions,
  CreateUnixServerOptions,
} from "../net/open_listeners.ts";
import type { BaseProtocol } from "../net/protocols.ts";
import type { SSLContext } from "../net/tls/context.ts";
import type { StartTlsOptions } from "../net/tls/plan.ts";
import type { Transport } from "../net/transports.ts";
import type { Server } from "../server.ts";

/** Options of {@linkcode EventLoop.startTls}. */
export interface LoopStartTlsOptions extends StartTlsOptions {
  /**
   * Whether this side is the server.
   *
   * @default {false}
   */
  serverSide?: boolean | undefined;
}

/** The connections of an {@linkcode AbstractEventLoop}; {@linkcode EventLoop} says how. */
export interface LoopConnections {
  /** Opens a TCP connection and hands it to a protocol. */
  createConnection<P extends BaseProtocol>(
    protocolFactory: () => P,
    host: string,
    port: number,
    options?: CreateConnectionOptions,
  ): Promise<[Transport, P]>;
  /** Hands a connection that is open already to a protocol. */
  createConnection<P extends BaseProtocol>(
    protocolFactory: () => P,
    options: CreateConnectionSockOptions,
  ): Promise<[Transport, P]>;
  /** Opens a connection to a Unix socket and hands it to a protocol. */
  createUnixConnection<P extends BaseProtocol>(
    protocolFactory: () => P,
    path: string | URL | null,
    options?: CreateUnixConnectionOptions,
  ): Promise<[Transport, P]>;
  /** Hands a connection that was accepted elsewhere to a protocol. */
  connectAcceptedSocket<P extends BaseProtocol>(
    protocolFactory: () => P,
    sock: Deno.Conn,
    options?: ConnectAcceptedSocketOptions,
  ): Promise<[Transport, P]>;
  /** Starts a TCP server whose connections are handed to protocols. */
  createServer(
    protocolFactory: () => BaseProtocol,
    host?: string | readonly string[] | null,
    port?: number,
    options?: CreateServerOptions,
  ): Promise<Server>;
  /** Starts a server on a listener that is open already. */
  createServer(
    protocolFactory: () => BaseProtocol,
    options: CreateServerSockOptions,
  ): Promise<Server>;
  /** Starts a server on a Unix socket whose connections are handed to protocols. */
  createUnixServer(
    protocolFactory: () => BaseProtocol,
    path: string | URL | null,
    options?: CreateUnixServerOptions,
  ): Promise<Server>;
  /** Does a TLS handshake over a transport, and hands the cleartext to a protocol. */
  startTls(
    transport: Transport,
    protocol: BaseProtocol,
    sslContext: SSLContext | true,
    options?: LoopStartTlsOptions,
  ): Promise<Transport>;
}
