/**
 * Which loop runs: one at a time in the whole process.
 *
 * @module
 */

/** The loop whose run is under way. */
export const current: { running: object | null } = { running: null };
