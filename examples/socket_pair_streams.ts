// deno run examples/socket_pair_streams.ts
//
// Waits for data with streams, on one end of a socket pair; the other end sends it a little later.
import { getRunningLoop, openConnection, run, socketPair } from "@asyncio/streams";

await run(async () => {
  const loop = getRunningLoop();
  const [rsock, wsock] = socketPair();
  const [reader, writer] = await openConnection({ sock: rsock });

  loop.callSoon(() => wsock.send(new TextEncoder().encode("abc")));

  const data = await reader.read(100);
  console.log(`Received: ${new TextDecoder().decode(data)}`);

  writer.close();
  await writer.waitClosed();
  wsock.close();
});
