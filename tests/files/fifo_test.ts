import { assertEquals } from "@std/assert";
import {
  FlowControlMixin,
  getEventLoop,
  StreamReader,
  StreamReaderProtocol,
} from "@asyncio/streams";
import { pattern } from "../support.ts";

const loop = getEventLoop();
const ignore = Deno.build.os === "windows";

/** A named pipe that is there for one test. */
async function namedPipe(): Promise<{ path: string } & AsyncDisposable> {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/fifo`;
  await new Deno.Command("mkfifo", { args: [path] }).output();
  return { path, [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }) };
}

Deno.test({
  name: "connectReadPipe() and connectWritePipe() over a FIFO",
  ignore,
  async fn() {
    await using fifo = await namedPipe();
    // Each end opens once the other does.
    const [input, output] = await Promise.all([
      Deno.open(fifo.path, { read: true }),
      Deno.open(fifo.path, { write: true }),
    ]);
    const reader = new StreamReader();
    const [incoming] = await loop.connectReadPipe(
      () => new StreamReaderProtocol(reader, null, loop),
      input,
    );
    assertEquals(incoming.getExtraInfo("pipe"), input);
    const [outgoing] = await loop.connectWritePipe(() => new FlowControlMixin(), output);
    const data = pattern(1_000_000);
    outgoing.write(data);
    outgoing.close();
    assertEquals(await reader.read(), data);
  },
});

Deno.test({
  name: "closing a read pipe ends the read of a FIFO that waits",
  ignore,
  async fn() {
    await using fifo = await namedPipe();
    const input = await Deno.open(fifo.path, { read: true, write: true });
    const reader = new StreamReader();
    const protocol = new StreamReaderProtocol(reader, null, loop);
    const [incoming] = await loop.connectReadPipe(() => protocol, input);
    const reading = reader.read();
    incoming.close();
    assertEquals((await reading).length, 0);
  },
});
