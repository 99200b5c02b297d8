/**
 * Reading from a stream.
 *
 * @module
 */
import {
  all,
  bufferedLine,
  bufferedUntil,
  exactly,
  into,
  line,
  nothing,
  some,
  until,
} from "./attempts.ts";
import type { Intake } from "./intake.ts";
import { type Attempt, type Bytes, Reads } from "./reads.ts";
import { type Separator, toSeparators } from "./separators.ts";
import { StreamTransport } from "./stream_transport.ts";
import type { ReadTransport } from "./transports.ts";
import { checkLimit, show } from "./validate.ts";
import type { WaitOptions } from "./wait_options.ts";

/** How many bytes a line may have by default. */
export const DEFAULT_LIMIT = 65_536;

/**
 * What a search asks for, in bytes: memory for small results, whatever the limit is, so that they need
 * not be copied out of a larger chunk.
 */
const SEARCHED = 65_536;

/**
 * So long must the array be that a read fills directly, in bytes: an echo of 64 KiB messages is 8 % faster for
 * that, one of 1 MiB messages 30 %. A shorter one is filled from the buffer, which reads ahead.
 */
const DIRECT = 16_384;

/** Options of {@linkcode StreamReader}. */
export interface StreamReaderOptions {
  /**
   * How many bytes a line, or what comes before a separator, may have.
   *
   * @default {65536}
   */
  limit?: number | undefined;
}

/** The web streams that somebody asked for; a field of each reader would cost idle connections memory. */
const readables = new WeakMap<StreamReader, ReadableStream<Bytes>>();

let intakeOf: (reader: StreamReader) => Reads;

/** The receiving half of a reader, for the package's own use. */
export function getIntake(reader: StreamReader): Intake {
  return intakeOf(reader);
}

/**
 * Reads bytes, lines, frames and separated pieces from a connection, as asyncio's `StreamReader`
 * does.
 *
 * A reader comes from {@linkcode openConnection} or {@linkcode startServer}; one that is made with
 * `new` is fed by hand.
 *
 * What a read returns belongs to the caller: later reads never change it. It may be a view
 * into a larger `ArrayBuffer` of up to 64 KiB, shared with other results: use `slice()`
 * before transferring its buffer or keeping a small piece for long.
 *
 * One read may wait at a time. Every read takes a `signal`; an aborted read loses no byte: the
 * next one gets it. A read may be begun long before its promise is awaited: if it rejects meanwhile,
 * that ends no process.
 *
 * @example Lines
 * ```ts
 * import { StreamReader } from "@asyncio/streams";
 * import { assertEquals } from "@std/assert";
 *
 * const reader = new StreamReader();
 * reader.feedData(new TextEncoder().encode("one\ntwo\n"));
 * reader.feedEof();
 * const lines: string[] = [];
 * for await (const line of reader) lines.push(new TextDecoder().decode(line));
 * assertEquals(lines, ["one\n", "two\n"]);
 * ```
 */
export class StreamReader implements AsyncIterable<Uint8Array<ArrayBuffer>> {
  readonly #reads: Reads;

  static {
    intakeOf = (reader) => reader.#reads;
  }

  /**
   * Makes a reader that is fed by hand.
   *
   * @param options The limit.
   * @throws {TypeError} If the limit is not a number.
   * @throws {RangeError} If the limit is not positive.
   */
  constructor(options: StreamReaderOptions = {}) {
    const { limit = DEFAULT_LIMIT } = options;
    this.#reads = new Reads(checkLimit(limit));
  }

  // Reading

  /**
   * Reads up to `n` bytes.
   *
   * It waits for at least one byte, unless EOF has come: then the result is empty. `read(0)` is
   * empty at once. A negative `n`, as without one, reads to EOF, whatever the limit is.
   *
   * @param n How many bytes, at the most.
   * @param options A signal to end the wait.
   * @returns The bytes; none at EOF.
   * @throws {TypeError} If `n` is not an integer.
   * @throws {Error} If another read waits, the connection is lost, or an exception was set.
   * @throws {unknown} The signal's reason.
   *
   * @example
   * ```ts
   * import { StreamReader } from "@asyncio/streams";
   * import { assertEquals } from "@std/assert";
   *
   * const reader = new StreamReader();
   * reader.feedData(new Uint8Array([1, 2, 3]));
   * assertEquals(await reader.read(2), new Uint8Array([1, 2]));
   * reader.feedEof();
   * assertEquals(await reader.read(), new Uint8Array([3]));
   * assertEquals(await reader.read(), new Uint8Array(0));
   * ```
   */
  read(n = -1, options?: WaitOptions): Promise<Uint8Array<ArrayBuffer>> {
    const reads = this.#reads;
    if (!Number.isInteger(n)) return refuseCount("read", n);
    if (n < 0) return reads.wait("read", all, Infinity, options);
    if (n === 0) return reads.wait("read", nothing, 0, options);
    if (reads.length > 0 && reads.free && options === undefined) {
      return promiseOf(reads.take(Math.min(n, reads.length)));
    }
    return reads.wait("read", some, n, options);
  }

  /**
   * Reads into the caller's memory: as many bytes as have come and fit.
   *
   * It waits for at least one byte, unless EOF has come. Over TCP and Unix sockets, reading into one
   * array again and again makes no garbage, which is most of what bulk costs. {@linkcode
   * StreamWriter.write} copies, so a proxy may read into the array again at once.
   *
   * Until the promise settles, leave the array alone, and don't transfer or resize its memory: a
   * connection may store bytes in it at any moment. While it does (for 16 KiB and more, and without a
   * `signal`), what is done by hand, as {@linkcode setException} or {@linkcode feedData}, shows only with
   * the next bytes or with the connection's end. A `signal` ends the wait at once.
   *
   * @param target Where to put the bytes, from its start.
   * @param options A signal to end the wait.
   * @returns How many bytes; 0 at EOF, or if `target` is empty.
   * @throws {TypeError} If `target` is not a `Uint8Array`, or was transferred.
   * @throws {Error} If another read waits, the connection is lost, or an exception was set.
   * @throws {unknown} The signal's reason.
   *
   * @example
   * ```ts
   * import { StreamReader } from "@asyncio/streams";
   * import { assertEquals } from "@std/assert";
   *
   * const reader = new StreamReader();
   * reader.feedData(new Uint8Array([1, 2, 3]));
   * reader.feedEof();
   * const block = new Uint8Array(2);
   * const sizes: number[] = [];
   * for (let n; (n = await reader.readInto(block)) > 0;) sizes.push(n);
   * assertEquals(sizes, [2, 1]);
   * ```
   */
  readInto(target: Uint8Array, options?: WaitOptions): Promise<number> {
    if (!(target instanceof Uint8Array)) {
      return Promise.reject(new TypeError(`readInto() takes a Uint8Array, not ${show(target)}`));
    }
    const reads = this.#reads;
    const { length, buffer } = target;
    if (length === 0) {
      // 0 would pass for the end.
      if (buffer instanceof ArrayBuffer && buffer.detached) {
        return Promise.reject(new TypeError("readInto() takes no array that was transferred"));
      }
      return reads.wait("readInto", () => 0, 0, options);
    }
    if (reads.length > 0 && reads.free && options === undefined) {
      return Promise.resolve(reads.moveTo(target));
    }
    // What can be given up must not be stored into afterwards: it gets a copy.
    const direct = length >= DIRECT && options?.signal === undefined;
    const attempt: Attempt<number> = (reads, _, placed) => into(reads, target, placed);
    return reads.wait("readInto", attempt, length, options, direct ? target : null);
  }

  /**
   * Reads a line, with the newline (`"\n"`) that ends it.
   *
   * At EOF the result is what is left, without a newline, and empty if nothing is left.
   *
   * @param options A signal to end the wait.
   * @returns The line.
   * @throws {RangeError} If the line is longer than the limit, not counting its newline. If its
   * end has come, the line is dropped; else all that has come is dropped, and the rest of the line
   * will be read as a line of its own.
   * @throws {Error} If another read waits, the connection is lost, or an exception was set.
   * @throws {unknown} The signal's reason.
   *
   * @example
   * ```ts
   * import { StreamReader } from "@asyncio/streams";
   * import { assertEquals } from "@std/assert";
   *
   * const reader = new StreamReader();
   * reader.feedData(new TextEncoder().encode("a line\nmore"));
   * assertEquals(new TextDecoder().decode(await reader.readLine()), "a line\n");
   * ```
   */
  readLine(options?: WaitOptions): Promise<Uint8Array<ArrayBuffer>> {
    const reads = this.#reads;
    if (options === undefined && reads.length > 0) {
      const data = bufferedLine(reads);
      if (data !== null) return promiseOf(data);
    }
    return reads.wait("readLine", line, SEARCHED, options);
  }

  /**
   * Reads exactly `n` bytes, whatever the limit is.
   *
   * Memory grows with the bytes that come, not with `n`.
   *
   * @param n How many bytes.
   * @param options A signal to end the wait.
   * @returns The bytes.
   * @throws {TypeError} If `n` is not an integer.
   * @throws {RangeError} If `n` is negative.
   * @throws {IncompleteReadError} If EOF comes first. What had come is in its `partial`.
   * @throws {Error} If another read waits, the connection is lost, or an exception was set.
   * @throws {unknown} The signal's reason.
   *
   * @example
   * ```ts
   * import { StreamReader } from "@asyncio/streams";
   * import { assertEquals } from "@std/assert";
   *
   * const reader = new StreamReader();
   * reader.feedData(new Uint8Array([0, 2, 7, 8, 9]));
   * const header = await reader.readExactly(2);
   * const length = new DataView(header.buffer, header.byteOffset).getUint16(0);
   * assertEquals(await reader.readExactly(length), new Uint8Array([7, 8]));
   * ```
   */
  readExactly(n: number, options?: WaitOptions): Promise<Uint8Array<ArrayBuffer>> {
    if (!Number.isInteger(n)) return refuseCount("readExactly", n);
    if (n < 0) {
      return Promise.reject(new RangeError(`readExactly() takes no negative count, got ${n}`));
    }
    const reads = this.#reads;
    if (n === 0) return reads.wait("readExactly", nothing, 0, options);
    if (reads.length >= n && reads.free && options === undefined) {
      return promiseOf(reads.take(n));
    }
    return reads.wait("readExactly", exactly, n, options);
  }

  /**
   * Reads until a separator has come; the result ends with it.
   *
   * @param separator What to look for: bytes, text (as UTF-8), or a list of them, of which the one
   * that ends first counts, and of those that end there the longest.
   * @param options A signal to end the wait.
   * @returns The bytes up to and with the separator.
   * @throws {TypeError} If a separator is neither bytes nor text.
   * @throws {RangeError} If a separator or the list is empty.
   * @throws {LimitOverrunError} If more bytes than the limit come before the separator. They stay in
   * the buffer.
   * @throws {IncompleteReadError} If EOF comes first. What was left is in its `partial`.
   * @throws {Error} If another read waits, the connection is lost, or an exception was set.
   * @throws {unknown} The signal's reason.
   *
   * @example
   * ```ts
   * import { StreamReader } from "@asyncio/streams";
   * import { assertEquals } from "@std/assert";
   *
   * const reader = new StreamReader();
   * reader.feedData(new TextEncoder().encode("Host: a\r\n\r\nbody"));
   * const head = new TextDecoder().decode(await reader.readUntil(["\r\n\r\n", "\n\n"]));
   * assertEquals(head, "Host: a\r\n\r\n");
   * ```
   */
  readUntil(
    separator: Separator | readonly Separator[] = "\n",
    options?: WaitOptions,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const reads = this.#reads;
    if (options === undefined && reads.free && !Array.isArray(separator)) {
      const data = bufferedUntil(reads, separator as Separator);
      if (data !== null) return promiseOf(data);
    }
    let separators: Uint8Array[];
    try {
      separators = toSeparators(separator);
    } catch (error) {
      return Promise.reject(error);
    }
    const longest = Math.max(...separators.map((bytes) => bytes.length));
    return reads.wait(
      "readUntil",
      (reads, read) => until(reads, separators, longest, read),
      SEARCHED,
      options,
    );
  }

  /**
   * Whether EOF has come and all before it was read.
   *
   * @example
   * ```ts
   * import { StreamReader } from "@asyncio/streams";
   * import { assert } from "@std/assert";
   *
   * const reader = new StreamReader();
   * reader.feedEof();
   * assert(reader.atEof());
   * ```
   */
  atEof(): boolean {
    return this.#reads.eof && this.#reads.length === 0;
  }

  /** The lines, as {@linkcode readLine} reads them, up to EOF. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Uint8Array<ArrayBuffer>> {
    const iterator: AsyncIterableIterator<Uint8Array<ArrayBuffer>> = {
      next: () => {
        const value = bufferedLine(this.#reads);
        return value === null
          ? this.readLine().then(toIteratorResult)
          : Promise.resolve({ value, done: false });
      },
      [Symbol.asyncIterator]: () => iterator,
    };
    return iterator;
  }

  /**
   * The bytes as a web stream, made when first asked for.
   *
   * Cancelling it ends its own wait; it closes nothing and loses no byte. Don't read
   * otherwise while it is being read.
   */
  get readable(): ReadableStream<Uint8Array<ArrayBuffer>> {
    const known = readables.get(this);
    if (known !== undefined) return known;
    const cancelled = new AbortController();
    // Not a stream of type "bytes": those take each chunk's whole memory away.
    const readable = new ReadableStream<Bytes>({
      pull: async (controller) => {
        // Handed on as it is taken: what a cancelled stream had waited for stays in the buffer.
        const attempt: Attempt<Bytes> = (reads, read) => {
          const data = some(reads, read);
          if (data !== null && data.length > 0) controller.enqueue(data);
          else if (data !== null) controller.close();
          return data;
        };
        await this.#reads.wait("read", attempt, DEFAULT_LIMIT, { signal: cancelled.signal });
      },
      cancel: (reason) => cancelled.abort(reason),
    }, { highWaterMark: 0 });
    readables.set(this, readable);
    return readable;
  }

  // Feeding

  /**
   * Adds bytes as if they had come from a peer. They are copied.
   *
   * @param data The bytes.
   * @throws {TypeError} If `data` is not a `Uint8Array`.
   * @throws {Error} After {@linkcode feedEof}.
   */
  feedData(data: Uint8Array): void {
    if (!(data instanceof Uint8Array)) throw new TypeError("feedData() takes a Uint8Array");
    if (this.#reads.eof) throw new Error("feedData() after feedEof()");
    if (data.length > 0) this.#reads.feed(data);
  }

  /** Says that no more bytes come; it may be called twice. */
  feedEof(): void {
    this.#reads.feedEof();
  }

  /** The exception that was set, or that ended the connection, or `null`. */
  exception(): Error | null {
    return this.#reads.exception;
  }

  /**
   * Makes the read that waits and every later one reject with `exception`. It is not an EOF. For a
   * {@linkcode readInto} that waits, see there.
   *
   * @param exception What to reject with.
   */
  setException(exception: Error): void {
    this.#reads.setException(exception);
  }

  /**
   * Sets the transport that feeds this reader; `StreamReaderProtocol` does it.
   *
   * It is paused while more than twice the limit is buffered.
   *
   * @param transport The transport, whose protocol feeds this reader.
   * @throws {Error} If the reader has one already.
   */
  setTransport(transport: ReadTransport): void {
    if (this.#reads.hasTransport) throw new Error("the reader has a transport already");
    this.#reads.pushedBy(transport);
  }
}

/**
 * Lets `reader` pull from a transport of this package, in place of being fed by its protocol: then
 * nothing is read that nobody asked for.
 *
 * @returns `false` where that can't be, or where a subclass wants to see what it is fed.
 */
export function pullFrom(reader: StreamReader, transport: ReadTransport): boolean {
  const { feedData, feedEof, setTransport } = StreamReader.prototype;
  return reader.feedData === feedData && reader.feedEof === feedEof &&
    reader.setTransport === setTransport && !intakeOf(reader).hasTransport &&
    transport instanceof StreamTransport && transport.pulledBy(intakeOf(reader));
}

/**
 * A promise of `data`. The look at its length tells V8's optimizer that it is a `Uint8Array` and no
 * thenable; without it every promise searches the prototypes for `then`: 62 ns a read, not 37.
 */
function promiseOf(data: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  void data.length;
  return Promise.resolve(data);
}

function refuseCount(name: string, n: unknown): Promise<never> {
  return Promise.reject(
    new TypeError(`${name}() takes an integer number of bytes, not ${show(n)}`),
  );
}

function toIteratorResult(
  line: Uint8Array<ArrayBuffer>,
): IteratorResult<Uint8Array<ArrayBuffer>, undefined> {
  return line.length > 0 ? { value: line, done: false } : { value: undefined, done: true };
}
