/**
 * Which loop runs: one at a time in the whole process.
 *
 * @module
 */

/** What is known of the run that is under way. */
interface Current {
  /** The loop whose run it is. */
  running: object | null;
  /** Called once, when that run has ended. */
  readonly whenEnded: Set<() => void>;
}

/** The run that is under way. */
export const current: Current = { running: null, whenEnded: new Set() };
