// deno run --allow-net=unix:/tmp/streams-echo.sock --allow-read=/tmp/streams-echo.sock --allow-write=/tmp/streams-echo.sock examples/unix_echo.ts
//
// An echo server on a Unix socket and a client that talks to it, in one program. The socket is
// /tmp/streams-echo.sock, or the first argument.
import {
  openUnixConnection,
  startUnixServer,
  type StreamReader,
  type StreamWriter,
} from "@asyncio/streams";

async function echoLines(reader: StreamReader, writer: StreamWriter): Promise<void> {
  await using _closedInTheEnd = writer;
  for await (const line of reader) {
    writer.write(line);
    await writer.drain();
  }
}

const path = Deno.args[0] ?? "/tmp/streams-echo.sock";

// The socket file goes when the server is closed.
await using _server = await startUnixServer(echoLines, path);
const [reader, writer] = await openUnixConnection(path);

writer.writeLines(["first line\n", "second line\n"]);
writer.writeEof();
const answer = new TextDecoder().decode(await reader.read());
console.log(`Echoed over ${path}:\n${answer.trimEnd()}`);

writer.close();
await writer.waitClosed();
