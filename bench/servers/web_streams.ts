// Deno's web streams: `web_streams.ts <kind>`. It prints its port.

/** Splits text at newlines, as `TextLineStream` of `@std/streams` does. */
class LineStream extends TransformStream<string, string> {
  #held = "";

  constructor() {
    super({
      transform: (text, controller) => {
        const lines = (this.#held + text).split("\n");
        this.#held = lines.pop()!;
        for (const line of lines) controller.enqueue(line);
      },
    });
  }
}

const handlers: Record<string, (conn: Deno.Conn) => Promise<void>> = {
  bytes: (conn) => conn.readable.pipeTo(conn.writable),
  lines: (conn) =>
    conn.readable
      .pipeThrough(new TextDecoderStream())
      .pipeThrough(new LineStream())
      .pipeThrough(
        new TransformStream({ transform: (line, out) => out.enqueue(line + "\n") }),
      )
      .pipeThrough(new TextEncoderStream())
      .pipeTo(conn.writable),
};

const handle = handlers[Deno.args[0] ?? "bytes"]!;
const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
console.log(listener.addr.port);
for await (const conn of listener) {
  conn.setNoDelay(true);
  handle(conn).catch(() => {});
}
