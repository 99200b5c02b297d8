/**
 * Closing a connection on which the peer has sent what nobody read.
 *
 * @module
 */
import type { Carrier } from "./carrier.ts";

/** How long to wait for a peer that was told goodbye while it still sent, in ms. */
const LIMIT = 2_000;
/**
 * How long to look for unread bytes, in ms. Deno asks the system what has come only when it has
 * nothing else to do: to wait for a turn of its loop is not enough.
 */
const LOOK = 1;

/** Instead of what came too late. */
const LATE = Symbol("late");

/** Where unread bytes go; several connections may use it at once. */
let bin: Uint8Array<ArrayBuffer> | undefined;

/** What is known of a connection that is about to be closed. */
export interface Leaving {
  /** A read that is under way; it resolves with `null` at the end. */
  pending?: Promise<unknown> | null | undefined;
  /** Whether the carrier can be half-closed, and has not been. */
  halfClose?: boolean;
}

/** Says goodbye, or takes in what was not read, so that `carrier.close()` takes nothing back. */
export async function leave(carrier: Carrier, leaving: Leaving = {}): Promise<void> {
  leaving.pending?.catch(() => {}); // `close()` may interrupt it.
  if (carrier.goodbye) await carrier.goodbye();
  else await discardUnread(carrier, leaving);
}

/**
 * Takes in what has come and was not read, so that `carrier.close()` takes back nothing of what
 * was sent: a socket closed with unread bytes resets the connection, and what its peer had not
 * received yet is gone. It half-closes; where nothing unread is at hand it returns soon after,
 * otherwise it waits for the peer's end, for {@linkcode LIMIT} at most. A read may be left under
 * way, for `close()` to interrupt.
 */
async function discardUnread(carrier: Carrier, leaving: Leaving): Promise<void> {
  const { pending, halfClose = carrier.canCloseWrite !== false } = leaving;
  if (halfClose) await carrier.closeWrite();
  bin ??= new Uint8Array(65_536);
  const first = pending ?? carrier.read(bin);
  let seen = await within(LOOK, first);
  // On a busy machine a timer may be over before Deno has asked.
  if (seen === LATE) seen = await within(LOOK, first);
  if (seen !== LATE && seen !== null) await within(LIMIT, readToEnd(carrier, bin));
}

async function readToEnd(carrier: Carrier, buffer: Uint8Array): Promise<void> {
  while (await carrier.read(buffer) !== null);
}

/** What a promise comes to, or {@linkcode LATE}. */
async function within(ms: number, promise: Promise<unknown>): Promise<unknown> {
  const { promise: late, resolve } = Promise.withResolvers<unknown>();
  const timer = setTimeout(resolve, ms, LATE);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
