/** See `@std/bytes/concat`; without `node:buffer`, whose loading takes 8 ms. */
export function concat(buffers: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(buffers.reduce((length, bytes) => length + bytes.length, 0));
  let at = 0;
  for (const bytes of buffers) {
    joined.set(bytes, at);
    at += bytes.length;
  }
  return joined;
}
