/**
 * The platform's timers, and how long they can be.
 *
 * @module
 */

/** The longest wait of a timer, in ms: one above it is over after 1 ms. */
export const LONGEST_TIMER = 2 ** 31 - 1;

/**
 * Calls `callback` in `ms` milliseconds; never, where no timer is that long.
 *
 * @returns What `clearTimeout` takes.
 */
export function startTimer(
  callback: () => void,
  ms: number,
): ReturnType<typeof setTimeout> | undefined {
  return ms > LONGEST_TIMER ? undefined : setTimeout(callback, ms);
}
