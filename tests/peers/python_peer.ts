/**
 * CPython's `ssl` as the other end of TLS tests.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { deadline } from "@std/async/deadline";
import { certificates } from "./certificates.ts";

/** How long to wait for a line, in ms. */
const PATIENCE = 60_000;

const { folder } = await certificates();

/** A running `tls_peer.py`; it has to end well. */
export class PythonPeer implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #output: ReadableStreamDefaultReader<string>;
  #text = "";

  /** Starts it with a mode and what that needs. */
  constructor(mode: string, ...args: string[]) {
    this.#child = new Deno.Command("python3", {
      args: [`${import.meta.dirname}/tls_peer.py`, mode, folder, ...args],
      stdin: "null",
      stdout: "piped",
    }).spawn();
    this.#output = this.#child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  /** The next line that it prints; empty at the end. */
  async line(): Promise<string> {
    while (!this.#text.includes("\n")) {
      const { value } = await deadline(this.#output.read(), PATIENCE);
      if (value === undefined) break;
      this.#text += value;
    }
    const [line, ...rest] = this.#text.split("\n");
    this.#text = rest.join("\n");
    return line!;
  }

  /** The port that it prints first, if it is a server. */
  async port(): Promise<number> {
    return Number(await this.line());
  }

  /** Waits for its end. */
  async endsWell(): Promise<void> {
    assertEquals(await this.line(), "ok");
    assertEquals(await this.line(), "");
    assert((await this.#child.status).success);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill();
    } catch {
      // It has ended.
    }
    await this.#output.cancel();
    await this.#child.status;
  }
}
