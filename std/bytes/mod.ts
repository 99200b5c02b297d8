/**
 * The part of `@std/bytes` that is in use here: the same signatures, for machines
 * that can't reach JSR.
 *
 * @module
 */
export * from "./concat.ts";
export * from "./equals.ts";
