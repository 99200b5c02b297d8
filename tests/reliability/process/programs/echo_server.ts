// Echoes lines, and tells about itself: `stats` is answered by what it holds, `quit` ends it,
// `starttls` goes on over TLS with the certificate and key given as arguments.
import { cpuUsage, memoryUsage } from "node:process";
import { getRunningLoop } from "../../../../event_loop.ts";
import { startServer } from "../../../../streams.ts";

// Deno 2.9.6 sets its signals up about a second after it has started, or when one is first listened to,
// and panics if there is no descriptor left for that. Done early, it is done.
const noop = () => {};
Deno.addSignalListener("SIGINT", noop);
Deno.removeSignalListener("SIGINT", noop);

/** What `stats` is answered by. */
export interface Stats {
  connections: number;
  /** What went to the exception handler. */
  reports: string[];
  /** Processor time used so far, in ms. */
  cpu: number;
  /** Memory that the process has, and the part of it that JavaScript's live objects take, in bytes. */
  rss: number;
  heapUsed: number;
  external: number;
}

const reports: string[] = [];
getRunningLoop().setExceptionHandler((_loop, { message, exception }) => {
  reports.push(`${message}: ${exception}`);
});

function stats(): Stats {
  const { user, system } = cpuUsage();
  (globalThis as { gc?: () => void }).gc?.();
  const { rss, heapUsed, external } = memoryUsage();
  return {
    connections: server.connections,
    reports,
    cpu: (user + system) / 1_000,
    rss,
    heapUsed,
    external,
  };
}

const [cert, key] = Deno.args;
const decoder = new TextDecoder();
const server = await startServer(
  async (reader, writer) => {
    try {
      for await (const line of reader) {
        const command = decoder.decode(line);
        if (command === "quit\n") server.shutdown({ timeout: 0 });
        writer.write(command === "stats\n" ? `${JSON.stringify(stats())}\n` : line);
        await writer.drain();
        if (command === "starttls\n") await writer.startTls({ cert, key });
      }
      writer.close();
      await writer.waitClosed();
    } catch (error) {
      // Clients may break off as they like.
      writer.transport.abort();
      const { BrokenPipe, ConnectionReset, UnexpectedEof } = Deno.errors;
      if (![BrokenPipe, ConnectionReset, UnexpectedEof].some((kind) => error instanceof kind)) {
        throw error;
      }
    }
  },
  "127.0.0.1",
  0,
  { backlog: 1_000 },
);
console.log("Serving on", JSON.stringify(server.sockets[0]?.addr));
