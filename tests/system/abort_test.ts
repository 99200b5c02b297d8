// The waits for datagram endpoints and child processes, aborted at each of their steps: each ends
// with the signal's reason, no byte is lost, and nothing stays open, as Deno's sanitizer tells.
import {
  createSubprocessExec,
  createSubprocessShell,
  type DatagramEndpointOptions,
  DatagramProtocol,
  getEventLoop,
  type Process,
  SubprocessProtocol,
} from "@asyncio/streams";
import { assert, assertEquals } from "@std/assert";
import { type Attempt, attempt, test } from "../reliability/support.ts";

/** The system answers in its own time; the platform's own listeners stay on the signal. */
const patient = { patience: 1_000_000 };

/** Tries `once` with the abort at each of the first steps, then at fewer, until it comes too late. */
async function atSteps(once: (step: number) => Promise<Attempt<unknown>>): Promise<void> {
  for (let step = 0;; step += 1 + Math.floor(step / 20)) {
    const { aborted } = await once(step);
    if (!aborted) return void assert(step > 0, "there was nothing to abort");
  }
}

const endpoints: Record<string, DatagramEndpointOptions> = {
  "to an address": { localAddr: { hostname: "127.0.0.1" } },
  "to a name": { localAddr: { hostname: "localhost" }, family: 4 },
  "with a peer": { remoteAddr: { hostname: "localhost", port: 9 }, family: 4 },
};

for (const [how, options] of Object.entries(endpoints)) {
  test(`createDatagramEndpoint() ${how}, aborted at every step, leaves nothing open`, async () => {
    await atSteps(async (step) => {
      const lost = Promise.withResolvers<void>();
      class Waits extends DatagramProtocol {
        override connectionLost() {
          lost.resolve();
        }
      }
      const result = await attempt(
        ({ signal }) =>
          getEventLoop().createDatagramEndpoint(() => new Waits(), { ...options, signal }),
        step,
        [],
        patient,
      );
      if (result.value) {
        result.value[0].close();
        await lost.promise;
      }
      return result;
    });
  });
}

const piped = { stdin: "piped", stdout: "piped" } as const;

test("wait(), aborted at every step: the child goes on", async () => {
  await atSteps(async (step) => {
    const child = await createSubprocessShell("read line; exit 7", piped);
    const script = [() => child.stdin!.write("\n")];
    const result = await attempt((options) => child.wait(options), step, script, patient);
    for (const act of script) act();
    assertEquals(await child.wait(), 7);
    await child[Symbol.asyncDispose]();
    return result;
  });
});

test("communicate(), aborted at every step, loses no byte: the child goes on", async () => {
  const input = "x".repeat(300_000);
  await atSteps(async (step) => {
    const child = await createSubprocessExec("cat", [], piped);
    const result = await attempt(
      (options) => child.communicate({ ...options, input }),
      step,
      [],
      patient,
    );
    const [stdout] = result.value ?? await child.communicate();
    assertEquals(stdout?.length, input.length);
    assertEquals(await child.wait(), 0);
    await child[Symbol.asyncDispose]();
    return result;
  });
});

const children: Record<string, (signal: AbortSignal) => Promise<Process | null>> = {
  "createSubprocessExec()": (signal) => createSubprocessExec("cat", [], { ...piped, signal }),
  "createSubprocessShell()": (signal) => createSubprocessShell("cat", { ...piped, signal }),
  async "loop.subprocessExec()"(signal) {
    const exited = Promise.withResolvers<void>();
    class Child extends SubprocessProtocol {
      override connectionLost() {
        exited.resolve();
      }
    }
    const [transport] = await getEventLoop().subprocessExec(() => new Child(), "cat", [], {
      signal,
    });
    transport.close();
    await exited.promise;
    return null;
  },
};

for (const [name, start] of Object.entries(children)) {
  test(`${name}, aborted at every step, leaves no child`, async () => {
    for (let step = 0; step < 12; step++) {
      const controller = new AbortController();
      const reason = new Error("changed my mind");
      const starting = start(controller.signal).catch((error) => error as Error);
      for (let i = 0; i < step; i++) await null;
      controller.abort(reason);
      const child = await starting;
      if (child instanceof Error) assertEquals(child, reason);
      else if (child !== null) {
        // Cut short by SIGTERM.
        assert(await child.wait() < 0);
        await child[Symbol.asyncDispose]();
      }
    }
  });
}
