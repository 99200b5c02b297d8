import {
  createDefaultContext,
  openConnection,
  startServer,
  type StreamReader,
  type StreamWriter,
} from "@asyncio/streams";
import { assertEquals } from "@std/assert";
import { certificates } from "./certificates.ts";
import { test } from "./open_sockets.ts";
import { PythonPeer } from "./python_peer.ts";

const { authority, good } = await certificates();
const clientContext = createDefaultContext({ caFile: authority.certFile });
const serverContext = createDefaultContext({ certFile: good.certFile, keyFile: good.keyFile });
const size = 16 * 1024 * 1024;

async function echo(reader: StreamReader, writer: StreamWriter): Promise<void> {
  for (;;) {
    const data = await reader.read(65_536);
    if (data.length === 0) break;
    writer.write(data);
    await writer.drain();
  }
  writer.close();
  await writer.waitClosed();
}

/** The same by `readInto()`. */
async function echoBlocks(reader: StreamReader, writer: StreamWriter): Promise<void> {
  await using _ = writer;
  const block = new Uint8Array(100_000);
  for (let n; (n = await reader.readInto(block)) > 0;) {
    writer.write(block.subarray(0, n));
    await writer.drain();
  }
}

async function checksum(data: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", data)).toHex();
}

async function sendAndCheck(reader: StreamReader, writer: StreamWriter): Promise<void> {
  const data = new Uint8Array(size).map((_, i) => (i * 31) >> 7);
  const send = async () => {
    for (let at = 0; at < size; at += 100_000) {
      writer.write(data.subarray(at, at + 100_000));
      await writer.drain();
    }
  };
  const [back] = await Promise.all([reader.readExactly(size), send()]);
  assertEquals(await checksum(back), await checksum(data));
  writer.close();
  await writer.waitClosed();
}

test("16 MiB each way over TLS with CPython's asyncio as the server", async () => {
  await using python = new PythonPeer("server");
  const options = { ssl: clientContext, serverHostname: "localhost" };
  const [reader, writer] = await openConnection("127.0.0.1", await python.port(), options);
  await sendAndCheck(reader, writer);
  await python.endsWell();
});

for (const handler of [echo, echoBlocks]) {
  test(`16 MiB each way over TLS with CPython's asyncio as the client of ${handler.name}()`, async () => {
    await using server = await startServer(handler, "127.0.0.1", 0, { ssl: serverContext });
    const { port } = server.sockets[0]!.addr as Deno.NetAddr;
    await using python = new PythonPeer("client", String(port));
    await python.endsWell();
  });
}

test("startTls() on an opened connection with CPython's asyncio", async () => {
  await using python = new PythonPeer("upgrading-server");
  const [reader, writer] = await openConnection("127.0.0.1", await python.port());
  writer.write("STARTTLS\n");
  assertEquals(new TextDecoder().decode(await reader.readLine()), "go ahead\n");
  await writer.startTls(clientContext, { serverHostname: "localhost" });
  await sendAndCheck(reader, writer);
  await python.endsWell();
});

test("startTls() on an accepted connection with CPython's asyncio", async () => {
  await using server = await startServer(
    async (reader, writer) => {
      assertEquals(new TextDecoder().decode(await reader.readLine()), "STARTTLS\n");
      writer.write("go ahead\n");
      await writer.startTls(serverContext);
      await echo(reader, writer);
    },
    "127.0.0.1",
    0,
  );
  const { port } = server.sockets[0]!.addr as Deno.NetAddr;
  await using python = new PythonPeer("upgrading-client", String(port));
  await python.endsWell();
});
