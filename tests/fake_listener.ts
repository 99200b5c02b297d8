// A listener whose connections and failures are scripted.
import { MemoryCarrier } from "./memory_carrier.ts";

/** Accepts what the test says; it waits when nothing is left. */
export class FakeListener implements Deno.Listener {
  readonly addr: Deno.NetAddr = { transport: "tcp", hostname: "127.0.0.1", port: 7 };
  /** How often `accept` was called. */
  accepts = 0;
  closed = false;
  #queue: (Deno.Conn | Error)[] = [];
  #waiter: PromiseWithResolvers<Deno.Conn> | null = null;

  /** The next call of `accept` gives a connection, or fails. */
  push(next: Deno.Conn | Error): void {
    this.#queue.push(next);
    this.#answer();
  }

  /** The next call of `accept` gives a connection over a scripted peer. */
  connect(): MemoryCarrier {
    const carrier = new MemoryCarrier();
    this.push(carrier as unknown as Deno.Conn);
    return carrier;
  }

  accept(): Promise<Deno.Conn> {
    this.accepts++;
    if (this.closed) return Promise.reject(new Deno.errors.BadResource("closed"));
    this.#waiter = Promise.withResolvers();
    const { promise } = this.#waiter;
    this.#answer();
    return promise;
  }

  #answer(): void {
    if (this.#waiter === null) return;
    const next = this.#queue.shift();
    if (next === undefined) return;
    if (next instanceof Error) this.#waiter.reject(next);
    else this.#waiter.resolve(next);
    this.#waiter = null;
  }

  close(): void {
    this.closed = true;
    this.#waiter?.reject(new Deno.errors.BadResource("Listener has been closed"));
    this.#waiter = null;
  }

  ref(): void {}
  unref(): void {}
  [Symbol.dispose](): void {
    this.close();
  }
  async *[Symbol.asyncIterator](): AsyncIterableIterator<Deno.Conn> {
    for (;;) yield await this.accept();
  }
}
