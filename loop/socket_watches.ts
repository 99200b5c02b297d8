/**
 * Callbacks that run as long as a socket is ready.
 *
 * @module
 */
import type { Pollable } from "../net/endpoint.ts";
import { type CallbackOwner, Handle } from "./handle.ts";
import type { ReadySource } from "./scheduler.ts";

/** What is watched for. */
export type Side = "reader" | "writer";

/** One callback, and the socket's end it waits for. */
class Watch {
  readonly socket: object;
  readonly side: Side;
  readonly end: Pollable;
  readonly #callback: (...args: never[]) => unknown;
  readonly #args: unknown[];
  readonly #owner: CallbackOwner;
  #next: Handle;
  #forget: () => void = () => {};

  constructor(
    socket: object,
    side: Side,
    end: Pollable,
    callback: (...args: never[]) => unknown,
    args: unknown[],
    owner: CallbackOwner,
  ) {
    this.socket = socket;
    this.side = side;
    this.end = end;
    this.#callback = callback;
    this.#args = args;
    this.#owner = owner;
    this.#next = this.#makeHandle();
  }

  get ready(): boolean {
    return this.side === "reader" ? this.end.readable : this.end.writable;
  }

  /** Calls `wake` once the end is ready, which it is not. */
  arm(wake: () => void): void {
    this.#forget = this.side === "reader"
      ? this.end.whenReadable(wake)
      : this.end.whenWritable(wake);
  }

  /** The handle of the next call. */
  get handle(): Handle {
    return this.#next;
  }

  cancel(): void {
    this.#forget();
    this.#next.cancel();
  }

  #makeHandle(): Handle {
    const run = () => {
      // A handle runs once, in the async context that it was made in: the next one is made here.
      this.#next = this.#makeHandle();
      return this.#callback(...this.#args as never[]);
    };
    Object.defineProperty(run, "name", { value: this.#callback.name });
    return new Handle(run, [], this.#owner);
  }
}

/** The watches of a loop. */
export class SocketWatches implements ReadySource {
  readonly #watches = new Map<object, Partial<Record<Side, Watch>>>();
  /** Those that were ready when looked at last: like a selector's, readers before writers. */
  readonly #ready = new Set<Watch>();
  /** Called when a socket has become ready; set by the loop. */
  wake: () => void = () => {};

  /** Watches `end`, the end of `socket`, in place of what was watched for on that side. */
  add(
    socket: object,
    side: Side,
    end: Pollable,
    callback: (...args: never[]) => unknown,
    args: unknown[],
    owner: CallbackOwner,
  ): void {
    const watch = new Watch(socket, side, end, callback, args, owner);
    this.remove(socket, side);
    const both = this.#watches.get(socket) ?? {};
    both[side] = watch;
    this.#watches.set(socket, both);
    this.#look(watch);
  }

  /** Ends a watch; `false` if there is none. */
  remove(socket: object, side: Side): boolean {
    const both = this.#watches.get(socket);
    const watch = both?.[side];
    if (both === undefined || watch === undefined) return false;
    watch.cancel();
    this.#ready.delete(watch);
    delete both[side];
    if (Object.keys(both).length === 0) this.#watches.delete(socket);
    return true;
  }

  /** Ends all watches. */
  clear(): void {
    for (const socket of [...this.#watches.keys()]) {
      this.remove(socket, "reader");
      this.remove(socket, "writer");
    }
  }

  /** Whether a socket is ready. */
  isReady(): boolean {
    for (const watch of this.#ready) {
      if (watch.ready) return true;
      this.#look(watch);
    }
    return false;
  }

  /** The handles of the sockets that are ready: one call each. */
  takeReady(): Handle[] {
    const handles: Handle[] = [];
    for (const watch of this.#ready) {
      if (watch.ready) handles.push(watch.handle);
      else this.#look(watch);
    }
    return handles;
  }

  #look(watch: Watch): void {
    if (watch.end.closed) {
      this.remove(watch.socket, watch.side);
    } else if (watch.ready) {
      this.#ready.add(watch);
      this.wake();
    } else {
      this.#ready.delete(watch);
      watch.arm(() => this.#look(watch));
    }
  }
}
