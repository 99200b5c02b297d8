/**
 * Sending files, with as little of them in memory as that takes.
 *
 * @module
 */
import { wait } from "./endpoint.ts";
import { checkSocket } from "./sock_calls.ts";
import { endpointOf, type Socket } from "./socket.ts";
import type { StreamTransport } from "./stream_transport.ts";
import { checkNumber, checkSignal, show } from "./validate.ts";
import type { WaitOptions } from "./wait_options.ts";

/** How many bytes of a file are read at once, and how many may wait to be sent. */
const PIECE = 262_144;

/** What a file has to be able to do to be sent: a `Deno.FsFile` is one. */
export interface SendableFile {
  /** Stores bytes at the start of `buffer`, and says how many; `null` at the end. */
  read(buffer: Uint8Array): Promise<number | null>;
  /** Moves to a position. */
  seek(offset: number, whence: Deno.SeekMode): Promise<number>;
}

/** Options of {@linkcode EventLoop.sendfile} and {@linkcode EventLoop.sockSendfile}. */
export interface SendfileOptions extends WaitOptions {
  /**
   * Where in the file to start, in bytes.
   *
   * @default {0}
   */
  offset?: number | undefined;
  /** How many bytes to send; by default, all up to the end of the file. */
  count?: number | null | undefined;
  /**
   * Whether the file may be read and sent piece by piece. Deno has no call of the system's that
   * would do it by itself, so `false` is always refused.
   *
   * @default {true}
   */
  fallback?: boolean | undefined;
}

/** How the pieces of a file go out. */
interface Sink {
  /** Sends a piece; the memory may be used again once it resolves. */
  send(piece: Uint8Array): Promise<void>;
  /** Waits until all is sent. */
  end(): Promise<void>;
  /** How many bytes were sent, or can't be taken back. */
  sent(): number;
}

/** Sends a file over a transport, to which only `write` writes: how many bytes that was. */
export async function sendfile(
  transport: StreamTransport,
  write: (data: Uint8Array) => void,
  file: SendableFile,
  options: SendfileOptions,
): Promise<number> {
  checkOptions(file, options);
  const { progress } = transport;
  /** What left, and what still will, whatever becomes of this call; what is lost is neither. */
  const written = () => progress.sent + transport.getWriteBufferSize();
  const before = written();
  return await sendPieces(file, options, {
    async send(piece) {
      if (transport.isClosing()) throw transport.endsBy ?? progress.failure;
      write(piece);
      await progress.until(PIECE, transport.getWriteBufferSize());
    },
    end: () => progress.until(0, transport.getWriteBufferSize()),
    sent: () => Math.max(0, written() - before),
  });
}

/** Sends a file over a socket: how many bytes that was. */
export async function sockSendfile(
  sock: Socket,
  file: SendableFile,
  options: SendfileOptions,
): Promise<number> {
  checkOptions(file, options);
  const endpoint = endpointOf(checkSocket(sock));
  let sent = 0;
  return await sendPieces(file, options, {
    async send(piece) {
      for (let at = 0; at < piece.length;) {
        const n = endpoint.send(piece.subarray(at));
        at += n;
        sent += n;
        if (n > 0) continue;
        await wait((callback) => endpoint.whenWritable(callback), options.signal);
        options.signal?.throwIfAborted(); // Room came first, but who aborted has been answered.
      }
    },
    end: () => Promise.resolve(),
    sent: () => sent,
  });
}

function checkOptions(file: SendableFile, options: SendfileOptions): void {
  const { offset = 0, count = null, signal } = options;
  if (typeof file?.read !== "function" || typeof file.seek !== "function") {
    throw new TypeError(`file is an open Deno.FsFile, not ${show(file)}`);
  }
  for (const [name, value] of Object.entries({ offset, count: count ?? 1 })) {
    checkNumber(name, value, name === "count" ? 1 : 0);
    if (!Number.isInteger(value)) throw new TypeError(`${name} is an integer, got ${value}`);
  }
  checkSignal(signal);
}

/** Sends the file's part; its position is behind what was sent, however that ends. */
async function sendPieces(
  file: SendableFile,
  { offset = 0, count = null, signal }: SendfileOptions,
  sink: Sink,
): Promise<number> {
  const abort = Promise.withResolvers<never>();
  abort.promise.catch(() => {});
  const aborted = () => abort.reject(signal!.reason);
  signal?.addEventListener("abort", aborted);
  let read = 0;
  try {
    const buffer = new Uint8Array(PIECE);
    const total = count ?? Infinity;
    while (read < total) {
      const n = await inTurn(file, async () => {
        await file.seek(offset + read, 0);
        return await file.read(buffer.subarray(0, Math.min(PIECE, total - read)));
      });
      if (n === null) break;
      signal?.throwIfAborted();
      read += n;
      await Promise.race([abort.promise, sink.send(buffer.subarray(0, n))]);
    }
    await Promise.race([abort.promise, sink.end()]);
    return sink.sent();
  } finally {
    signal?.removeEventListener("abort", aborted);
    await inTurn(file, () => file.seek(offset + sink.sent(), 0));
  }
}

/** Who last asked for a file's position: a file may be sent to several at once. */
const lastTurns = new WeakMap<SendableFile, Promise<unknown>>();

/** Calls `use` once all who asked before are done with the file's position. */
function inTurn<T>(file: SendableFile, use: () => Promise<T>): Promise<T> {
  const before = lastTurns.get(file) ?? Promise.resolve();
  const turn = before.then(use);
  lastTurns.set(file, turn.catch(() => {})); // One that fails is its caller's matter.
  return turn;
}
