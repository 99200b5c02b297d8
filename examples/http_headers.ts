// deno run --allow-net examples/http_headers.ts http://127.0.0.1:8000/
//
// The program of asyncio's documentation that prints the headers of an HTTP response.
import { openConnection } from "@asyncio/streams";

async function printHttpHeaders(url: URL): Promise<void> {
  const [reader, writer] = await openConnection(url.hostname, Number(url.port || 80));
  await using _closedInTheEnd = writer;

  writer.write(
    `HEAD ${url.pathname}${url.search} HTTP/1.1\r\n` +
      `Host: ${url.host}\r\n` +
      `Connection: close\r\n` +
      `\r\n`,
  );
  const decoder = new TextDecoder();
  for await (const line of reader) {
    const header = decoder.decode(line).trimEnd();
    if (header === "") break;
    console.log(`HTTP header> ${header}`);
  }
}

const [address] = Deno.args;
if (address === undefined || !URL.canParse(address) || new URL(address).protocol !== "http:") {
  console.error("Usage: http_headers.ts http://host[:port]/path");
  Deno.exit(2);
}
await printHttpHeaders(new URL(address));
