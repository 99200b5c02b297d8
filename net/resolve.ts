/**
 * Host names to addresses, by the system's resolver.
 *
 * @module
 */
import type { LookupAddress, LookupAllOptions } from "node:dns";
import { abortable } from "@std/async/abortable";
import { formatHost } from "./addresses.ts";
import { fromNodeError } from "./os_error.ts";
import { requireNet } from "./permission.ts";

/** What a name is looked up for, and until when. */
export interface ResolveOptions {
  /**
   * The port that it is looked up for: permission for the name with this port is enough. Without
   * it, or with 0, the name is needed with every port.
   */
  port?: number | undefined;
  /** Ends the wait. */
  signal?: AbortSignal | undefined;
}

/** `lookup`'s options, with what only Deno's has, and only in the form that takes a callback. */
interface DenoLookupOptions extends LookupAllOptions {
  port: number | undefined;
}

const IPV4 = /^\d+\.\d+\.\d+\.\d+$/;

/** The family of a numeric address, or 0 for a name. */
export function familyOf(host: string): 0 | 4 | 6 {
  return IPV4.test(host) ? 4 : host.includes(":") ? 6 : 0;
}

/**
 * Looks up the addresses of `host`; a numeric one is its own.
 *
 * @param host A name or an address.
 * @param family Which family is wanted; 0 means both.
 * @param options The port, and a signal.
 * @returns At least one address, in the system's order of preference.
 * @throws {Deno.errors.NotFound} If there is none.
 */
export async function resolve(
  host: string,
  family: 0 | 4 | 6,
  { port, signal }: ResolveOptions = {},
): Promise<string[]> {
  const own = familyOf(host);
  if (own !== 0) {
    if (family === 0 || own === family) return [host];
    throw new Deno.errors.NotFound(`${host} is not an IPv${family} address`);
  }
  await requireNet(port ? formatHost(host, port) : host);
  // Loaded when first needed: most connections go without.
  const { lookup } = await import("node:dns");
  const options: DenoLookupOptions = { family, all: true, port };
  const looking = Promise.withResolvers<LookupAddress[]>();
  lookup(host, options, (error, found) => error ? looking.reject(error) : looking.resolve(found));
  try {
    const { promise } = looking;
    const found = await (signal === undefined ? promise : abortable(promise, signal));
    return found.map(({ address }) => address);
  } catch (error) {
    signal?.throwIfAborted();
    throw fromNodeError(error);
  }
}
