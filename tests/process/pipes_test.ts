// Standard input and output as pipes, in a process of their own.
import { assertEquals } from "@std/assert";

const program = `
  import {
    FlowControlMixin, getEventLoop, StreamReader, StreamReaderProtocol,
  } from "@asyncio/streams";
  const loop = getEventLoop();
  const reader = new StreamReader();
  await loop.connectReadPipe(() => new StreamReaderProtocol(reader, null, loop), Deno.stdin);
  const [output] = await loop.connectWritePipe(() => new FlowControlMixin(), Deno.stdout);
  for await (const line of reader) output.write(line);
  output.write("end\\n");
  output.close();
`;

Deno.test("standard input is read, and standard output written, as pipes", async () => {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", program],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1" },
  }).spawn();
  const text = "a line\n".repeat(20_000);
  const [{ stdout, stderr }] = await Promise.all([
    child.output(),
    new Blob([text]).stream().pipeTo(child.stdin),
  ]);
  assertEquals(new TextDecoder().decode(stderr), "");
  assertEquals(new TextDecoder().decode(stdout), text + "end\n");
});
