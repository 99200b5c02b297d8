/**
 * A carrier part of whose bytes have been read already.
 *
 * @module
 */
import type { Carrier } from "./carrier.ts";
import { leave } from "./linger.ts";

/** What was read of a carrier before somebody else took it over. */
export interface ReadAhead {
  /** Bytes that came, in order. */
  bytes?: Uint8Array | undefined;
  /** A read that is still under way: it resolves with bytes, or with `null` at the end. */
  pending?: Promise<Uint8Array | null> | null | undefined;
}

/** A carrier that gives out what was read ahead before it reads on. */
export class PrefixedCarrier implements Carrier {
  readonly #inner: Carrier;
  #bytes: Uint8Array;
  #pending: Promise<Uint8Array | null> | null;
  #ended = false;

  /** Puts `ahead` in front of what `inner` reads. */
  constructor(inner: Carrier, ahead: ReadAhead) {
    this.#inner = inner;
    this.#bytes = ahead.bytes ?? new Uint8Array();
    this.#pending = ahead.pending ?? null;
  }

  get localAddr(): Deno.Addr | null {
    return this.#inner.localAddr;
  }

  get remoteAddr(): Deno.Addr | null {
    return this.#inner.remoteAddr;
  }

  get canCloseWrite(): boolean {
    return this.#inner.canCloseWrite !== false;
  }

  get extraInfo(): Readonly<Record<string, unknown>> {
    return { socket: this.#inner, ...this.#inner.extraInfo };
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    if (this.#bytes.length === 0 && this.#pending !== null) {
      const bytes = await this.#pending;
      this.#pending = null;
      if (bytes === null) this.#ended = true;
      else this.#bytes = bytes;
    }
    if (this.#ended) return null;
    if (this.#bytes.length === 0) return await this.#inner.read(buffer);
    const part = this.#bytes.subarray(0, buffer.length);
    buffer.set(part);
    this.#bytes = this.#bytes.subarray(part.length);
    return part.length;
  }

  write(data: Uint8Array): Promise<number> {
    return this.#inner.write(data);
  }

  closeWrite(): Promise<void> {
    return this.#inner.closeWrite();
  }

  close(): void {
    this.#inner.close();
  }

  goodbye(): Promise<void> {
    return leave(this.#inner);
  }
}
