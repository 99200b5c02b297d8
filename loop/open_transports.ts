/**
 * The transports that are open, for debug mode.
 *
 * @module
 */
import type { ConnectionOwner } from "../net/connection_owner.ts";
import type { BaseTransport } from "../net/transports.ts";
import { callSite } from "./debug.ts";
import type { CallbackOwner } from "./handle.ts";

/** Who a transport tells that it is open, and that it is closed. */
export interface TransportWatch {
  /** The transport is open. */
  attach(transport: BaseTransport): void;
  /** The transport is closed. */
  detach(transport: BaseTransport): void;
}

/** The open transports of each loop that were made in debug mode, and where. */
const open = new WeakMap<CallbackOwner, Map<BaseTransport, string | undefined>>();

/** Who watches one more transport of `loop`: nobody without debug mode. */
export function watchTransport(loop: CallbackOwner): TransportWatch | undefined {
  if (!loop.getDebug()) return undefined;
  const made = callSite();
  const transports = open.get(loop) ?? new Map();
  open.set(loop, transports);
  return {
    attach: (transport) => transports.set(transport, made),
    detach: (transport) => transports.delete(transport),
  };
}

/** The same for a connection, which may have an owner already: that one is told, too. */
export function watchConnection(
  loop: CallbackOwner,
  owner?: ConnectionOwner,
): ConnectionOwner | undefined {
  const watch = watchTransport(loop);
  if (watch === undefined) return owner;
  return {
    attach(transport) {
      watch.attach(transport);
      owner?.attach(transport);
    },
    detach(transport) {
      watch.detach(transport);
      owner?.detach(transport);
    },
    handlerStarted: () => owner?.handlerStarted(),
    handlerEnded: () => owner?.handlerEnded(),
  };
}

/** Tells `loop` of each of its transports that is still open, once. */
export function reportOpenTransports(loop: CallbackOwner): void {
  const transports = open.get(loop) ?? [];
  open.delete(loop);
  for (const [transport, made] of transports) {
    loop.callExceptionHandler({
      message: "The loop of an unclosed transport was closed",
      transport,
      peername: transport.getExtraInfo("peername"),
      sourceTraceback: made,
    });
  }
}
