// Which names a certificate is for: read from its bytes, whatever an attacker has put into them.
import { assertEquals, assertThrows } from "@std/assert";
import { concat } from "@std/bytes";
import fc from "fast-check";
import {
  canonicalAddress,
  isAmong,
  type SubjectName,
  subjectNamesOf,
} from "../../net/tls/subject_alt_name.ts";

const encoder = new TextEncoder();

/** Encodes an element. */
function der(tag: number, ...parts: Uint8Array[]): Uint8Array {
  const body = concat(parts);
  const { length } = body;
  const header = length < 0x80
    ? [length]
    : length < 0x100
    ? [0x81, length]
    : length < 0x10000
    ? [0x82, length >> 8, length & 255]
    : [0x83, length >> 16, length >> 8 & 255, length & 255];
  return concat([Uint8Array.of(tag, ...header), body]);
}

const sequence = (...parts: Uint8Array[]) => der(0x30, ...parts);
const nothing = new Uint8Array();
const id = (...bytes: number[]) => der(0x06, Uint8Array.of(...bytes));
const SAN = id(0x55, 0x1d, 0x11);

/** The skeleton of a certificate that has these extensions. */
function certificate(...extensions: Uint8Array[]): Uint8Array {
  const last = extensions.length === 0 ? nothing : der(0xa3, sequence(...extensions));
  return wrap(version(2), publicKey(0), last);
}

const version = (number: number) => der(0xa0, der(0x02, Uint8Array.of(number)));
const publicKey = (unusedBits: number) => sequence(der(0x03, Uint8Array.of(unusedBits, 1)));

function wrap(version: Uint8Array, key: Uint8Array, last: Uint8Array): Uint8Array {
  const part = sequence();
  const number = der(0x02, Uint8Array.of(1));
  const content = sequence(version, number, part, part, part, part, key, last);
  return sequence(content, part, der(0x03, Uint8Array.of(0)));
}

/** A certificate with these names in it. */
function certificateFor(...names: Uint8Array[]): Uint8Array {
  return certificate(sequence(SAN, der(0x04, sequence(...names))));
}

const dns = (name: string) => der(0x82, encoder.encode(name));

Deno.test("subjectNamesOf() reads the kinds it knows, and passes over the others", () => {
  const names = subjectNamesOf(certificateFor(
    dns("a.example"),
    der(0x81, encoder.encode("me@a.example")),
    der(0xa0, id(1, 2), der(0xa0, dns("b.example"))),
    der(0x86, encoder.encode("spiffe://a/b")),
    der(0xa4, sequence()),
    der(0x87, Uint8Array.of(127, 0, 0, 1)),
    der(0x87, new Uint8Array(16).with(15, 1)),
    der(0x88, Uint8Array.of(42)),
  ));
  assertEquals(names.map(({ kind, value }) => `${kind}:${value}`), [
    "DNS:a.example",
    "email:me@a.example",
    "URI:spiffe://a/b",
    "IP Address:127.0.0.1",
    "IP Address:::1",
  ]);
});

Deno.test("subjectNamesOf() of a certificate without names gives none", () => {
  assertEquals(subjectNamesOf(certificate()), []);
  assertEquals(subjectNamesOf(certificate(sequence(id(1), der(0x04)))), []);
});

/** An extension with the byte of its BOOLEAN. */
function critical(byte: number, id: Uint8Array, content: Uint8Array): Uint8Array {
  return sequence(id, der(0x01, Uint8Array.of(byte)), der(0x04, content));
}

Deno.test("subjectNamesOf() reads critical names, and passes over what is not ASCII", () => {
  const names = sequence(der(0x81, encoder.encode("jürgen@example.org")), dns("localhost"));
  assertEquals(subjectNamesOf(certificate(critical(255, SAN, names))), [
    { kind: "DNS", value: "localhost" },
  ]);
});

const good = certificateFor(dns("localhost"));
const san = sequence(SAN, der(0x04, sequence(dns("localhost"))));
const bad: [what: string, bytes: Uint8Array][] = [
  ["nothing", nothing],
  ["something behind it", concat([good, Uint8Array.of(0)])],
  ["two certificates in one", concat([good, good])],
  ["names twice", certificate(san, san)],
  ["a name of an unknown kind", certificateFor(der(0x89, nothing))],
  ["a name that is not ASCII", certificateFor(dns("bücher.example"))],
  ["an address of five bytes", certificateFor(der(0x87, new Uint8Array(5)))],
  ["names that are cut short", certificate(sequence(SAN, der(0x04, Uint8Array.of(0x30, 9))))],
  ["something behind the names", certificate(sequence(SAN, der(0x04, sequence(), dns("a"))))],
  ["an indefinite length", certificateFor(Uint8Array.of(0x82, 0x80, 0, 0))],
  ["a length in disguise", certificateFor(Uint8Array.of(0x82, 0x81, 1, 97))],
  ["a length with a zero in front", certificateFor(Uint8Array.of(0x82, 0x82, 0, 1, 97))],
  ["a length of lengths", certificateFor(Uint8Array.of(0x82, 0xff))],
  ["an endless tag", certificateFor(Uint8Array.of(0x9f, 1, 0))],
  ["an extension that is none", certificate(sequence(SAN))],
  // What follows Deno's engine can't read, and then asks for no proof of the key.
  ["a certificate of version 1", wrap(nothing, publicKey(0), nothing)],
  ["a certificate of version 2", wrap(version(1), publicKey(0), nothing)],
  ["a certificate of version 4", wrap(version(3), publicKey(0), nothing)],
  ["a public key with bits to spare", wrap(version(2), publicKey(1), nothing)],
  ["no public key", wrap(version(2), sequence(), nothing)],
  ["a BOOLEAN that is neither", certificate(critical(1, SAN, sequence(dns("localhost"))))],
  ...[0x13, 0x1e, 0x1f, 0x25].map((n): [string, Uint8Array] => [
    `an extension 2.5.29.${n} that is no SEQUENCE`,
    certificate(sequence(id(0x55, 0x1d, n), der(0x04, der(0x02, nothing)))),
  ]),
];

for (const [what, bytes] of bad) {
  Deno.test(`subjectNamesOf() refuses ${what}`, () => {
    assertThrows(() => subjectNamesOf(bytes), SyntaxError);
  });
}

const ascii = fc.string({
  unit: fc.integer({ min: 0, max: 127 }).map((n) => String.fromCharCode(n)),
});
const text = fc.oneof(ascii, fc.constantFrom("a, DNS:localhost", 'x", "DNS:localhost', "a\0b"))
  .chain((start) => fc.nat(300).map((n) => start + "x".repeat(n)));
const kinds = { DNS: 0x82, URI: 0x86, email: 0x81 } as const;
const kind = fc.constantFrom("DNS", "URI", "email");

Deno.test("subjectNamesOf() gives every name as it is, whatever is in it", () => {
  fc.assert(
    fc.property(fc.array(fc.record({ kind, value: text }, { noNullPrototype: true })), (names) => {
      const encoded = names.map(({ kind, value }) => der(kinds[kind], encoder.encode(value)));
      assertEquals(subjectNamesOf(certificateFor(...encoded)), names);
    }),
  );
});

Deno.test("subjectNamesOf() of a certificate with bytes changed refuses it, or reads on", () => {
  const bytes = fc.uint8Array({ maxLength: 40 });
  fc.assert(
    fc.property(fc.nat(), fc.nat(4), bytes, (at, gone, put) => {
      const from = at % good.length;
      const changed = concat([good.subarray(0, from), put, good.subarray(from + gone)]);
      try {
        subjectNamesOf(changed);
      } catch (error) {
        if (!(error instanceof SyntaxError)) throw error;
      }
    }),
    { numRuns: 2000 },
  );
});

Deno.test("subjectNamesOf() refuses a certificate that is cut short anywhere", () => {
  for (let end = 0; end < good.length; end++) {
    assertThrows(() => subjectNamesOf(good.subarray(0, end)), SyntaxError);
  }
});

const hosts: [host: string, name: string, is: boolean][] = [
  ["localhost", "DNS:localhost", true],
  ["LOCALHOST", "DNS:localhost", true],
  ["localhost", "DNS:LOCALHOST", true],
  ["localhost.", "DNS:localhost", true],
  ["localhost", "URI:localhost", false],
  ["localhost", "email:localhost", false],
  ["localhost", "DNS:evil.example, DNS:localhost", false],
  ["localhost", "DNS:localhost\0.evil.example", false],
  ["a.wild.example", "DNS:*.wild.example", true],
  ["A.wild.example.", "DNS:*.WILD.example", true],
  ["xn--bcher-kva.wild.example", "DNS:*.wild.example", true],
  ["wild.example", "DNS:*.wild.example", false],
  [".wild.example", "DNS:*.wild.example", false],
  ["a.b.wild.example", "DNS:*.wild.example", false],
  ["a.b.wild.example", "DNS:a.*.example", false],
  ["foo.wild.example", "DNS:f*o.wild.example", false],
  ["foo.wild.example", "DNS:*o.wild.example", false],
  ["foo.example", "DNS:*.example", false],
  ["example", "DNS:*", false],
  ["a.b.example", "DNS:*.*.example", false],
  ["127.0.0.1", "IP Address:127.0.0.1", true],
  ["127.0.0.1", "DNS:127.0.0.1", false],
  ["127.0.0.1", "DNS:*.0.0.1", false],
  ["127.0.0.1", "URI:127.0.0.1", false],
  ["0:0::1", "IP Address:::1", true],
  ["FE80::1%eth0", "IP Address:fe80::1", true],
  ["::2", "IP Address:::1", false],
  ["::ffff:127.0.0.1", "IP Address:127.0.0.1", false],
];

for (const [host, name, is] of hosts) {
  Deno.test(`isAmong(): ${host} is ${is ? "" : "not "}${JSON.stringify(name)}`, () => {
    const [, kind, value] = /^([A-Za-z ]+):(.*)$/s.exec(name)!;
    assertEquals(isAmong(host, [{ kind, value } as SubjectName]), is);
  });
}

Deno.test("canonicalAddress() knows an address however it is written", () => {
  assertEquals(canonicalAddress("2001:DB8:0:0::0:1"), "2001:db8::1");
  assertEquals(canonicalAddress("127.0.0.1"), "127.0.0.1");
  for (const none of ["127.1", "010.0.0.1", "localhost", "1.2.3.4.5", ""]) {
    assertEquals(canonicalAddress(none), null);
  }
});
