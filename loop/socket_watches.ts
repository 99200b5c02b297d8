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

/** What is called, and by whom. */
export interface WatchInit {
  /** The end that is watched. */
  end: Pollable;
  /** What to call. */
  callback: (...args: never[]) => unknown;
  /** What to call it with. */
  args: unknown[];
  /** The loop. */
  owner: CallbackOwner;
}

/** One callback of one socket. */
class Watch {
  readonly end: Pollable;
  readonly #side: Side;
  readonly #init: WatchInit;
  #handle: Handle;
  #disarm: (() => void) | null = null;

  constructor(side: Side, init: WatchInit) {
    this.end = init.end;
    this.#side = side;
    this.#init = init;
    this.#handle = this.#makeHandle();
  }

  get ready(): boolean {
    return this.#side === "reader" ? this.end.readable : this.end.writable;
  }

  /** The handle of the next call. */
  get handle(): Handle {
    return this.#handle;
  }

  /** Calls `changed` once the end, which is not ready, may be; asking twice asks once. */
  arm(changed: () => void): void {
    if (this.#disarm !== null) return;
    const call = () => {
      this.#disarm = null;
      changed();
    };
    this.#disarm = this.#side === "reader"
      ? this.end.whenReadable(call)
      : this.end.whenWritable(call);
  }

  cancel(): void {
    this.#disarm?.();
    this.#handle.cancel();
  }

  #makeHandle(): Handle {
    const { callback, args, owner } = this.#init;
    const run = () => {
      // A handle runs once, in the async context that it was made in: the next one is made here.
      this.#handle = this.#makeHandle();
      return callback(...args as never[]);
    };
    Object.defineProperty(run, "name", { value: callback.name });
    return new Handle(run, [], owner);
  }
}

/** The watches of one socket, the reader before the writer: CPython calls them in that order. */
type Sides = Record<Side, Watch | null>;

/** The watches of a loop. */
export class SocketWatches implements ReadySource {
  /** Called when a socket has become ready; set by the loop. */
  wake: () => void = () => {};
  readonly #sockets = new Map<object, Sides>();
  /** The sockets that were ready when looked at last. */
  readonly #ready = new Set<object>();

  /** Watches a socket's end, in place of what was watched for on that side. */
  add(socket: object, side: Side, init: WatchInit): void {
    const sides = this.#sockets.get(socket) ?? { reader: null, writer: null };
    const watch = new Watch(side, init);
    sides[side]?.cancel();
    sides[side] = watch;
    this.#sockets.set(socket, sides);
    this.#look(socket, watch);
  }

  /** Ends a watch; `false` if there is none. */
  remove(socket: object, side: Side): boolean {
    const sides = this.#sockets.get(socket);
    const watch = sides?.[side] ?? null;
    if (watch === null) return false;
    watch.cancel();
    sides![side] = null;
    if (sides!.reader === null && sides!.writer === null) this.#forget(socket);
    return true;
  }

  /** Ends all watches. */
  clear(): void {
    for (const socket of [...this.#sockets.keys()]) {
      this.remove(socket, "reader");
      this.remove(socket, "writer");
    }
  }

  /** Whether a socket is ready. */
  isReady(): boolean {
    return this.#takeWatches().length > 0;
  }

  /** The handles of the sockets that are ready: one call each. */
  takeReady(): Handle[] {
    return this.#takeWatches().map(({ handle }) => handle);
  }

  #takeWatches(): Watch[] {
    return [...this.#ready].flatMap((socket) => {
      this.#ready.delete(socket);
      const { reader, writer } = this.#sockets.get(socket)!;
      return [reader, writer].filter((watch) =>
        watch !== null && this.#look(socket, watch)
      ) as Watch[];
    });
  }

  /** Looks whether a watch is ready; if it is not, it is looked at again when it may be. */
  #look(socket: object, watch: Watch): boolean {
    if (watch.end.closed) {
      this.#forget(socket);
    } else if (watch.ready) {
      this.#ready.add(socket);
      this.wake();
      return true;
    } else {
      watch.arm(() => this.#look(socket, watch));
    }
    return false;
  }

  #forget(socket: object): void {
    const sides = this.#sockets.get(socket);
    sides?.reader?.cancel();
    sides?.writer?.cancel();
    this.#sockets.delete(socket);
    this.#ready.delete(socket);
  }
}
