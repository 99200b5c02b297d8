/**
 * Accepting connections, whatever `accept` fails with.
 *
 * @module
 */
import type { ExceptionSink } from "../loop/exception_context.ts";
import { formatAddr, plainAddrs } from "./addresses.ts";

/** How long to wait when there is no descriptor or memory for another connection, in ms. */
const PAUSE = 100;

/**
 * Accepts connections on `listener` until it is closed, one after the other.
 *
 * A peer that has left before it was accepted is passed over. A listener that somebody else has
 * closed is reported and given up. Any other failure, such as a lack of descriptors, is reported
 * once, and tried again every {@linkcode PAUSE} ms: no exit, no busy loop.
 *
 * It is a loop, for a call that waits for one connection makes garbage: some 100 bytes of memory for
 * each of thousands.
 *
 * @param listener Where to accept.
 * @param isClosed Whether the listener has been closed on purpose.
 * @param closed Settled when it is.
 * @param sink Who is told of failures.
 * @param connected Called with each connection; what it returns is waited for before the next one. It
 * doesn't throw.
 */
export async function acceptFrom(
  listener: Deno.Listener,
  isClosed: () => boolean,
  closed: Promise<void>,
  sink: ExceptionSink,
  connected: (conn: Deno.Conn) => void | Promise<void>,
): Promise<void> {
  let reported = false;
  while (!isClosed()) {
    let conn: Deno.Conn;
    try {
      conn = plainAddrs(await listener.accept());
    } catch (exception) {
      if (isClosed()) return;
      if (leftEarly(exception)) continue;
      if (isGone(exception)) {
        report(sink, listener, exception, "it was closed by other means than the server's close()");
        return;
      }
      if (!reported) report(sink, listener, exception, "trying again");
      reported = true;
      await pause(closed);
      continue;
    }
    reported = false;
    const busy = connected(conn);
    if (busy !== undefined) await busy;
  }
}

/** Whether an `accept` failed because its peer was gone before. */
export function leftEarly(error: unknown): boolean {
  return error instanceof Deno.errors.NotConnected ||
    error instanceof Deno.errors.ConnectionAborted ||
    error instanceof Deno.errors.ConnectionReset;
}

function isGone(error: unknown): boolean {
  return error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted;
}

function report(
  sink: ExceptionSink,
  listener: Deno.Listener,
  exception: unknown,
  next: string,
): void {
  sink.callExceptionHandler({
    message: `Can't accept connections on ${formatAddr(listener.addr)}; ${next}`,
    exception,
    socket: listener,
  });
}

async function pause(closed: Promise<void>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, PAUSE);
  await Promise.race([promise, closed]);
  clearTimeout(timer);
}
