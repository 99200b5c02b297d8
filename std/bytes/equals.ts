import { Buffer } from "node:buffer";

/** See `@std/bytes/equals`. */
export function equals(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
