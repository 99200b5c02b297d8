/**
 * OpenSSL's `s_server` and `s_client` as the other end of TLS tests.
 *
 * @module
 */

import { deadline } from "@std/async/deadline";

/** How long to wait for something to be said, in ms. */
const PATIENCE = 10_000;

/** A running `openssl`. */
export interface Peer extends AsyncDisposable {
  /** Its process. */
  readonly child: Deno.ChildProcess;
  /** What it has said on its standard output so far. */
  readonly output: string;
  /** Waits until it has said something that fits. */
  said(pattern: RegExp): Promise<RegExpExecArray>;
  /** Gives it a line to send. */
  type(text: string): Promise<void>;
  /** Ends its input, so that a client says goodbye, and waits for its end. */
  leave(): Promise<void>;
  /** Waits for its end, and gives its exit code and all it has said. */
  ended(): Promise<{ code: number; output: string }>;
}

/** Starts `openssl` with arguments, both of its outputs in one. */
export function startOpenssl(...args: string[]): Peer {
  const child = new Deno.Command("openssl", {
    args,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let output = "";
  let changed = Promise.withResolvers<void>();
  const gather = async (stream: ReadableStream<Uint8Array<ArrayBuffer>>) => {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      output += text;
      changed.resolve();
      changed = Promise.withResolvers();
    }
  };
  const gathered = Promise.all([gather(child.stdout), gather(child.stderr)]);
  const ended = (async () => {
    await gathered;
    const { code } = await child.status;
    changed.resolve();
    return { code, output };
  })();
  const input = child.stdin.getWriter();
  input.closed.catch(() => {});
  return {
    child,
    get output() {
      return output;
    },
    async said(pattern) {
      let over = false;
      ended.then(() => over = true);
      for (;;) {
        const match = pattern.exec(output);
        if (match !== null) return match;
        if (over) throw new Error(`openssl ended without ${pattern}: ${output}`);
        await deadline(changed.promise, PATIENCE);
      }
    },
    async type(text) {
      await input.write(new TextEncoder().encode(text));
    },
    async leave() {
      await input.close();
      await deadline(ended, PATIENCE);
    },
    ended: () => deadline(ended, PATIENCE),
    async [Symbol.asyncDispose]() {
      await input.close().catch(() => {});
      try {
        child.kill();
      } catch {
        // It has ended.
      }
      await ended;
    },
  };
}

/** Starts `s_server` on a free port; it sends back each line reversed. */
export async function startServerPeer(
  { certFile, keyFile }: { certFile: string; keyFile: string },
  ...args: string[]
): Promise<Peer & { port: number }> {
  const peer = startOpenssl(
    ...["s_server", "-accept", "127.0.0.1:0", "-cert", certFile, "-key", keyFile, "-rev"],
    ...args,
  );
  const [, port] = await peer.said(/ACCEPT \S*:(\d+)/);
  return Object.assign(Object.create(peer), { port: Number(port) });
}

/** Starts `s_client` against `port`, which has to be who it says for `authority`. */
export function startClientPeer(
  port: number,
  authority: { certFile: string },
  ...args: string[]
): Peer {
  return startOpenssl(
    ...["s_client", "-connect", `127.0.0.1:${port}`, "-servername", "localhost"],
    ...["-CAfile", authority.certFile, "-verify_return_error", "-nocommands"],
    ...args,
  );
}
