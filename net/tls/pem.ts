/**
 * What is in PEM texts, which may hold several things at once.
 *
 * @module
 */

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/g;
const PRIVATE_KEY = /-----BEGIN ((?:RSA |EC )?PRIVATE KEY)-----[^]*?-----END \1-----/;
const ENCRYPTED = /-----BEGIN ENCRYPTED PRIVATE KEY-----|Proc-Type: 4,ENCRYPTED/;

/** The certificates in a PEM text, in its order. */
export function certificatesIn(text: string): string[] {
  return text.match(CERTIFICATE) ?? [];
}

/** The private key in a PEM text, or `undefined`. */
export function privateKeyIn(text: string): string | undefined {
  return PRIVATE_KEY.exec(text)?.[0];
}

/** Whether a private key in a PEM text is encrypted. */
export function isEncrypted(text: string): boolean {
  return ENCRYPTED.test(text);
}
