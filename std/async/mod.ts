/**
 * The part of `@std/async` that the tests and examples use: the same signatures,
 * for machines that can't reach JSR.
 *
 * @module
 */
export * from "./abortable.ts";
export * from "./deadline.ts";
export * from "./delay.ts";
