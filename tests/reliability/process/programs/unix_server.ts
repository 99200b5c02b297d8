// Listens on each path given, and says how that went.
import { startUnixServer } from "../../../../streams.ts";

for (const path of Deno.args) {
  try {
    await using server = await startUnixServer((_, writer) => writer.close(), path);
    console.log(`Serving on ${server.sockets.length}`);
  } catch (error) {
    console.log(`${error instanceof Error ? error.constructor.name : ""}: ${error}`);
  }
}
