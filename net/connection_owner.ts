/**
 * What a transport tells the server it belongs to.
 *
 * @module
 */
import type { Transport } from "./transports.ts";

/** Who counts a transport among its connections: a server. */
export interface ConnectionOwner {
  /** The transport is open. */
  attach(transport: Transport): void;
  /** The transport's carrier has been closed. */
  detach(transport: Transport): void;
  /** A handler for one of the connections has started. */
  handlerStarted(): void;
  /** It has ended. This one is called without its owner: a closure less for each connection. */
  readonly handlerEnded: () => void;
}
