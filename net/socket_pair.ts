/**
 * Two connected ends inside the process.
 *
 * @module
 */
import { ByteChannel } from "./byte_channel.ts";
import { type Endpoint, receive, wait } from "./endpoint.ts";
import { endpointSocket, type Socket } from "./socket.ts";

/** One end of a pair: what it sends is at once at the other. */
class MemoryEndpoint implements Endpoint {
  readonly localAddr: Deno.Addr = { transport: "unix", path: null as unknown as string };
  readonly remoteAddr: Deno.Addr = this.localAddr;
  readonly #in: ByteChannel;
  readonly #out: ByteChannel;
  #closed = false;

  constructor(incoming: ByteChannel, outgoing: ByteChannel) {
    this.#in = incoming;
    this.#out = outgoing;
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
    return this.#in.read(buffer);
  }

  send(data: Uint8Array): number {
    return this.#out.write(data);
  }

  whenReadable(callback: () => void): () => void {
    return this.#in.whenReadable(callback);
  }

  whenWritable(callback: () => void): () => void {
    return this.#out.whenWritable(callback);
  }

  read(buffer: Uint8Array): Promise<number | null> {
    return receive(this, buffer);
  }

  async write(data: Uint8Array): Promise<number> {
    for (;;) {
      const n = this.send(data);
      if (n > 0 || data.length === 0) return n;
      await wait((callback) => this.whenWritable(callback));
    }
  }

  closeWrite(): Promise<void> {
    this.#out.end();
    this.#out.refuse(new Deno.errors.BrokenPipe("this end has been told to send no more"));
    return Promise.resolve();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    const interrupted = new Deno.errors.Interrupted("the socket was closed");
    // As with the system's sockets: the peer is told if bytes that it sent were lost.
    const unread = this.#in.length;
    this.#out.end(
      unread === 0 ? null : new Deno.errors.ConnectionReset(
        `the other end was closed before it had read ${unread} bytes`,
      ),
    );
    this.#out.refuse(interrupted);
    this.#in.clear();
    this.#in.end(interrupted);
    this.#in.refuse(new Deno.errors.BrokenPipe("the other end is closed"));
  }
}

/**
 * Makes two connected sockets inside the process: what one sends, the other receives.
 *
 * They behave like those of the system's `socketpair`: each direction holds up to 64 KiB, so that
 * who sends more waits for who receives; each can be ended by itself; and closing one end is seen
 * at the other. They need no permission, and can be used as `sock` wherever a connection can.
 *
 * @returns The two ends.
 *
 * @example Streams between two parts of a program
 * ```ts
 * import { openConnection, socketPair } from "@asyncio/streams";
 * import { assertEquals } from "@std/assert";
 *
 * const [left, right] = socketPair();
 * const [reader, writer] = await openConnection({ sock: left });
 * await using _ = writer;
 *
 * right.send(new TextEncoder().encode("hello\n"));
 * right.close();
 * assertEquals(new TextDecoder().decode(await reader.readLine()), "hello\n");
 * ```
 */
export function socketPair(): [Socket, Socket] {
  const [left, right] = [new ByteChannel(), new ByteChannel()];
  return [
    endpointSocket(new MemoryEndpoint(left, right)),
    endpointSocket(new MemoryEndpoint(right, left)),
  ];
}
