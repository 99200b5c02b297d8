// deno run --allow-net=127.0.0.1 --allow-read=. examples/file_server.ts
//
// Serves the files of a folder over HTTP/1.0, each by one sendfile(): however large it is and however
// slow its reader, no more than 1 MiB of it is in memory. The folder is the current one, or the first
// argument; the port is 8080, or the second.
import {
  getRunningLoop,
  startServer,
  type StreamReader,
  type StreamWriter,
} from "@asyncio/streams";

const [folder = ".", port = "8080"] = Deno.args;
const root = await Deno.realPath(folder);

/** Opens what a request asks for, unless that is no file of the folder. */
async function open(request: string): Promise<Deno.FsFile | null> {
  const path = request.match(/^GET \/([^ ?]+)\S* HTTP\/1\.[01]$/)?.[1];
  if (path === undefined) return null;
  try {
    const real = await Deno.realPath(`${root}/${decodeURIComponent(path)}`);
    if (!real.startsWith(`${root}/`)) return null;
    const file = await Deno.open(real);
    if ((await file.stat()).isFile) return file;
    file.close();
  } catch (error) {
    if (error instanceof Deno.errors.PermissionDenied) console.error(error.message);
  }
  return null;
}

async function serve(reader: StreamReader, writer: StreamWriter): Promise<void> {
  await using _closedInTheEnd = writer;
  const head = new TextDecoder().decode(await reader.readUntil("\r\n\r\n"));
  const [request = ""] = head.split("\r\n");
  using file = await open(request);
  if (file === null) {
    writer.write("HTTP/1.0 404 Not Found\r\n\r\nNot found.\n");
    return;
  }
  const { size } = await file.stat();
  writer.write(`HTTP/1.0 200 OK\r\ncontent-length: ${size}\r\n\r\n`);
  const sent = await getRunningLoop().sendfile(writer.transport, file);
  console.log(`${request}: ${sent} bytes`);
}

await using server = await startServer(serve, "127.0.0.1", Number(port));
for (const { addr } of server.sockets) console.log("Serving on", JSON.stringify(addr));
await server.serveForever();
