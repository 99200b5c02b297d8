/**
 * What the system refuses, told so that a program can tell the kind and a person the rest.
 *
 * @module
 */

/** One of Deno's error classes. */
type ErrorKind = new (message?: string, options?: ErrorOptions) => Error;

/** The classes of what Node tells by a code. */
const kinds: Readonly<Record<string, ErrorKind>> = {
  EACCES: Deno.errors.PermissionDenied,
  EADDRINUSE: Deno.errors.AddrInUse,
  EADDRNOTAVAIL: Deno.errors.AddrNotAvailable,
  EAI_AGAIN: Deno.errors.NotFound,
  ECONNABORTED: Deno.errors.ConnectionAborted,
  ECONNREFUSED: Deno.errors.ConnectionRefused,
  ECONNRESET: Deno.errors.ConnectionReset,
  ENETUNREACH: Deno.errors.NetworkUnreachable,
  ENOENT: Deno.errors.NotFound,
  ENOTCONN: Deno.errors.NotConnected,
  ENOTFOUND: Deno.errors.NotFound,
  EPERM: Deno.errors.PermissionDenied,
  EPIPE: Deno.errors.BrokenPipe,
  ETIMEDOUT: Deno.errors.TimedOut,
};

/** The error of Deno's that says the same as one of Node's; any other is returned as it is. */
export function fromNodeError(error: unknown): unknown {
  const kind = kinds[(error as { code?: string } | null)?.code ?? ""];
  return kind === undefined ? error : new kind((error as Error).message, { cause: error });
}

/**
 * Makes an error of the same kind as `error` that also says what was tried. Of an
 * `AggregateError` the last one counts.
 *
 * @param what What was tried, such as `cannot connect to 127.0.0.1:80`.
 * @param error What Deno threw.
 */
export function explain(what: string, error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof Deno.errors.NotCapable) return error;
  const message = `${what}: ${error.message}`;
  const kind = kindOf(error instanceof AggregateError ? error.errors.at(-1) : error);
  return new kind(message, { cause: error });
}

function kindOf(error: Error): ErrorKind {
  if (error.message.includes("failed to lookup address")) return Deno.errors.NotFound;
  return Object.values(Deno.errors).find((kind) => error instanceof kind) ?? Error;
}
