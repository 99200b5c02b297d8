// What the reliability tests need: a time limit on each, a peer that can reset, a census of
// descriptors, and a record of what went to the loop's exception handler.
import { deadline } from "@std/async/deadline";
import { connect, type Socket } from "node:net";
import { once } from "node:events";
import { getRunningLoop } from "../../event_loop.ts";
import type { ExceptionContext } from "../../loop/exception_context.ts";
import { nextTurn } from "../../net/turn.ts";
import type { Server } from "../../server.ts";
import type { StreamReader } from "../../net/stream_reader.ts";
import type { StreamWriter } from "../../net/stream_writer.ts";
import { startServer, type StartServerOptions } from "../../streams.ts";

/** How long a test may take, in ms: a hang is a failure, not the end of CI. */
const LIMIT = 20_000;

/** Whether the whole of 127.0.0.0/8 is this machine: on macOS only 127.0.0.1 is. */
export const manyLoopbacks = Deno.build.os !== "darwin";

/** What differs from one reliability test to the next. */
export interface CaseOptions extends Pick<Deno.TestDefinition, "ignore"> {
  /** How long it may take, in ms. */
  limit?: number;
}

/** Registers a test that fails when it has not ended in time. */
export function test(name: string, body: () => Promise<void>, options: CaseOptions = {}): void {
  const { limit = LIMIT, ...definition } = options;
  Deno.test({ ...definition, name, fn: () => deadline(body(), limit) });
}

/** Collects what goes to the running loop's exception handler, until it is disposed of. */
export class Reports implements Disposable {
  readonly contexts: ExceptionContext[] = [];
  readonly #loop = getRunningLoop();
  readonly #before = this.#loop.getExceptionHandler();
  #changed = Promise.withResolvers<void>();

  constructor() {
    this.#loop.setExceptionHandler((_loop, context) => {
      this.contexts.push(context);
      this.#changed.resolve();
    });
  }

  /** Waits for the first one. */
  async first(): Promise<ExceptionContext> {
    await this.#changed.promise;
    return this.contexts[0]!;
  }

  [Symbol.dispose](): void {
    this.#loop.setExceptionHandler(this.#before);
  }
}

/** The port that a server listens on. */
export function portOf(server: Server): number {
  return (server.sockets[0]!.addr as Deno.NetAddr).port;
}

/** A plain client on the other side, which can also end a connection by RST. */
export class Peer implements AsyncDisposable {
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("error", () => {
      // Its own end is no concern of these tests.
    });
  }

  /** Connects; nothing is read before {@linkcode Peer.read} is called. */
  static async connect(port: number): Promise<Peer> {
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    await once(socket, "connect");
    return new Peer(socket);
  }

  /** Sends, and waits until the system has taken it. */
  async send(data: string | Uint8Array): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#socket.write(data, (error) => error ? reject(error) : resolve());
    await promise;
  }

  /** Says that it sends no more. */
  end(): void {
    this.#socket.end();
  }

  /** Reads to the end; it rejects on a reset. */
  async readAll(): Promise<number> {
    let length = 0;
    this.#socket.on("data", (chunk: Uint8Array) => length += chunk.length);
    await once(this.#socket, "end");
    return length;
  }

  /** Reads some bytes, as they come. */
  async readSome(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#socket.once("data", () => {
      this.#socket.pause();
      resolve();
    });
    await promise;
  }

  /** Ends the connection by RST, whatever is under way. */
  async reset(): Promise<void> {
    if (this.#socket.closed) return;
    const closed = once(this.#socket, "close").catch(() => {});
    this.#socket.resetAndDestroy();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#socket.closed) return;
    const closed = once(this.#socket, "close").catch(() => {});
    this.#socket.destroy();
    await closed;
  }
}

/** A server with one connection, whose other end is a {@linkcode Peer}. */
export interface Pair extends AsyncDisposable {
  readonly server: Server;
  readonly reader: StreamReader;
  readonly writer: StreamWriter;
  readonly peer: Peer;
}

/** Makes a server, and connects a peer to it. */
export async function connectedPair(options?: StartServerOptions): Promise<Pair> {
  const streams = Promise.withResolvers<[StreamReader, StreamWriter]>();
  const server = await startServer(
    (reader, writer) => streams.resolve([reader, writer]),
    "127.0.0.1",
    0,
    options,
  );
  const peer = await Peer.connect(portOf(server));
  const [reader, writer] = await streams.promise;
  return {
    server,
    reader,
    writer,
    peer,
    async [Symbol.asyncDispose]() {
      writer.transport.abort();
      await server[Symbol.asyncDispose]();
      await peer[Symbol.asyncDispose]();
    },
  };
}

/** Waits until the system or a peer has done its part, which nothing announces. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}

/** How an attempt to abort something ended. */
export interface Attempt<T> {
  /** The abort came in time. */
  readonly aborted: boolean;
  /** What the operation gave, if it came to its end. */
  readonly value: T | undefined;
}

/** What differs from one attempt to the next. */
export interface AttemptOptions {
  /** How many listeners may stay on the signal; `null` where the platform's are among them. */
  listeners?: number | null;
  /** How many steps the operation may take. */
  patience?: number;
}

/**
 * Runs `operation` while the script runs, one act every other step, and aborts at a certain step.
 * From then on the script stands still: the operation has to end by itself.
 *
 * What was not acted stays in `script`.
 */
export async function attempt<T>(
  operation: (options: { signal: AbortSignal }) => Promise<T>,
  at: number,
  script: (() => void)[],
  { listeners = 0, patience = 1_000 }: AttemptOptions = {},
): Promise<Attempt<T>> {
  const controller = new AbortController();
  const { signal } = controller;
  const left = countListeners(signal);
  const reason = new Error(`aborted at step ${at}`);
  let outcome: { value: T } | { error: unknown } | undefined;
  operation({ signal }).then((value) => outcome = { value }, (error) => outcome = { error });
  for (let step = 0; outcome === undefined; step++) {
    if (step > at + patience) throw new Error(`no end ${patience} steps after the abort at ${at}`);
    if (step === at) controller.abort(reason);
    else if (step < at && step % 2 === 1) script.shift()?.();
    // A step is a microtask, and now and then the end of the turn.
    await (step % 4 === 3 ? nextTurn() : null);
  }
  if (listeners !== null && left() > listeners) throw new Error(`${left()} listeners stay`);
  if ("value" in outcome) return { aborted: false, value: outcome.value };
  if (outcome.error !== reason) throw outcome.error;
  return { aborted: true, value: undefined };
}

/** Tries `once` with the abort at every step, until it comes too late. */
export async function atEveryStep(
  once: (step: number) => Promise<Attempt<unknown>>,
): Promise<void> {
  for (let step = 0;; step++) {
    const { aborted } = await once(step);
    if (!aborted) {
      if (step === 0) throw new Error("there was nothing to abort");
      return;
    }
  }
}

/** Counts the listeners that a signal gets and does not lose again. */
function countListeners(signal: AbortSignal): () => number {
  const listeners = new Set<unknown>();
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = function (type: string, listener: unknown, ...rest: unknown[]) {
    listeners.add(listener);
    Reflect.apply(addEventListener, this, [type, listener, ...rest]);
  };
  signal.removeEventListener = function (type: string, listener: unknown, ...rest: unknown[]) {
    listeners.delete(listener);
    Reflect.apply(removeEventListener, this, [type, listener, ...rest]);
  };
  return () => listeners.size;
}
