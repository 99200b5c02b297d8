// deno run --allow-net --allow-read examples/postgres_tls.ts localhost 5432 alice root.pem
//
// How a PostgreSQL client upgrades to TLS: it asks in the clear, and does the handshake if the
// answer is "S". Then it says who it is, and the server, how it wants that proved.
import { createDefaultContext, openConnection, type StreamReader } from "@asyncio/streams";

/** The number that stands for "do you speak TLS?" in place of a version. */
const sslRequest = 80_877_103;
/** Version 3.0 of the protocol. */
const version = 196_608;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Puts the length in front, which counts itself. */
function message(code: number, body = ""): Uint8Array {
  const text = encoder.encode(body);
  const bytes = new Uint8Array(8 + text.length);
  const view = new DataView(bytes.buffer);
  view.setInt32(0, bytes.length);
  view.setInt32(4, code);
  bytes.set(text, 8);
  return bytes;
}

/** Reads a message: a letter, a length that counts itself, and the rest. */
async function readMessage(reader: StreamReader): Promise<{ type: string; body: DataView }> {
  const head = await reader.readExactly(5);
  const length = new DataView(head.buffer, head.byteOffset).getInt32(1);
  const { buffer, byteOffset } = await reader.readExactly(length - 4);
  const body = new DataView(buffer, byteOffset, length - 4);
  return { type: decoder.decode(head.subarray(0, 1)), body };
}

const [host, port, user, caFile] = Deno.args;
if (host === undefined || port === undefined || user === undefined) {
  console.error("Usage: postgres_tls.ts host port user [root.pem]");
  Deno.exit(2);
}
const context = createDefaultContext({ caFile });
const [reader, writer] = await openConnection(host, Number(port));
await using _closedInTheEnd = writer;

writer.write(message(sslRequest));
const answer = decoder.decode(await reader.readExactly(1));
if (answer !== "S") throw new Error(`${host}:${port} does not speak TLS: it answered ${answer}`);
await writer.startTls(context, { serverHostname: host });
console.log("TLS:", writer.getExtraInfo("cipher")?.join(" "));
console.log("Server:", writer.getExtraInfo("peercert")?.subject["CN"]);

writer.write(message(version, `user\0${user}\0database\0postgres\0\0`));
const { type, body } = await readMessage(reader);
if (type === "R") console.log("Authentication:", body.getInt32(0));
else console.log(`${type}:`, decoder.decode(body).replaceAll("\0", " "));
