/**
 * The marks between which a write buffer fills and drains.
 *
 * @module
 */
import type { WriteBufferLimits } from "./transports.ts";
import { show } from "./validate.ts";

/** The marks, in bytes. */
export interface Marks {
  /** Above it, writing is paused. */
  readonly high: number;
  /** At it, writing goes on. */
  readonly low: number;
}

/** The default high-water mark, in bytes. */
const HIGH = 65_536;

/**
 * Completes and checks the marks.
 *
 * @throws {TypeError} If one is not a number.
 * @throws {RangeError} Unless `high >= low >= 0`.
 */
export function checkWriteBufferLimits(limits: WriteBufferLimits = {}): Marks {
  if (typeof limits !== "object" || limits === null) {
    throw new TypeError(`write buffer limits are { high, low }, not ${show(limits)}`);
  }
  const high = limits.high ?? (limits.low === undefined ? HIGH : 4 * limits.low);
  const low = limits.low ?? Math.floor(high / 4);
  if (typeof high !== "number" || typeof low !== "number") {
    throw new TypeError("write buffer limits are numbers of bytes");
  }
  if (!(high >= low && low >= 0)) {
    throw new RangeError(`high (${high}) must be >= low (${low}) must be >= 0`);
  }
  return { low, high };
}
