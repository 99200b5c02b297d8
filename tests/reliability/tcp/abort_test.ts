// Opening connections and servers, aborted at each step: the wait ends with the signal's reason, and
// nothing stays open, which Deno's sanitizer and the server's own count tell.
import { assert, assertEquals } from "@std/assert";
import { BaseProtocol } from "../../../net/protocols.ts";
import { getEventLoop } from "../../../event_loop.ts";
import type { Server } from "../../../server.ts";
import { openConnection, startServer } from "../../../streams.ts";
import type { WaitOptions } from "../../../net/wait_options.ts";
import { attempt, portOf, test, until } from "../support.ts";

/** The system answers in its own time. */
const patience = 1_000_000;

/** The steps at which to abort: each of the first, then fewer. */
function* steps(): Generator<number> {
  for (let step = 0;; step += 1 + Math.floor(step / 20)) yield step;
}

const opens: Record<string, (server: Server, options: WaitOptions) => Promise<AsyncDisposable>> = {
  async "openConnection() to an address"(server, options) {
    return (await openConnection("127.0.0.1", portOf(server), options))[1];
  },
  async "openConnection() to a name"(server, options) {
    return (await openConnection("localhost", portOf(server), { ...options, family: 4 }))[1];
  },
  async "openConnection() from a local address"(server, options) {
    const localAddr = { hostname: "127.0.0.1" };
    return (await openConnection("127.0.0.1", portOf(server), { ...options, localAddr }))[1];
  },
  async "loop.createConnection()"(server, options) {
    const closed = Promise.withResolvers<void>();
    class Waits extends BaseProtocol {
      override connectionLost() {
        closed.resolve();
      }
    }
    const port = portOf(server);
    const [transport] = await getEventLoop()
      .createConnection(() => new Waits(), "127.0.0.1", port, options);
    return {
      async [Symbol.asyncDispose]() {
        transport.close();
        await closed.promise;
      },
    };
  },
  async "startServer() on addresses and names"(_server, options) {
    return await startServer(() => {}, ["127.0.0.1", "localhost"], 0, { ...options, family: 4 });
  },
};

for (const [name, open] of Object.entries(opens)) {
  test(`${name}, aborted at every step, leaves nothing open`, async () => {
    await using server = await startServer(
      async (reader, writer) => {
        await using _ = writer;
        await reader.read();
      },
      "127.0.0.1",
      0,
    );
    for (const step of steps()) {
      const { aborted, value } = await attempt((options) => open(server, options), step, [], {
        patience,
        listeners: null,
      });
      if (aborted) continue;
      await value![Symbol.asyncDispose]();
      assert(step > 0, "there was nothing to abort");
      break;
    }
    await until(() => server.connections === 0);
    assertEquals(server.isServing(), true);
  });
}
