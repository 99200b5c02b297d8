/**
 * From what callers of `connectReadPipe` and `connectWritePipe` give to a carrier.
 *
 * @module
 */
import { ReadPipe, WritePipe } from "./pipe_carrier.ts";
import { show } from "./validate.ts";

/** What can be read from: a stream of bytes, or what has one, as `Deno.stdin` and `Deno.FsFile`. */
export type ReadablePipe =
  | ReadableStream<Uint8Array>
  | { readonly readable: ReadableStream<Uint8Array> };

/** What can be written to: a stream of bytes, or what has one, as `Deno.stdout` and `Deno.FsFile`. */
export type WritablePipe =
  | WritableStream<Uint8Array>
  | { readonly writable: WritableStream<Uint8Array> };

/** Makes a carrier of what can be read from. */
export function readPipe(pipe: ReadablePipe): ReadPipe {
  const stream = pipe instanceof ReadableStream ? pipe : pipe?.readable;
  if (!(stream instanceof ReadableStream)) {
    throw new TypeError(`pipe is a ReadableStream, or has one as readable, not ${show(pipe)}`);
  }
  if (stream.locked) throw new TypeError("the pipe's stream is being read by someone else");
  return new ReadPipe(stream, pipe);
}

/** Makes a carrier of what can be written to. */
export function writePipe(pipe: WritablePipe): WritePipe {
  const stream = pipe instanceof WritableStream ? pipe : pipe?.writable;
  if (!(stream instanceof WritableStream)) {
    throw new TypeError(`pipe is a WritableStream, or has one as writable, not ${show(pipe)}`);
  }
  if (stream.locked) throw new TypeError("the pipe's stream is being written by someone else");
  return new WritePipe(stream, pipe);
}
