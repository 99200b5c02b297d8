/**
 * The one shape everything that carries bytes has: TCP, Unix, TLS, memory,
 * pipes and child processes. A `Deno.Conn` is one as it stands.
 *
 * @module
 */

/**
 * A duplex byte carrier, the narrow part of `Deno.Conn` that buffering, flow
 * control and closing are written on.
 *
 * At most one `read` and one `write` are under way at a time. What fails rejects with an `Error`.
 */
export interface Carrier {
  /** The address of this end; `null` for what has none, as a pipe. */
  readonly localAddr: Deno.Addr | null;
  /** The address of the other end; `null` for what has none. */
  readonly remoteAddr: Deno.Addr | null;
  /**
   * Waits for at least one byte and stores what came at the start of `buffer`.
   *
   * @param buffer Where the bytes go; it must not be empty.
   * @returns How many bytes came, or `null` when the peer has said it sends no more.
   */
  read(buffer: Uint8Array): Promise<number | null>;
  /**
   * Waits like {@linkcode read}, and gives out what came in memory that is the caller's from then
   * on. It is there where bytes come in memory of their own, and saves copying them.
   *
   * @returns At least one byte, or `null` when the peer has said it sends no more.
   */
  receive?(): Promise<Uint8Array<ArrayBuffer> | null>;
  /**
   * Sends a part of `data`, as much as the other end takes now.
   *
   * @param data The bytes; they must not change until the promise settles.
   * @returns How many bytes were taken, at least one.
   */
  write(data: Uint8Array): Promise<number>;
  /** Says that no more bytes come from this end; reading goes on. */
  closeWrite(): Promise<void>;
  /** Frees the resource now; pending reads and writes are rejected. */
  close(): void;
  /**
   * Says goodbye before {@linkcode close} (the `close_notify` of TLS), after the
   * last write, and sees to it that closing takes back nothing of what was sent. It always ends:
   * what it waits for has a time limit of its own.
   */
  goodbye?(): Promise<void>;
  /** `false` where {@linkcode closeWrite} can't be had, as over TLS; absent means `true`. */
  readonly canCloseWrite?: boolean;
  /**
   * What reads fail with where the receiving direction alone has ended, as over TLS by a cut without
   * goodbye: writing goes on.
   */
  readonly readFault?: unknown;
  /**
   * What this carrier knows beyond its addresses, under asyncio's names
   * (`sslcontext`, `peercert`, `cipher`, …).
   */
  readonly extraInfo?: Readonly<Record<string, unknown>>;
}

/** Reads from `carrier`; somebody else's may throw where it should reject. */
export function readFrom(carrier: Carrier, buffer: Uint8Array): Promise<number | null> {
  try {
    return carrier.read(buffer);
  } catch (error) {
    return Promise.reject(error);
  }
}

/** Writes to `carrier`, likewise. */
export function writeTo(carrier: Carrier, data: Uint8Array): Promise<number> {
  try {
    return carrier.write(data);
  } catch (error) {
    return Promise.reject(error);
  }
}
