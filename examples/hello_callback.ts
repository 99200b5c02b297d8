// deno run examples/hello_callback.ts
//
// Hello World with a callback, from asyncio's documentation: the loop runs until the callback
// stops it.
import { type EventLoop, newEventLoop } from "@asyncio/streams";

function helloWorld(loop: EventLoop): void {
  console.log("Hello World");
  loop.stop();
}

using loop = newEventLoop();
loop.callSoon(helloWorld, loop);
await loop.runForever();
