// deno run --allow-net examples/http_headers.ts https://localhost:8443/
//
// The program of asyncio's documentation that prints the headers of an HTTP response, over TLS
// for https. Deno's own DENO_CERT=authority.pem makes it trust one more authority.
import { openConnection } from "@asyncio/streams";

async function printHttpHeaders(url: URL): Promise<void> {
  const ssl = url.protocol === "https:";
  const port = Number(url.port || (ssl ? 443 : 80));
  const [reader, writer] = await openConnection(url.hostname, port, { ssl });
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
if (address === undefined || !URL.canParse(address) || !/^https?:/.test(address)) {
  console.error("Usage: http_headers.ts https://host[:port]/path");
  Deno.exit(2);
}
await printHttpHeaders(new URL(address));
