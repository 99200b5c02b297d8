// deno run examples/display_date.ts
//
// The current date, once a second, from asyncio's documentation: each callback asks for the next
// with callLater(). It goes on for 5 seconds, or as many as the first argument says.
import { type EventLoop, newEventLoop } from "@asyncio/streams";

function displayDate(loop: EventLoop, end: number): void {
  console.log(new Date().toISOString());
  if (loop.time() + 1000 < end) loop.callLater(1000, displayDate, loop, end);
  else loop.stop();
}

using loop = newEventLoop();
const seconds = Number(Deno.args[0] ?? 5);
loop.callSoon(displayDate, loop, loop.time() + seconds * 1000);
await loop.runForever();
