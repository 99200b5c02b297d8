/**
 * The extensions of a certificate.
 *
 * @module
 */
import { type DerElement, readElements, readSequence } from "./der.ts";

/** The extension with the names that a certificate is for, 2.5.29.17. */
export const SUBJECT_ALT_NAME = "551d11";
/** The extension that says what a certificate may be used for, 2.5.29.37. */
export const EXTENDED_KEY_USAGE = "551d25";

/** The tags of a `TBSCertificate`: version, number, algorithm … and the extensions last. */
const TBS_CERTIFICATE = /^a0 02 (?:30 ){5}(?:81 )?(?:82 )?(?:a3 )?$/;
/** Where its public key is, behind the algorithm's name. */
const PUBLIC_KEY = 6;
const VERSION_3 = "020102";
const EXTENSIONS = 0xa3;
const BIT_STRING = 0x03;
/**
 * Extensions that the engine reads, 2.5.29.17, .19, .30, .31 and .37: names, basic and name constraints,
 * distribution points, purposes. Each is one SEQUENCE.
 */
const READ_BY_ENGINE = /^551d(?:11|13|1e|1f|25)$/;

/**
 * Reads a certificate's extensions.
 *
 * It takes no certificate that Deno's engine could not read: of the peer that shows such a one the engine
 * asks no proof that it has the key (as of Deno 2.9), so that anybody could show a trusted root of
 * version 1, or a server's certificate with a flaw, as its own.
 *
 * @param certificate The certificate in DER.
 * @returns What is in each, by its object identifier in hexadecimal.
 * @throws {SyntaxError} If it is not of version 3, as RFC 5280 has it.
 */
export function extensionsOf(certificate: Uint8Array): Map<string, Uint8Array> {
  const fields = fieldsOf(certificate);
  if (!TBS_CERTIFICATE.test(tagsOf(fields)) || fields[0]!.body.toHex() !== VERSION_3) {
    throw new SyntaxError("not a certificate of version 3");
  }
  const key = readElements(fields[PUBLIC_KEY]!.body).at(-1);
  if (key?.tag !== BIT_STRING || key.body[0] !== 0) throw new SyntaxError("not a public key");
  const extensions = new Map<string, Uint8Array>();
  const last = fields.at(-1)!;
  if (last.tag !== EXTENSIONS) return extensions;
  for (const { body } of readSequence(last.body)) {
    const [id, content] = readExtension(body);
    // Two of a kind could be read one way here and the other way elsewhere.
    if (extensions.has(id)) throw new SyntaxError("an extension that is there twice");
    extensions.set(id, content);
  }
  return extensions;
}

function readExtension(bytes: Uint8Array): [id: string, content: Uint8Array] {
  const parts = readElements(bytes);
  if (!/^06 (?:01 )?04 $/.test(tagsOf(parts))) throw new SyntaxError("not an extension");
  const critical = parts.length === 3 ? parts[1]!.body.toHex() : "00";
  if (critical !== "00" && critical !== "ff") throw new SyntaxError("not a BOOLEAN");
  const id = parts[0]!.body.toHex();
  const content = parts.at(-1)!.body;
  if (READ_BY_ENGINE.test(id)) readSequence(content);
  return [id, content];
}

/** Whether a certificate is of a version before extensions, when each could sign others. */
export function isBeforeExtensions(certificate: Uint8Array): boolean {
  return fieldsOf(certificate)[0]?.tag !== 0xa0;
}

function fieldsOf(certificate: Uint8Array): DerElement[] {
  const parts = readSequence(certificate);
  if (tagsOf(parts) !== "30 30 03 ") throw new SyntaxError("not a certificate");
  return readElements(parts[0]!.body);
}

function tagsOf(elements: readonly DerElement[]): string {
  return elements.map(({ tag }) => `${tag.toString(16).padStart(2, "0")} `).join("");
}
