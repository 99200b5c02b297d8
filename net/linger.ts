/**
 * Closing a connection on which the peer has sent what nobody read.
 *
 * @module
 */
import type { Carrier } from "./carrier.ts";
import { nextTurn } from "./turn.ts";

/** How long to wait for a peer that was told goodbye while it still sent, in ms. */
const LIMIT = 2_000;

/** Where unread bytes go; several connections may use it at once. */
let bin: Uint8Array<ArrayBuffer> | undefined;

/**
 * Takes in what has come and was not read, so that `carrier.close()` takes back nothing of what
 * was sent: a socket closed with unread bytes resets the connection, and what its peer had not
 * received yet is gone. Where nothing unread is at hand it returns at once; otherwise
 * it half-closes and waits for the peer's end, for {@linkcode LIMIT} at most.
 *
 * @param carrier What to read from. No read may be under way; one may be left under way, for
 * `close()` to interrupt.
 * @param halfClose Whether the carrier can be half-closed, and has not been.
 */
export async function discardUnread(carrier: Carrier, halfClose: boolean): Promise<void> {
  bin ??= new Uint8Array(65_536);
  let read = carrier.read(bin);
  let pending = true;
  read.then(() => pending = false, () => pending = false);
  await nextTurn();
  if (pending || await read === null) return;
  if (halfClose) await carrier.closeWrite();
  const { promise: late, resolve } = Promise.withResolvers<null>();
  const timer = setTimeout(resolve, LIMIT, null);
  try {
    do {
      read = carrier.read(bin);
      read.catch(() => {}); // The one that `close()` will interrupt.
    } while (await Promise.race([read, late]) !== null);
  } finally {
    clearTimeout(timer);
  }
}
