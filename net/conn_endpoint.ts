/**
 * A socket's end over a connection of Deno's, which only knows calls that wait.
 *
 * @module
 */
import { ByteChannel, CAPACITY } from "./byte_channel.ts";
import type { Carrier } from "./carrier.ts";
import { type Endpoint, receive } from "./endpoint.ts";
import { unheeded } from "./waiters.ts";

/** How many bytes to read ahead, at the least. */
const AHEAD = 4_096;

/**
 * One end of a connection, with the two buffers the system has for a socket: one read is under
 * way while somebody wants to know whether there is anything to receive, and what
 * {@linkcode ConnEndpoint.send} took is sent in the background.
 */
export class ConnEndpoint implements Endpoint {
  readonly #conn: Carrier;
  readonly #in = new ByteChannel();
  readonly #out = new ByteChannel();
  #reading = false;
  #flushing: Promise<void> | null = null;
  #closed = false;

  /** Makes an end of an open connection, which is its own from now on. */
  constructor(conn: Carrier) {
    this.#conn = conn;
  }

  get localAddr(): Deno.Addr {
    return this.#conn.localAddr!; // Only pipes have none.
  }

  get remoteAddr(): Deno.Addr {
    return this.#conn.remoteAddr!;
  }

  get readable(): boolean {
    return this.#in.readable;
  }

  get writable(): boolean {
    return this.#out.writable;
  }

  get closed(): boolean {
    return this.#closed;
  }

  recvInto(buffer: Uint8Array): number | null | undefined {
    const n = this.#in.read(buffer);
    if (n === undefined) this.#readAhead(buffer.length);
    return n;
  }

  whenReadable(callback: () => void): () => void {
    this.#readAhead(AHEAD);
    return this.#in.whenReadable(callback);
  }

  #readAhead(want: number): void {
    if (this.#reading || this.#in.readable) return;
    const buffer = new Uint8Array(Math.min(Math.max(want, AHEAD), CAPACITY));
    const came = (n: number | null) => n !== null && this.#in.write(buffer.subarray(0, n));
    this.#readConn(buffer, came).catch(() => {}); // The channel has the error.
  }

  #readConn(
    buffer: Uint8Array,
    came: (n: number | null) => unknown,
  ): Promise<number | null> {
    this.#reading = true;
    return this.#conn.read(buffer).then((n) => {
      this.#reading = false;
      if (n === null) this.#in.end();
      came(n);
      return n;
    }, (error) => {
      this.#reading = false;
      this.#in.end(error);
      throw error;
    });
  }

  read(buffer: Uint8Array): Promise<number | null> {
    const ahead = this.#reading || this.#in.readable;
    // Who has come to wait behind it looks again.
    return ahead ? receive(this, buffer) : this.#readConn(buffer, () => this.#in.nudge());
  }

  send(data: Uint8Array): number {
    const n = this.#out.write(data);
    if (n > 0) this.#flushing ??= this.#flush();
    return n;
  }

  whenWritable(callback: () => void): () => void {
    return this.#out.whenWritable(callback);
  }

  async #flush(): Promise<void> {
    try {
      while (this.#out.length > 0) {
        const bytes = new Uint8Array(this.#out.length);
        this.#out.read(bytes);
        for (let at = 0; at < bytes.length;) at += await this.#conn.write(bytes.subarray(at));
      }
    } catch (error) {
      // As with the system's sockets, it is told to the next who sends.
      this.#out.clear();
      this.#out.refuse(error);
    }
    this.#flushing = null;
  }

  async write(data: Uint8Array): Promise<number> {
    await this.#flushing;
    return await this.#conn.write(data);
  }

  async closeWrite(): Promise<void> {
    await this.#flushing;
    await this.#conn.closeWrite();
    this.#out.refuse(new Deno.errors.BrokenPipe("this end has been told to send no more"));
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    const interrupted = new Deno.errors.Interrupted("the socket was closed");
    this.#in.clear();
    this.#in.end(interrupted);
    this.#out.refuse(interrupted);
    if (this.#flushing === null) this.#conn.close();
    else unheeded(this.#flushing.then(() => this.#conn.close())); // It may be closed by then.
  }

  abort(): void {
    if (this.#flushing !== null) this.#conn.close();
  }
}
