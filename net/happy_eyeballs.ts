/**
 * Happy Eyeballs (RFC 8305): of all addresses of a host, the first that answers.
 *
 * @module
 */
import { familyOf } from "./resolve.ts";
import { startTimer } from "./timers.ts";

/** How addresses are tried. */
export interface FirstOf<T> {
  /** Connects to one address; aborting the signal ends the attempt. */
  connect: (address: string, signal: AbortSignal) => Promise<T>;
  /** Closes a connection that comes too late. */
  discard: (conn: T) => void;
  /** How long to wait for one address before the next is tried, too, in ms. */
  delay: number;
  /** Ends the attempt. */
  signal?: AbortSignal | undefined;
}

/**
 * Takes the two families by turns, each in its own order, so that one that is not reachable costs
 * but one delay.
 *
 * @param addresses Numeric addresses, in the order of preference.
 * @param first How many addresses of the preferred family come before the first of the other; 0
 *   leaves the order as it is.
 */
export function interleave(addresses: readonly string[], first: number): string[] {
  if (first === 0 || addresses.length === 0) return [...addresses];
  const preferred = familyOf(addresses[0]!);
  const own = addresses.filter((address) => familyOf(address) === preferred);
  const other = addresses.filter((address) => familyOf(address) !== preferred);
  const result = own.splice(0, first);
  for (const address of other) result.push(address, ...own.splice(0, 1));
  return [...result, ...own];
}

/**
 * Connects to the first of `addresses` that answers.
 *
 * They are tried in order, the next one as soon as one has failed, or has not answered for
 * `delay` ms. The first connection ends the other attempts.
 *
 * @throws {AggregateError} If all fail: the errors in the order of the addresses.
 */
export async function connectFirst<T>(
  addresses: readonly string[],
  { connect, discard, delay, signal }: FirstOf<T>,
): Promise<T> {
  signal?.throwIfAborted();
  const attempts = new AbortController();
  // `Deno.connect()` calls this once it has connected, and would then drop the connection without closing
  // it: an abort in that very turn would leave the socket open for good. So it hands it over.
  attempts.signal.throwIfAborted = () => {};
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const errors: unknown[] = [];
  let started = 0;
  let failed = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const tryNext = () => {
    clearTimeout(timer);
    if (started === addresses.length || attempts.signal.aborted) return;
    const index = started++;
    if (started < addresses.length) timer = startTimer(tryNext, delay);
    connect(addresses[index]!, attempts.signal).then(connected, (error) => {
      errors[index] = error;
      if (++failed === addresses.length) reject(new AggregateError(errors));
      else tryNext();
    });
  };
  const connected = (conn: T) => {
    if (attempts.signal.aborted) return discard(conn);
    attempts.abort();
    resolve(conn);
  };
  const abort = () => reject(signal!.reason);

  signal?.addEventListener("abort", abort);
  try {
    tryNext();
    return await promise;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
    attempts.abort();
  }
}
