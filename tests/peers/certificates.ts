/**
 * Certificates for the TLS tests, made by `openssl` when first asked for.
 *
 * @module
 */

/** A certificate and its key, as PEM texts and as the files that hold them. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
  readonly certFile: string;
  readonly keyFile: string;
}

/** Who is who in the tests. */
export interface Certificates {
  /** The authority that both sides trust. */
  readonly authority: Certificate;
  /** One that nobody trusts. */
  readonly foreignAuthority: Certificate;
  /** For `localhost`, 127.0.0.1 and `::1`. */
  readonly good: Certificate;
  /** For `other.example` and `*.wild.example`. */
  readonly other: Certificate;
  /** For `localhost`, until 2021. */
  readonly expired: Certificate;
  /** For `localhost`, from 2048 on. */
  readonly future: Certificate;
  /** For `localhost`, by the foreign authority. */
  readonly foreign: Certificate;
  /** For a client called Alice. */
  readonly client: Certificate;
  /** For a client called Mallory, by the foreign authority. */
  readonly foreignClient: Certificate;
  /** A folder that is removed when the process ends. */
  readonly folder: string;
}

let made: Promise<Certificates> | undefined;

/** The certificates, which are made once a process. */
export function certificates(): Promise<Certificates> {
  return made ??= make();
}

async function openssl(folder: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("openssl", {
    args,
    cwd: folder,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(`openssl ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
}

const KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

async function makeAuthority(folder: string, name: string, subject: string): Promise<Certificate> {
  await openssl(
    folder,
    ...["req", "-x509", ...KEY, "-keyout", `${name}.key`, "-out", `${name}.pem`],
    ...["-subj", `/CN=${subject}`, "-days", "30"],
    ...["-addext", "basicConstraints=critical,CA:TRUE"],
  );
  await prepareAuthority(folder, name);
  return await load(folder, name);
}

/** Makes what `openssl ca` needs. */
async function prepareAuthority(folder: string, name: string): Promise<void> {
  await Deno.mkdir(`${folder}/${name}.db`);
  await Deno.writeTextFile(`${folder}/${name}.db/index.txt`, "");
  await Deno.writeTextFile(
    `${folder}/${name}.cnf`,
    `[ca]
default_ca = this
[this]
database = ${name}.db/index.txt
new_certs_dir = ${name}.db
certificate = ${name}.pem
private_key = ${name}.key
rand_serial = yes
unique_subject = no
default_md = sha256
policy = any
[any]
commonName = supplied
`,
  );
}

/**
 * Makes a certificate that is signed with its own key, as `openssl x509` does: of version 1 where no
 * extensions are asked for.
 */
export async function selfSigned(name: string, ...extensions: string[]): Promise<Certificate> {
  const { folder } = await certificates();
  await openssl(
    folder,
    ...["req", "-new", ...KEY, "-keyout", `${name}.key`, "-out", `${name}.csr`],
    ...["-subj", `/CN=${name}`],
  );
  await Deno.writeTextFile(`${folder}/${name}.ext`, extensions.join("\n"));
  await openssl(
    folder,
    ...["x509", "-req", "-in", `${name}.csr`, "-signkey", `${name}.key`, "-days", "30"],
    ...(extensions.length > 0 ? ["-extfile", `${name}.ext`] : []),
    ...["-out", `${name}.pem`],
  );
  await prepareAuthority(folder, name);
  return await load(folder, name);
}

/** What is special about a certificate. */
export interface CertificateOptions {
  /** Whose it is; its file's name by default. */
  readonly subject?: string;
  /** Who signs it: the trusted one by default. */
  readonly authority?: string;
  /** The first and the last year of its time. */
  readonly years?: readonly [from: number, to: number];
  /** What it may be used for. */
  readonly usage?: string;
  /** Whether it may sign others. */
  readonly isAuthority?: boolean;
}

/**
 * Issues one more certificate.
 *
 * @param name What its files are called.
 * @param names Its alternative names, as `openssl` wants them, or none.
 */
export async function issueCertificate(
  name: string,
  names: string | null,
  options: CertificateOptions = {},
): Promise<Certificate> {
  const { folder } = await certificates();
  const { subject = name, authority = "authority" } = options;
  const issued = await issue(folder, authority, name, subject, names, options);
  if (options.isAuthority) await prepareAuthority(folder, name);
  return issued;
}

async function issue(
  folder: string,
  authority: string,
  name: string,
  subject: string,
  names: string | null,
  { years = [2020, 2049], usage = "serverAuth,clientAuth", isAuthority = false }:
    CertificateOptions = {},
): Promise<Certificate> {
  await openssl(
    folder,
    ...["req", "-new", ...KEY, "-keyout", `${name}.key`, "-out", `${name}.csr`],
    ...["-subj", `/CN=${subject}`],
  );
  await Deno.writeTextFile(
    `${folder}/${name}.ext`,
    `basicConstraints=critical,CA:${isAuthority ? "TRUE" : "FALSE"}\n` +
      `extendedKeyUsage=${usage}\n` + (names === null ? "" : `subjectAltName=${names}\n`),
  );
  await openssl(
    folder,
    ...["ca", "-batch", "-notext", "-config", `${authority}.cnf`, "-extfile", `${name}.ext`],
    ...["-in", `${name}.csr`, "-out", `${name}.pem`],
    ...["-startdate", `${years[0]}0101000000Z`, "-enddate", `${years[1]}0101000000Z`],
  );
  return await load(folder, name);
}

async function load(folder: string, name: string): Promise<Certificate> {
  const certFile = `${folder}/${name}.pem`;
  const keyFile = `${folder}/${name}.key`;
  const [cert, key] = await Promise.all([
    Deno.readTextFile(certFile),
    Deno.readTextFile(keyFile),
  ]);
  return { cert, key, certFile, keyFile };
}

async function make(): Promise<Certificates> {
  const folder = await Deno.makeTempDir({ prefix: "asyncio-tls-" });
  addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
  const local = "DNS:localhost,IP:127.0.0.1,IP:::1";
  const authority = await makeAuthority(folder, "authority", "An authority for tests");
  const foreignAuthority = await makeAuthority(folder, "foreign", "Nobody knows me");
  return {
    folder,
    authority,
    foreignAuthority,
    good: await issue(folder, "authority", "good", "localhost", local),
    other: await issue(
      ...[folder, "authority", "other", "other.example"] as const,
      "DNS:other.example,DNS:*.wild.example",
    ),
    expired: await issue(folder, "authority", "expired", "localhost", local, {
      years: [2020, 2021],
    }),
    future: await issue(folder, "authority", "future", "localhost", local, {
      years: [2048, 2049],
    }),
    foreign: await issue(folder, "foreign", "mallory", "localhost", local),
    client: await issue(folder, "authority", "alice", "Alice", "DNS:alice"),
    foreignClient: await issue(folder, "foreign", "eve", "Mallory", "DNS:mallory"),
  };
}

/** Makes a key file whose public half is the victim's and whose private half is the thief's. */
export async function stealCertificate(
  folder: string,
  victim: string,
  thief: string,
): Promise<string> {
  const [mixed, own] = await Promise.all([victim, thief].map(async (file) => {
    const { stdout } = await new Deno.Command("openssl", {
      args: ["ec", "-in", file, "-outform", "DER"],
      stderr: "null",
    }).output();
    return stdout;
  }));
  mixed!.set(own!.subarray(7, 39), 7); // Where an ECPrivateKey of 256 bits holds its number.
  const path = `${folder}/stolen.key`;
  const base64 = mixed!.toBase64().replace(/.{64}/g, "$&\n");
  await Deno.writeTextFile(
    path,
    `-----BEGIN EC PRIVATE KEY-----\n${base64}\n-----END EC PRIVATE KEY-----\n`,
  );
  return path;
}
