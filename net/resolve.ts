/**
 * Host names to addresses, by the system's resolver.
 *
 * @module
 */

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
 * @returns At least one address, in the system's order of preference.
 * @throws {Error} If there is none.
 */
export async function resolve(host: string, family: 0 | 4 | 6): Promise<string[]> {
  const own = familyOf(host);
  if (own !== 0) {
    if (family === 0 || own === family) return [host];
    throw new RangeError(`${host} is not an IPv${family} address`);
  }
  // Loaded when first needed: most connections go without.
  const { lookup } = await import("node:dns/promises");
  const found = await lookup(host, { family, all: true });
  return found.map(({ address }) => address);
}
