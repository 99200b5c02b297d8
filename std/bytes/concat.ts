import { Buffer } from "node:buffer";

/** See `@std/bytes/concat`. */
export function concat(buffers: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(Buffer.concat(buffers));
}
