/**
 * DER, the encoding of certificates, as far as a certificate's extensions need it.
 *
 * Names are read from these bytes, and not from the text that Node has of them: what an attacker
 * writes into a name can look like a second name there (CVE-2021-44532).
 *
 * @module
 */

/** One element: what kind it is, and what is inside. */
export interface DerElement {
  /** Its first byte: class, form and number. */
  readonly tag: number;
  /** What is inside. */
  readonly body: Uint8Array;
}

/** The tag of SEQUENCE. */
export const SEQUENCE = 0x30;
/** The tag of OBJECT IDENTIFIER. */
export const OBJECT_ID = 0x06;

/**
 * Reads elements that stand one behind the other and fill all of `bytes`.
 *
 * @throws {SyntaxError} If that is not DER.
 */
export function readElements(bytes: Uint8Array): DerElement[] {
  const elements: DerElement[] = [];
  for (let at = 0; at < bytes.length;) {
    const tag = bytes[at++]!;
    // Numbers above 30 take more than one byte; certificates have none.
    if ((tag & 0x1f) === 0x1f) throw new SyntaxError(`not DER: a tag of ${tag}`);
    const [length, start] = readLength(bytes, at);
    if (length > bytes.length - start) throw new SyntaxError("not DER: cut short");
    at = start + length;
    elements.push({ tag, body: bytes.subarray(start, at) });
  }
  return elements;
}

/** Reads a length. Returns it, and where it ends. */
function readLength(bytes: Uint8Array, at: number): [length: number, end: number] {
  const first = bytes[at];
  if (first === undefined) throw new SyntaxError("not DER: cut short");
  if (first < 0x80) return [first, at + 1];
  // Three bytes are as long as a message of TLS can be.
  const end = at + 1 + (first & 0x7f);
  if (first === 0x80 || first > 0x83 || end > bytes.length) {
    throw new SyntaxError("not DER: a bad length");
  }
  const length = bytes.subarray(at + 1, end).reduce((sum, byte) => sum * 256 + byte, 0);
  if (length < 0x80 || bytes[at + 1] === 0) throw new SyntaxError("not DER: a length in disguise");
  return [length, end];
}

/**
 * Reads the one element that fills all of `bytes`, and those inside it.
 *
 * @throws {SyntaxError} If that is not DER, or of another kind.
 */
export function readSequence(bytes: Uint8Array): DerElement[] {
  const [element, ...more] = readElements(bytes);
  if (element?.tag !== SEQUENCE || more.length > 0) throw new SyntaxError("not DER: no SEQUENCE");
  return readElements(element.body);
}
