/**
 * Host names as they go over the wire.
 *
 * @module
 */

/** What may be in a URL beside a host, and what a URL's parser passes over. */
const NO_HOST = /[/?#@:\\\s]/;

/**
 * Writes a host name in lower case and in ASCII, as certificates and SNI have it: `bücher.example`
 * is `xn--bcher-kva.example`.
 *
 * @returns The name, or `null` for what can't be one.
 */
export function asciiName(name: string): string | null {
  if (/^[\0-\x7f]*$/.test(name)) return name.toLowerCase();
  return NO_HOST.test(name) ? null : URL.parse(`http://${name}`)?.hostname ?? null;
}
