/**
 * Host names to addresses, by the system's resolver.
 *
 * @module
 */
import { abortable } from "@std/async/abortable";
import { fromNodeError } from "./os_error.ts";
import { requireNet } from "./permission.ts";

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
 * @param signal Ends the wait.
 * @returns At least one address, in the system's order of preference.
 * @throws {Deno.errors.NotFound} If there is none.
 */
export async function resolve(
  host: string,
  family: 0 | 4 | 6,
  signal?: AbortSignal,
): Promise<string[]> {
  const own = familyOf(host);
  if (own !== 0) {
    if (family === 0 || own === family) return [host];
    throw new Deno.errors.NotFound(`${host} is not an IPv${family} address`);
  }
  await requireNet(host);
  // Loaded when first needed: most connections go without.
  const { lookup } = await import("node:dns/promises");
  try {
    const looking = lookup(host, { family, all: true });
    const found = await (signal === undefined ? looking : abortable(looking, signal));
    return found.map(({ address }) => address);
  } catch (error) {
    signal?.throwIfAborted();
    throw fromNodeError(error);
  }
}
