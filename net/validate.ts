/**
 * Checks of what callers pass, before anything is touched.
 *
 * @module
 */

/** The longest path of a Unix socket, in bytes, without the byte that ends it. */
const UNIX_PATH_MAX = Deno.build.os === "darwin" || Deno.build.os === "freebsd" ? 103 : 107;

/** Parts of a URL, and `host:port`, which isn't IPv6: that has two colons at the least. */
const NO_HOST = /[\s/?#@\\]|^[^:]*:[^:]*$/;

/** Checks that `value` is a function. */
export function checkFunction(name: string, value: unknown): void {
  if (typeof value !== "function") throw new TypeError(`${name} is a function, not ${show(value)}`);
}

/** Checks a host name or address. */
export function checkHost(name: string, value: unknown): string {
  if (typeof value !== "string") throw new TypeError(`${name} is a string, not ${show(value)}`);
  if (value === "") throw new RangeError(`${name} must not be empty`);
  if (value.includes("\0")) throw new RangeError(`${name} must not contain a NUL`);
  if (NO_HOST.test(value)) {
    throw new RangeError(
      `${name} is a name or an address, without scheme, path and port, got ${show(value)}`,
    );
  }
  return value.startsWith("[") && value.endsWith("]") ? value.slice(1, -1) : value;
}

/** Checks a port; 0 means a free one, where that makes sense. */
export function checkPort(name: string, value: unknown, lowest: 0 | 1): number {
  return checkInteger(name, value, lowest, 65_535);
}

/** Checks an integer that must be between two others. */
export function checkInteger(
  name: string,
  value: unknown,
  lowest: number,
  highest: number,
): number {
  if (!Number.isInteger(value)) throw new TypeError(`${name} is an integer, not ${show(value)}`);
  if (value as number < lowest || value as number > highest) {
    throw new RangeError(`${name} is between ${lowest} and ${highest}, got ${value}`);
  }
  return value as number;
}

/** Checks how many may wait to be accepted: the system counts them in 32 bits. */
export function checkBacklog(value: unknown): number {
  return checkInteger("backlog", value, 1, 2 ** 31 - 1);
}

/** Checks a number that must be at least `lowest`. */
export function checkNumber(name: string, value: unknown, lowest: number): number {
  if (typeof value !== "number" || Number.isNaN(value)) {
    throw new TypeError(`${name} is a number, not ${show(value)}`);
  }
  if (value < lowest) throw new RangeError(`${name} must be at least ${lowest}, got ${value}`);
  return value;
}

/** Checks a time in milliseconds, of which there is no longest: `Infinity` never comes. */
export function checkTime(name: string, value: unknown): void {
  if (typeof value !== "number") throw new TypeError(`${name} is a number, not ${show(value)}`);
  if (Number.isNaN(value)) throw new RangeError(`${name} must be a time, got NaN`);
}

/** Checks an address family. */
export function checkFamily(value: unknown): 0 | 4 | 6 {
  if (value !== 0 && value !== 4 && value !== 6) {
    throw new RangeError(`family is 0, 4 or 6, not ${show(value)}`);
  }
  return value;
}

/** Checks a flag. */
export function checkFlag(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== "boolean") {
    throw new TypeError(`${name} is a boolean, not ${show(value)}`);
  }
}

/** Checks an abort signal, and that it has not been aborted. */
export function checkSignal(value: unknown): void {
  checkSignalType(value);
  (value as AbortSignal | undefined)?.throwIfAborted();
}

/** Checks an abort signal, which may have been aborted. */
export function checkSignalType(value: unknown): void {
  if (value !== undefined && !(value instanceof AbortSignal)) {
    throw new TypeError(`signal is an AbortSignal, not ${show(value)}`);
  }
}

/** Checks a Unix socket's path, a string or a `file:` URL; `"\0name"` is an abstract one. */
export function checkUnixPath(value: unknown): string {
  if (value instanceof URL) {
    if (value.protocol !== "file:") {
      throw new TypeError(`a Unix socket's path is a file: URL, not ${value.protocol}`);
    }
    return checkUnixPath(decodeURIComponent(value.pathname));
  }
  if (typeof value !== "string") {
    throw new TypeError(`a Unix socket's path is a string or a URL, not ${show(value)}`);
  }
  if (value === "") throw new RangeError("a Unix socket's path must not be empty");
  const { length } = new TextEncoder().encode(value);
  if (length > UNIX_PATH_MAX) {
    throw new RangeError(
      `a Unix socket's path has at most ${UNIX_PATH_MAX} bytes, this one has ${length}: ${value}`,
    );
  }
  if (value.includes("\0", 1)) {
    throw new RangeError("a Unix socket's path has a NUL only in front, for an abstract one");
  }
  return value;
}

/** Checks that not both of two arguments are given. */
export function checkEither(name: string, value: unknown, sock: unknown): void {
  if (value !== null && value !== undefined && sock !== undefined) {
    throw new TypeError(`${name} and sock can't both be given`);
  }
}

/** Complains of options that stand in the host's place without the `sock` that allows it. */
export function checkSockGiven({ sock }: { sock: unknown }): void {
  if (sock === undefined) {
    throw new TypeError("the host and the port come first; options alone need an open sock");
  }
}

/** Whether a host argument is the options that may stand in its place. */
export function isOptions<T extends { sock: unknown }>(
  host: string | readonly string[] | null | T,
): host is T {
  return typeof host === "object" && host !== null && !Array.isArray(host);
}

/** Names a value in a message. */
export function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "object" && value !== null) return value.constructor?.name ?? "an object";
  return String(value);
}

/** Checks a reader's limit. */
export function checkLimit(limit: number): number {
  if (typeof limit !== "number") throw new TypeError(`limit is a number of bytes, not ${limit}`);
  if (!(limit > 0)) throw new RangeError(`limit must be positive, got ${limit}`);
  return limit;
}
