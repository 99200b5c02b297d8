/**
 * The transports that are open, for debug mode.
 *
 * @module
 */
import type { ConnectionOwner } from "../net/connection_owner.ts";
import type { Transport } from "../net/transports.ts";
import { callSite } from "./debug.ts";
import type { ExceptionSink } from "./exception_context.ts";

/** Knows the transports that are open, and where they were made. */
export class OpenTransports {
  #made = new Map<Transport, string | undefined>();

  /** The owner of one more transport, which passes on what it is told to `owner`, if there is one. */
  watch(owner: ConnectionOwner | undefined): ConnectionOwner {
    const made = callSite();
    return {
      attach: (transport) => {
        this.#made.set(transport, made);
        owner?.attach(transport);
      },
      detach: (transport) => {
        this.#made.delete(transport);
        owner?.detach(transport);
      },
      handlerStarted: () => owner?.handlerStarted(),
      handlerEnded: () => owner?.handlerEnded(),
    };
  }

  /** Tells `sink` of each transport that is still open, once. */
  report(sink: ExceptionSink): void {
    for (const [transport, made] of this.#made) {
      sink.callExceptionHandler({
        message: "The loop of an unclosed transport was closed",
        transport,
        peername: transport.getExtraInfo("peername"),
        sourceTraceback: made,
      });
    }
    this.#made.clear();
  }
}
