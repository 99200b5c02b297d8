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
const TBS_CERTIFICATE = /^(?:a0 )?02 (?:30 ){5}(?:81 )?(?:82 )?(?:a3 )?$/;
const EXTENSIONS = 0xa3;

/**
 * Reads a certificate's extensions.
 *
 * @param certificate The certificate in DER.
 * @returns What is in each, by its object identifier in hexadecimal.
 * @throws {SyntaxError} If it is not as RFC 5280 has it.
 */
export function extensionsOf(certificate: Uint8Array): Map<string, Uint8Array> {
  const parts = readSequence(certificate);
  if (tagsOf(parts) !== "30 30 03 ") throw new SyntaxError("not a certificate");
  const fields = readElements(parts[0]!.body);
  if (!TBS_CERTIFICATE.test(tagsOf(fields))) throw new SyntaxError("not a certificate's content");
  const extensions = new Map<string, Uint8Array>();
  const last = fields.at(-1)!;
  if (last.tag !== EXTENSIONS) return extensions;
  for (const { body } of readSequence(last.body)) {
    const extension = readElements(body);
    if (!/^06 (?:01 )?04 $/.test(tagsOf(extension))) throw new SyntaxError("not an extension");
    const id = extension[0]!.body.toHex();
    // Two of a kind could be read one way here and the other way elsewhere.
    if (extensions.has(id)) throw new SyntaxError("an extension that is there twice");
    extensions.set(id, extension.at(-1)!.body);
  }
  return extensions;
}

function tagsOf(elements: readonly DerElement[]): string {
  return elements.map(({ tag }) => `${tag.toString(16).padStart(2, "0")} `).join("");
}
