/**
 * What each kind of read does with what is buffered: it answers, returns `null` if it needs more
 * bytes, or throws.
 *
 * @module
 */
import { concat } from "@std/bytes/concat";
import { IncompleteReadError, LimitOverrunError } from "./errors.ts";
import type { Bytes, Progress, Reads } from "./reads.ts";
import { encode, type Separator } from "./separators.ts";

/** Nothing, which is always there. */
export function nothing(): Bytes {
  return new Uint8Array(0);
}

/** Up to so many bytes as are wanted. */
export function some(reads: Reads, { want }: Progress): Bytes | null {
  if (reads.length > 0) return reads.take(Math.min(want, reads.length));
  return reads.eof ? nothing() : null;
}

/** As many bytes as fit `target`: their number. `placed` are there already. */
export function into(reads: Reads, target: Uint8Array, placed: number): number | null {
  if (placed > 0) return placed;
  if (target.length === 0) throw new TypeError("the array of readInto() was detached or shrunk");
  if (reads.length > 0) return reads.moveTo(target);
  return reads.eof ? 0 : null;
}

/** All to EOF. It moves what comes out of the buffer: no other read can have it meanwhile. */
export function all(reads: Reads, read: Progress): Bytes | null {
  if (reads.isAnothers(read)) return null;
  const blocks = read.blocks ??= [];
  if (reads.length > 0) {
    blocks.push(reads.take(reads.length));
    // An exception set in the turn in which these came is found before the end is, as in asyncio.
    if (reads.exceptionSet) return null;
  }
  return reads.eof ? concat(blocks) : null;
}

/** Exactly so many bytes as are wanted. */
export function exactly(reads: Reads, { want }: Progress): Bytes | null {
  if (reads.length >= want) return reads.take(want);
  if (reads.eof) throw new IncompleteReadError(reads.take(reads.length), want);
  return null;
}

/** A whole line that can be had at once, or `null`. */
export function bufferedLine(reads: Reads): Bytes | null {
  if (!reads.free) return null;
  const at = reads.indexOfNewline(0);
  return at === -1 || at > reads.limit ? null : reads.take(at + 1);
}

/** A line. */
export function line(reads: Reads, read: Progress): Bytes | null {
  const { limit } = reads;
  const at = reads.indexOfNewline(read.searched);
  if (at !== -1 && at <= limit) return reads.take(at + 1);
  const { length } = reads;
  if (at !== -1 || length > limit) {
    reads.skip(at === -1 ? length : at + 1);
    throw new RangeError(`the line is longer than the limit of ${limit} bytes`);
  }
  if (reads.eof) return reads.take(length);
  read.searched = length;
  return null;
}

/**
 * The bytes up to and with `separator` that can be had at once, or `null`: without the closures of
 * {@linkcode until} three times as fast.
 */
export function bufferedUntil(reads: Reads, separator: Separator): Bytes | null {
  const bytes = typeof separator === "string" ? encode(separator) : separator;
  if (!(bytes instanceof Uint8Array) || bytes.length === 0) return null;
  const at = reads.indexOf(bytes, 0, reads.length);
  return at === -1 || at > reads.limit ? null : reads.take(at + bytes.length);
}

/** The bytes up to and with one of `separators`, the longest of which has `longest` bytes. */
export function until(
  reads: Reads,
  separators: readonly Uint8Array[],
  longest: number,
  read: Progress,
): Bytes | null {
  const { limit } = reads;
  const match = reads.find(separators, read.searched);
  if (match !== null) {
    if (match.start <= limit) return reads.take(match.end);
    throw overrun("a separator was found", limit, match.start);
  }
  // A match may have begun in the last bytes.
  const searched = Math.max(0, reads.length + 1 - longest);
  if (searched > limit) throw overrun("no separator was found", limit, searched);
  if (reads.eof) throw new IncompleteReadError(reads.take(reads.length), null);
  read.searched = searched;
  return null;
}

function overrun(what: string, limit: number, consumed: number): LimitOverrunError {
  return new LimitOverrunError(`${what}, beyond the limit of ${limit} bytes`, consumed);
}
