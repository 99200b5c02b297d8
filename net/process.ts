/**
 * A child process whose pipes are streams.
 *
 * @module
 */
import { abortable } from "@std/async/abortable";
import type { ExceptionSink } from "../loop/exception_context.ts";
import type { ChildTransport } from "./child_transport.ts";
import { FlowControlMixin } from "./flow_control.ts";
import { SubprocessProtocol } from "./protocols.ts";
import { DEFAULT_LIMIT, getIntake, pullFrom, StreamReader } from "./stream_reader.ts";
import { StreamWriter } from "./stream_writer.ts";
import type { ReadTransport, SubprocessTransport, WriteTransport } from "./transports.ts";
import { checkLimit, checkSignal, show } from "./validate.ts";
import type { WaitOptions } from "./wait_options.ts";

/** Options of {@linkcode Process.communicate}. */
export interface CommunicateOptions extends WaitOptions {
  /** What the child is to read; a string goes as UTF-8. By default it gets EOF at once. */
  input?: Uint8Array | string | undefined;
}

/**
 * The protocol that makes streams of a child's pipes; `createSubprocessExec()` and
 * `createSubprocessShell()` use it.
 *
 * @example
 * ```ts
 * import { getEventLoop, Process, SubprocessStreamProtocol } from "@asyncio/streams";
 * import { assertEquals } from "@std/assert";
 *
 * const loop = getEventLoop();
 * const factory = () => new SubprocessStreamProtocol(undefined, loop);
 * const [transport, protocol] = await loop.subprocessExec(factory, "echo", ["hello"]);
 * await using child = new Process(transport, protocol);
 * const [output] = await child.communicate();
 * assertEquals(new TextDecoder().decode(output!), "hello\n");
 * ```
 */
export class SubprocessStreamProtocol extends SubprocessProtocol {
  readonly #limit: number;
  readonly #loop: ExceptionSink;
  /** What the writer of the child's input waits for. */
  readonly #flow = new FlowControlMixin();
  /** The writer of the child's input. */
  stdin: StreamWriter | null = null;
  /** The reader of the child's output. */
  stdout: StreamReader | null = null;
  /** The reader of the child's errors. */
  stderr: StreamReader | null = null;

  /**
   * Makes a protocol for one child.
   *
   * @param limit How many bytes a line may have; twice as many are read ahead of the readers.
   * @param loop Who is told of errors that no caller can be told.
   */
  constructor(limit: number = DEFAULT_LIMIT, loop: ExceptionSink) {
    super();
    this.#limit = checkLimit(limit);
    this.#loop = loop;
  }

  /** Makes the streams. */
  override connectionMade(transport: SubprocessTransport): void {
    const stdin = transport.getPipeTransport(0) as WriteTransport | null;
    if (stdin !== null) this.stdin = new StreamWriter(stdin, this.#flow, null, this.#loop);
    this.stdout = this.#reader(transport, 1);
    this.stderr = this.#reader(transport, 2);
  }

  #reader(transport: SubprocessTransport, fd: number): StreamReader | null {
    const pipe = transport.getPipeTransport(fd) as ReadTransport | null;
    if (pipe === null) return null;
    const reader = new StreamReader({ limit: this.#limit });
    // A subclass that looks at what comes is given it.
    const { pipeDataReceived } = SubprocessStreamProtocol.prototype;
    const pulls = this.pipeDataReceived === pipeDataReceived && pullFrom(reader, pipe);
    if (!pulls) reader.setTransport(pipe);
    // As far as asyncio: a child that says little can exit though nobody reads.
    getIntake(reader).takeIn(2 * this.#limit);
    return reader;
  }

  /** The child's input is full: `drain()` waits. */
  override pauseWriting(): void {
    this.#flow.pauseWriting();
  }

  /** It is empty enough: `drain()` goes on. */
  override resumeWriting(): void {
    this.#flow.resumeWriting();
  }

  #stream(fd: number): StreamReader | null {
    return [null, this.stdout, this.stderr][fd] ?? null;
  }

  /** Feeds the stream of a pipe. */
  override pipeDataReceived(fd: number, data: Uint8Array): void {
    this.#stream(fd)?.feedData(data);
  }

  /** Ends the stream of a pipe. */
  override pipeConnectionLost(fd: number, error: Error | null): void {
    const reader = this.#stream(fd);
    if (reader !== null) getIntake(reader).end(error);
    else this.#flow.connectionLost(error);
  }
}

/**
 * A child process, as asyncio's `asyncio.subprocess.Process`; {@linkcode createSubprocessExec} and
 * {@linkcode createSubprocessShell} make it.
 *
 * It is `AsyncDisposable`: `await using` ends the child (`SIGKILL`) if it still runs, and waits
 * until nothing of it is left.
 *
 * @example A conversation with a child
 * ```ts
 * import { createSubprocessExec } from "@asyncio/streams";
 * import { assertEquals } from "@std/assert";
 *
 * await using child = await createSubprocessExec("cat", [], { stdin: "piped", stdout: "piped" });
 * child.stdin!.write("hello\n");
 * assertEquals(new TextDecoder().decode(await child.stdout!.readLine()), "hello\n");
 * child.stdin!.close();
 * assertEquals(await child.wait(), 0);
 * ```
 */
export class Process implements AsyncDisposable {
  /** The child's process id. */
  readonly pid: number;
  /**
   * Writes to the child's input, if that is piped. It is lost when the child exits, also where
   * children of its own still read.
   */
  readonly stdin: StreamWriter | null;
  /** Reads the child's output, if that is piped. */
  readonly stdout: StreamReader | null;
  /** Reads the child's errors, if those are piped. */
  readonly stderr: StreamReader | null;
  readonly #transport: ChildTransport;
  /** What an aborted {@linkcode communicate} has read to its end. */
  #heard: { stdout?: Uint8Array | null; stderr?: Uint8Array | null } = {};

  /**
   * Joins a transport and its protocol.
   *
   * @param transport The child's transport.
   * @param protocol The transport's protocol, after its `connectionMade`.
   */
  constructor(transport: SubprocessTransport, protocol: SubprocessStreamProtocol) {
    this.#transport = transport as ChildTransport;
    this.pid = transport.getPid();
    this.stdin = protocol.stdin;
    this.stdout = protocol.stdout;
    this.stderr = protocol.stderr;
  }

  /** The exit code, or minus the number of the signal that ended it, or `null` while it runs. */
  get returncode(): number | null {
    return this.#transport.getReturncode();
  }

  /**
   * Waits for the child to exit.
   *
   * A child whose output is piped stops when its pipe and 128 KiB (twice the limit) are full, and
   * never exits: read as it goes, or use {@linkcode Process.communicate}.
   *
   * @param options A signal to end the wait; the child goes on.
   * @returns The {@linkcode Process.returncode}.
   * @throws {TypeError} If the signal is of the wrong type.
   * @throws The signal's reason.
   */
  async wait({ signal }: WaitOptions = {}): Promise<number> {
    checkSignal(signal);
    const exited = this.#transport.exited();
    return await (signal === undefined ? exited : abortable(exited, signal));
  }

  /**
   * Sends the child its input and the end of it, reads all that it says, and waits for it to exit.
   *
   * A child that exits or closes its input before it has read everything is no error. What it
   * says is held in memory.
   *
   * @param options The input, and a signal to end the wait; the child then goes on, input that was
   * given is still sent, and what the child says is there for the next call.
   * @returns The output and the errors; `null` for what is not piped.
   * @throws {TypeError} If there is input, and the child's is not piped; or an option is of the
   * wrong type.
   * @throws {Error} If there is input, and the child's was closed on this side, as a call before
   * does. asyncio drops the input.
   * @throws The signal's reason.
   */
  async communicate(
    options: CommunicateOptions = {},
  ): Promise<[stdout: Uint8Array | null, stderr: Uint8Array | null]> {
    const { input, signal } = options;
    if (input !== undefined && this.stdin === null) {
      throw new TypeError(
        'communicate() has input, but the child was not made with stdin: "piped"',
      );
    }
    if (input !== undefined && typeof input !== "string" && !(input instanceof Uint8Array)) {
      throw new TypeError(`input is a Uint8Array or a string, not ${show(input)}`);
    }
    checkSignal(signal);
    if (input !== undefined) this.#write(input);
    // When one part fails, the others end: a read that is left under way would shut out the next.
    const failure = new AbortController();
    const either = {
      signal: signal === undefined ? failure.signal : AbortSignal.any([signal, failure.signal]),
    };
    const parts = [this.#drain(either), this.#hear("stdout", either), this.#hear("stderr", either)];
    try {
      await Promise.all(parts);
    } catch (error) {
      failure.abort(error);
      await Promise.allSettled(parts);
      throw error;
    }
    await this.wait({ signal });
    const { stdout = null, stderr = null } = this.#heard;
    this.#heard = {};
    return [stdout, stderr];
  }

  async #hear(name: "stdout" | "stderr", options: WaitOptions): Promise<void> {
    this.#heard[name] ??= await this[name]?.read(-1, options) ?? null;
  }

  #write(input: Uint8Array | string): void {
    try {
      this.stdin!.write(input); // Dropped, if the child has gone already.
    } catch (cause) {
      throw new Error("communicate() has input, but the child's standard input has been closed", {
        cause,
      });
    }
  }

  /** Waits until the child has its input, and ends it. */
  async #drain(options: WaitOptions): Promise<void> {
    const { stdin } = this;
    if (stdin === null) return;
    try {
      await stdin.drain(options);
    } catch (error) {
      options.signal?.throwIfAborted();
      // The child does not want the rest.
      if (!isGone(error)) throw error;
    }
    stdin.close();
  }

  /**
   * Sends the child a signal. After its exit that does nothing.
   *
   * @param signal The signal's name.
   * @throws {TypeError} When the platform has no such signal.
   */
  sendSignal(signal: Deno.Signal): void {
    this.#transport.sendSignal(signal);
  }

  /** Asks the child to stop (`SIGTERM`). */
  terminate(): void {
    this.#transport.terminate();
  }

  /** Ends the child (`SIGKILL`). */
  kill(): void {
    this.#transport.kill();
  }

  /** Ends the child if it still runs, closes its pipes, and waits until nothing is left. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#transport.close();
    await this.#transport.finished();
  }
}

function isGone(error: unknown): boolean {
  return error instanceof Deno.errors.BrokenPipe || error instanceof Deno.errors.ConnectionReset;
}
