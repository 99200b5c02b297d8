// deno run --allow-net=127.0.0.1 --allow-read examples/smtp_server.ts cert.pem key.pem
//
// An ESMTP server that takes mail over STARTTLS only, and prints it. The port is 2525, or the
// third argument. Ctrl-C ends it.
import {
  createDefaultContext,
  type SSLContext,
  startServer,
  type StreamReader,
  type StreamWriter,
} from "@asyncio/streams";

/** The largest mail that is taken, in bytes. */
const sizeLimit = 10 * 1024 * 1024;
/** How long a client may take for a line, in milliseconds. */
const patience = 300_000;

const decoder = new TextDecoder();

/** A mail on its way in. */
interface Envelope {
  sender: string;
  recipients: string[];
}

/** One client, from the greeting to the goodbye. */
class Session {
  readonly #reader: StreamReader;
  readonly #writer: StreamWriter;
  readonly #context: SSLContext;
  #secure = false;
  #greeted = false;
  #envelope: Envelope | null = null;

  constructor(reader: StreamReader, writer: StreamWriter, context: SSLContext) {
    this.#reader = reader;
    this.#writer = writer;
    this.#context = context;
  }

  async run(): Promise<void> {
    await this.#reply("220 localhost ESMTP");
    for (;;) {
      const line = await this.#reader.readLine({ signal: AbortSignal.timeout(patience) });
      if (line.length === 0) return;
      const [, verb = "", rest = ""] = decoder.decode(line).match(/^(\S*) ?(.*?)\r?\n?$/)!;
      if (verb.toUpperCase() === "QUIT") return await this.#reply("221 Bye");
      await this.#obey(verb.toUpperCase(), rest);
    }
  }

  async #reply(...lines: string[]): Promise<void> {
    this.#writer.write(lines.join("\r\n") + "\r\n");
    await this.#writer.drain();
  }

  #obey(verb: string, rest: string): Promise<void> {
    switch (verb) {
      case "HELO":
      case "EHLO":
        return this.#greet(verb);
      case "NOOP":
        return this.#reply("250 OK");
      case "RSET":
        this.#envelope = null;
        return this.#reply("250 OK");
      case "STARTTLS":
        return this.#secure ? this.#reply("503 It is on already") : this.#startTls();
      case "MAIL":
      case "RCPT":
      case "DATA":
        if (!this.#secure) return this.#reply("530 Must issue a STARTTLS command first");
        if (!this.#greeted) return this.#reply("503 Say EHLO first");
        return verb === "DATA" ? this.#data() : this.#address(verb, rest);
      default:
        return this.#reply("502 Command not implemented");
    }
  }

  #greet(verb: string): Promise<void> {
    this.#greeted = true;
    this.#envelope = null;
    if (verb === "HELO") return this.#reply("250 localhost");
    const tls = this.#secure ? [] : ["250-STARTTLS"];
    return this.#reply("250-localhost", ...tls, `250 SIZE ${sizeLimit}`);
  }

  /** What a client said before TLS is forgotten, as RFC 3207 has it: it could be anybody's. */
  async #startTls(): Promise<void> {
    await this.#reply("220 Go ahead");
    await this.#writer.startTls(this.#context);
    this.#secure = true;
    this.#greeted = false;
    this.#envelope = null;
  }

  #address(verb: string, rest: string): Promise<void> {
    const address = rest.match(/^(?:FROM|TO): ?<([^<>]*)>/i)?.[1];
    if (address === undefined) return this.#reply("501 Which address?");
    if (verb === "MAIL") this.#envelope = { sender: address, recipients: [] };
    else if (this.#envelope === null) return this.#reply("503 MAIL comes first");
    else this.#envelope.recipients.push(address);
    return this.#reply("250 OK");
  }

  async #data(): Promise<void> {
    const envelope = this.#envelope;
    if (envelope === null || envelope.recipients.length === 0) {
      return await this.#reply("503 RCPT comes first");
    }
    await this.#reply("354 End with a line that is a dot");
    const lines: string[] = [];
    let size = 0;
    for (;;) {
      const signal = AbortSignal.timeout(patience);
      const line = decoder.decode(await this.#reader.readUntil("\r\n", { signal }));
      if (line === ".\r\n") break;
      size += line.length;
      // A dot in front of a line is doubled on the way.
      if (size <= sizeLimit) lines.push(line.replace(/^\./, "").replace(/\r?\n$/, ""));
      else lines.length = 0;
    }
    this.#envelope = null;
    if (size > sizeLimit) return await this.#reply("552 Too much");
    console.log(`From ${envelope.sender} to ${envelope.recipients.join(", ")}:`);
    for (const line of lines) console.log(`| ${line}`);
    await this.#reply("250 OK");
  }
}

const [certFile, keyFile, port = "2525"] = Deno.args;
if (certFile === undefined || keyFile === undefined) {
  console.error("Usage: smtp_server.ts cert.pem key.pem [port]");
  Deno.exit(2);
}
const context = createDefaultContext({ certFile, keyFile });
await using server = await startServer(
  async (reader, writer) => {
    await using _closedInTheEnd = writer;
    await new Session(reader, writer, context).run();
  },
  "127.0.0.1",
  Number(port),
);
for (const { addr } of server.sockets) console.log("Serving on", JSON.stringify(addr));
await server.serveForever();
