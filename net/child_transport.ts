/**
 * The transport of a child process.
 *
 * @module
 */
import type { ExceptionSink } from "../loop/exception_context.ts";
import type { TransportWatch } from "../loop/open_transports.ts";
import { callSafely } from "./call_safely.ts";
import { ReadPipe, WritePipe } from "./pipe_carrier.ts";
import { Protocol, type SubprocessProtocol } from "./protocols.ts";
import { StreamTransport } from "./stream_transport.ts";
import { type ChildOptions, type CommandLine, spawn } from "./subprocess.ts";
import { type ExtraInfo, SubprocessTransport } from "./transports.ts";
import { nextTurn } from "./turn.ts";

/** How many turns the child's last words have to arrive before its exit is told. */
const LAST_WORDS = 4;

/** How a transport is made. */
export interface ChildTransportInit {
  /** Who is told what happens. */
  protocol: SubprocessProtocol;
  /** Who is told of errors that no caller can be told. */
  loop: ExceptionSink;
  /** Who is told that it is open, and that it is closed. */
  watch?: TransportWatch | undefined;
}

/** Passes on what happens to one of the child's pipes. */
class PipeProtocol extends Protocol {
  readonly #fd: number;
  readonly #child: ChildTransport;

  constructor(fd: number, child: ChildTransport) {
    super();
    this.#fd = fd;
    this.#child = child;
  }

  override dataReceived(data: Uint8Array): void {
    this.#child.tell((protocol) => protocol.pipeDataReceived?.(this.#fd, data));
  }

  override pauseWriting(): void {
    this.#child.tell((protocol) => protocol.pauseWriting?.());
  }

  override resumeWriting(): void {
    this.#child.tell((protocol) => protocol.resumeWriting?.());
  }

  override connectionLost(error: Error | null): void {
    this.#child.pipeLost(this.#fd, error);
  }
}

/**
 * A child process and its pipes.
 *
 * Its protocol is told of data first, then of each pipe's end, of the child's exit, and at last,
 * when all of that has happened, of the connection's end. A pipe that the child handed on to its own
 * children may outlive it.
 */
export class ChildTransport extends SubprocessTransport {
  readonly #child: Deno.ChildProcess;
  readonly #loop: ExceptionSink;
  readonly #watch: TransportWatch | undefined;
  readonly #pipes = new Map<number, StreamTransport>();
  readonly #open: Set<number>;
  readonly #stdin: WritePipe | null;
  readonly #exited = Promise.withResolvers<number>();
  readonly #finished = Promise.withResolvers<void>();
  #protocol: SubprocessProtocol;
  #returncode: number | null = null;
  #closing = false;

  /** Starts a child, and tells nobody before {@linkcode start}. */
  constructor(
    command: CommandLine,
    options: ChildOptions,
    init: ChildTransportInit,
  ) {
    super();
    this.#loop = init.loop;
    this.#watch = init.watch;
    this.#protocol = init.protocol;
    const child = this.#child = spawn(command, options);
    const { stdin, stdout, stderr } = options.stdio;
    this.#stdin = stdin === "piped" ? new WritePipe(child.stdin) : null;
    if (this.#stdin !== null) this.#addPipe(0, this.#stdin);
    if (stdout === "piped") this.#addPipe(1, new ReadPipe(child.stdout));
    if (stderr === "piped") this.#addPipe(2, new ReadPipe(child.stderr));
    this.#open = new Set(this.#pipes.keys());
  }

  #addPipe(fd: number, carrier: ReadPipe | WritePipe): void {
    this.#pipes.set(fd, new StreamTransport({ carrier, loop: this.#loop }));
  }

  /** Calls `connectionMade`, and lets the pipes flow. */
  start(signal?: AbortSignal): void {
    const terminate = () => this.terminate();
    signal?.addEventListener("abort", terminate);
    this.#watch?.attach(this);
    this.#untilExit().finally(() => signal?.removeEventListener("abort", terminate));
    // The input first, for `connectionMade` may fill it; the others wait for who is to read them.
    this.#startPipe(0);
    this.tell((protocol) => protocol.connectionMade?.(this));
    this.#startPipe(1);
    this.#startPipe(2);
  }

  #startPipe(fd: number): void {
    this.#pipes.get(fd)?.start(new PipeProtocol(fd, this));
  }

  /** Waits for the child to exit, and gives its return code. */
  exited(): Promise<number> {
    return this.#exited.promise;
  }

  /** Waits until the child has exited and its pipes are closed. */
  finished(): Promise<void> {
    return this.#finished.promise;
  }

  async #untilExit(): Promise<void> {
    const { code, signal } = await this.#child.status;
    const returncode = signal === null ? code : -await signalNumber(signal);
    this.#stdin?.readerGone();
    for (let turn = 0; turn < LAST_WORDS && this.#open.size > 0; turn++) await nextTurn();
    this.#returncode = returncode;
    this.#exited.resolve(returncode);
    this.tell((protocol) => protocol.processExited?.());
    this.#finish();
  }

  /** One of the pipes is closed. */
  pipeLost(fd: number, error: Error | null): void {
    this.tell((protocol) => protocol.pipeConnectionLost?.(fd, error));
    this.#open.delete(fd);
    this.#finish();
  }

  #finish(): void {
    if (this.#returncode === null || this.#open.size > 0) return;
    this.#closing = true;
    this.#watch?.detach(this);
    this.tell((protocol) => protocol.connectionLost?.(null));
    this.#finished.resolve();
  }

  /** Calls a protocol's method; what it throws or rejects with is told to the loop. */
  tell(callback: (protocol: SubprocessProtocol) => void): void {
    callSafely(() => callback(this.#protocol), (exception) => {
      this.#loop.callExceptionHandler({
        message: "Unhandled exception in a subprocess protocol's callback " +
          `(process ${this.#child.pid})`,
        exception,
        transport: this,
        protocol: this.#protocol,
      });
    });
  }

  /** See {@linkcode SubprocessTransport.getExtraInfo}. */
  getExtraInfo<K extends keyof ExtraInfo>(name: K): ExtraInfo[K] | null;
  getExtraInfo<K extends keyof ExtraInfo, D>(name: K, defaultValue: D): ExtraInfo[K] | D;
  getExtraInfo(name: string, defaultValue?: unknown): unknown;
  getExtraInfo(name: string, defaultValue: unknown = null): unknown {
    return name === "subprocess" ? this.#child : defaultValue;
  }

  /** See {@linkcode SubprocessTransport.getProtocol}. */
  getProtocol(): SubprocessProtocol {
    return this.#protocol;
  }

  /** See {@linkcode SubprocessTransport.setProtocol}. */
  setProtocol(protocol: SubprocessProtocol): void {
    this.#protocol = protocol;
  }

  /** See {@linkcode SubprocessTransport.getPid}. */
  getPid(): number {
    return this.#child.pid;
  }

  /** See {@linkcode SubprocessTransport.getReturncode}. */
  getReturncode(): number | null {
    return this.#returncode;
  }

  /** See {@linkcode SubprocessTransport.getPipeTransport}. */
  getPipeTransport(fd: number): StreamTransport | null {
    return this.#pipes.get(fd) ?? null;
  }

  /** See {@linkcode SubprocessTransport.sendSignal}. */
  sendSignal(signal: Deno.Signal): void {
    if (this.#returncode !== null) return;
    try {
      this.#child.kill(signal);
    } catch (error) {
      // Deno knows already that it has exited, and this transport will in a moment.
      if (!(error as Error).message.includes("already terminated")) throw error;
    }
  }

  /** See {@linkcode SubprocessTransport.terminate}. */
  terminate(): void {
    this.sendSignal("SIGTERM");
  }

  /** See {@linkcode SubprocessTransport.kill}. */
  kill(): void {
    this.sendSignal("SIGKILL");
  }

  /** See {@linkcode SubprocessTransport.isClosing}. */
  isClosing(): boolean {
    return this.#closing;
  }

  /** Closes the pipes, and ends the child (`SIGKILL`) if it still runs. */
  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    for (const pipe of this.#pipes.values()) pipe.abort();
    this.kill();
  }
}

async function signalNumber(signal: Deno.Signal): Promise<number> {
  // Loaded when first needed: most children end by themselves.
  const { constants } = await import("node:os");
  return (constants.signals as Partial<Record<string, number>>)[signal] ?? 0;
}
