// deno run examples/watch_socket.ts
//
// Watches a socket for something to receive, with callbacks only.
import { newEventLoop, socketPair } from "@asyncio/streams";

const loop = newEventLoop();
const [rsock, wsock] = socketPair();

function reader(): void {
  const data = rsock.recv(100);
  console.log(`Received: ${new TextDecoder().decode(data)}`);
  // That was all: the socket is watched no more, and the loop stops.
  loop.removeReader(rsock);
  loop.stop();
}

loop.addReader(rsock, reader);
loop.callSoon(() => wsock.send(new TextEncoder().encode("abc")));

await loop.runForever();
rsock.close();
wsock.close();
loop.close();
