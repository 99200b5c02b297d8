/**
 * What the system refuses, told so that a program can tell the kind and a person the rest.
 *
 * @module
 */

/**
 * Makes an error of the same kind as `error` that also says what was tried.
 *
 * @param what What was tried, such as `cannot connect to 127.0.0.1:80`.
 * @param error What Deno threw.
 */
export function explain(what: string, error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof Deno.errors.NotCapable) return error;
  const message = `${what}: ${error.message}`;
  if (/failed to lookup address|ENOTFOUND|EAI_/.test(error.message)) {
    return new Deno.errors.NotFound(message, { cause: error });
  }
  for (const kind of Object.values(Deno.errors)) {
    if (error instanceof kind) return new kind(message, { cause: error });
  }
  return new Error(message, { cause: error });
}
