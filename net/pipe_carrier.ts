/**
 * Carriers over the two ends of a pipe, which carries bytes one way only.
 *
 * @module
 */
import type { Carrier } from "./carrier.ts";
import { fairTurn } from "./turn.ts";
import { show } from "./validate.ts";

const DONE = Promise.resolve();

/** The reading end of a pipe, over a stream of bytes. */
export class ReadPipe implements Carrier {
  /** A pipe has no address. */
  readonly localAddr = null;
  /** A pipe has no address. */
  readonly remoteAddr = null;
  /** There is nothing to half-close. */
  readonly canCloseWrite = false;
  /** The stream, as `"pipe"`. */
  readonly extraInfo: Readonly<Record<string, unknown>>;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  /** What came and had no room in the buffer of the read that it came for. */
  #rest = new Uint8Array(0);

  /** Makes a carrier; the stream, that of `pipe`, is its own from now on. */
  constructor(stream: ReadableStream<Uint8Array>, pipe: unknown = stream) {
    this.extraInfo = { pipe };
    this.#reader = stream.getReader();
  }

  /** See {@linkcode Carrier.read}. */
  async read(buffer: Uint8Array): Promise<number | null> {
    while (this.#rest.length === 0) {
      const { done, value } = await this.#reader.read().catch((error) => {
        throw error ?? new Deno.errors.BrokenPipe("the pipe's stream has failed");
      });
      await fairTurn();
      if (done) return null;
      if (!(value instanceof Uint8Array)) {
        throw new TypeError(`a pipe's stream gives Uint8Arrays, not ${show(value)}`);
      }
      this.#rest = value as Uint8Array<ArrayBuffer>;
    }
    const piece = this.#rest.subarray(0, buffer.length);
    buffer.set(piece);
    this.#rest = this.#rest.subarray(piece.length);
    return piece.length;
  }

  /** Fails: there is nothing to write to. */
  write(): Promise<number> {
    return Promise.reject(new TypeError("this end of the pipe can only be read from"));
  }

  /** Does nothing. */
  closeWrite(): Promise<void> {
    return DONE;
  }

  /**
   * Stops reading, so that nobody waits for what is still to come; nor for the stream to have
   * cleaned up, which somebody else's may never say.
   */
  goodbye(): Promise<void> {
    this.close();
    return DONE;
  }

  /** See {@linkcode Carrier.close}. */
  close(): void {
    this.#reader.cancel().catch(() => {}); // It failed before, and whoever read was told.
  }
}

/**
 * The writing end of a pipe, over a stream that takes bytes.
 *
 * The one thing it can read is the end, when the reader is known to be gone, or the stream failed.
 */
export class WritePipe implements Carrier {
  /** A pipe has no address. */
  readonly localAddr = null;
  /** A pipe has no address. */
  readonly remoteAddr = null;
  /** The stream, as `"pipe"`. */
  readonly extraInfo: Readonly<Record<string, unknown>>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #end = Promise.withResolvers<null>();
  #closed: Promise<void> | null = null;

  /** Makes a carrier; the stream, that of `pipe`, is its own from now on. */
  constructor(stream: WritableStream<Uint8Array>, pipe: unknown = stream) {
    this.extraInfo = { pipe };
    this.#writer = stream.getWriter();
    this.#end.promise.catch(() => {}); // Nobody may be reading.
    this.#writer.closed.catch((error) =>
      this.#end.reject(error ?? new Deno.errors.BrokenPipe("the stream takes no more"))
    );
  }

  /** Waits for the end. */
  read(): Promise<null> {
    return this.#end.promise;
  }

  /** See {@linkcode Carrier.write}. */
  async write(data: Uint8Array): Promise<number> {
    // A copy: who writes reuses the memory, and a stream may keep its chunks, or pass them on.
    await this.#writer.write(data.slice());
    return data.length;
  }

  /** Closes the pipe: that is how its reader learns of the end. */
  async closeWrite(): Promise<void> {
    await (this.#closed ??= this.#writer.close());
    this.readerGone();
  }

  /** Closes the pipe, unless that was done. */
  goodbye(): Promise<void> {
    return this.closeWrite();
  }

  /** Says that nobody reads any more. */
  readerGone(): void {
    this.#end.resolve(null);
  }

  /** See {@linkcode Carrier.close}. */
  close(): void {
    this.readerGone();
    if (this.#closed === null) this.#writer.abort().catch(() => {});
  }
}
