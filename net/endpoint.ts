/**
 * What a socket stands on: calls that never wait, and a way to know when to call them.
 *
 * @module
 */
import type { Carrier } from "./carrier.ts";
import { fairTurn } from "./turn.ts";

/** Something whose readiness can be watched. */
export interface Pollable {
  /** Whether a call that receives has an answer now, be it an error. */
  readonly readable: boolean;
  /** Whether a call that sends has an answer now, be it an error. */
  readonly writable: boolean;
  /** Whether it was closed by this side. */
  readonly closed: boolean;
  /** Calls `callback` once, when it is readable or closed; returns what takes that back. */
  whenReadable(callback: () => void): () => void;
  /** Calls `callback` once, when it is writable or closed; returns what takes that back. */
  whenWritable(callback: () => void): () => void;
  /** Frees the resource. */
  close(): void;
}

/** One end of a byte stream. */
export interface Endpoint extends Pollable, Carrier {
  /** The address of this end. */
  readonly localAddr: Deno.Addr;
  /** The address of the other end. */
  readonly remoteAddr: Deno.Addr;
  /** Moves what came to `buffer`: how many bytes, `null` at the end, `undefined` if none came yet. */
  recvInto(buffer: Uint8Array): number | null | undefined;
  /** Takes as much of `data` as there is room for: how many bytes that is. */
  send(data: Uint8Array): number;
  /** Frees the resource though something is still to be sent, where closing waits for that. */
  abort?(): void;
}

/** Waits for `when` to call back; an abort takes it back. */
export async function wait(
  when: (callback: () => void) => () => void,
  signal?: AbortSignal,
): Promise<void> {
  signal?.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const forget = when(resolve);
  const abort = () => {
    forget();
    reject(signal!.reason);
  };
  signal?.addEventListener("abort", abort);
  try {
    await promise;
    await fairTurn();
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

/** Waits for bytes, or the end, and moves them to `buffer`. */
export async function receive(
  endpoint: Endpoint,
  buffer: Uint8Array,
  signal?: AbortSignal,
): Promise<number | null> {
  signal?.throwIfAborted();
  for (;;) {
    const n = endpoint.recvInto(buffer);
    if (n !== undefined) return n;
    await wait((callback) => endpoint.whenReadable(callback), signal);
  }
}
