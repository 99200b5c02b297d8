/**
 * The part of the event loop that needs more of the system than connections: datagrams, child
 * processes, and threads.
 *
 * @module
 */
import { abortable } from "@std/async/abortable";
import { claim } from "../net/claims.ts";
import type { DatagramEndpointOptions } from "../net/open_datagram.ts";
import type { DatagramProtocol, SubprocessProtocol } from "../net/protocols.ts";
import {
  checkChildOptions,
  type CommandLine,
  execCommand,
  shellCommand,
  type SubprocessOptions,
} from "../net/subprocess.ts";
import type { DatagramTransport, SubprocessTransport } from "../net/transports.ts";
import { checkFunction, show } from "../net/validate.ts";
import { SocketEventLoop } from "./socket_event_loop.ts";
import { CancelledError } from "./errors.ts";
import {
  checkShutdownOptions,
  type Executable,
  type Executor,
  type ExecutorShutdownOptions,
} from "./executor.ts";
import { type Future, settle } from "./future.ts";
import { makeProtocol } from "./make_protocol.ts";
import { watchTransport } from "./open_transports.ts";
import { WorkerExecutor } from "./worker_executor.ts";

/**
 * The part of the event loop that works on datagrams, child processes and threads;
 * {@linkcode EventLoop} is all of it.
 *
 * @example
 * ```ts
 * import { getRunningLoop, run } from "@asyncio/streams";
 * import { assertEquals } from "@std/assert";
 *
 * const square = (n: number) => n * n;
 * assertEquals(await run(() => getRunningLoop().runInExecutor(null, square, 12)), 144);
 * ```
 */
export class SystemEventLoop extends SocketEventLoop {
  #defaultExecutor: Executor | null = null;
  #executorIsShutDown = false;

  /**
   * Makes a UDP endpoint and hands it to a protocol.
   *
   * `connectionMade` has been called when the promise is fulfilled. Deno tells no ICMP errors (a
   * port where nobody listens, say): `errorReceived` gets what sending meets on this machine.
   * There are no Unix datagrams.
   *
   * @typeParam P The protocol's type.
   * @param protocolFactory Makes the protocol, once there is a socket.
   * @param options The addresses of this end and the other; one of them, or a family, is needed.
   * @returns The transport and the protocol.
   * @throws {TypeError} If an argument is of the wrong type.
   * @throws {RangeError} If an argument is out of range.
   * @throws {Deno.errors.AddrInUse} If the port is taken; other `Deno.errors` likewise.
   * @throws {Deno.errors.NotSupported} If Deno can't do what an option says.
   * @throws {unknown} What `protocolFactory` throws, or the signal's reason.
   *
   * @example An echo and its client
   * ```ts
   * import { DatagramProtocol, type DatagramTransport, getEventLoop } from "@asyncio/streams";
   * import { assertEquals } from "@std/assert";
   *
   * const loop = getEventLoop();
   * class Echo extends DatagramProtocol {
   *   #transport?: DatagramTransport;
   *   override connectionMade(transport: DatagramTransport) {
   *     this.#transport = transport;
   *   }
   *   override datagramReceived(data: Uint8Array, addr: Deno.Addr) {
   *     this.#transport?.sendTo(data, addr);
   *   }
   * }
   * class Client extends DatagramProtocol {
   *   readonly answer = loop.createFuture<string>();
   *   override datagramReceived(data: Uint8Array) {
   *     this.answer.setResult(new TextDecoder().decode(data));
   *   }
   * }
   * const localAddr = { hostname: "127.0.0.1", port: 0 };
   * const [server] = await loop.createDatagramEndpoint(() => new Echo(), { localAddr });
   * const remoteAddr = server.getExtraInfo("sockname") as Deno.NetAddr;
   *
   * const [transport, client] = await loop.createDatagramEndpoint(() => new Client(), { remoteAddr });
   * transport.sendTo("hello");
   * assertEquals(await client.answer, "hello");
   * transport.close();
   * server.close();
   * ```
   */
  async createDatagramEndpoint<P extends DatagramProtocol>(
    protocolFactory: () => P,
    options: DatagramEndpointOptions,
  ): Promise<[DatagramTransport, P]> {
    checkFunction("protocolFactory", protocolFactory);
    // Loaded when first needed, as are child processes: importing the package is quicker.
    const { openDatagram } = await import("../net/open_datagram.ts");
    const { UdpTransport } = await import("../net/datagram_transport.ts");
    const opened = await claim(options?.sock, () => openDatagram(options));
    let protocol: P;
    try {
      protocol = makeProtocol(protocolFactory);
    } catch (error) {
      opened.socket.close();
      throw error;
    }
    const init = { ...opened, loop: this, watch: watchTransport(this) };
    const transport = new UdpTransport(init, protocol);
    transport.start();
    return [transport, protocol];
  }

  /**
   * Starts a program and hands it to a protocol. Its streams are pipes (`"piped"`) where nothing
   * else is said.
   *
   * @typeParam P The protocol's type.
   * @param protocolFactory Makes the protocol.
   * @param program The program: a name to look for in `PATH`, or a path.
   * @param args Its arguments, which no shell looks at.
   * @param options Which streams are pipes, the working directory, the environment and more.
   * @returns The transport and the protocol.
   * @throws {TypeError} If an argument is of the wrong type.
   * @throws {RangeError} If an argument is out of range.
   * @throws {Deno.errors.NotFound} If there is no such program or directory; other `Deno.errors`
   *   likewise.
   * @throws {unknown} What `protocolFactory` throws, or the signal's reason.
   *
   * @example
   * ```ts
   * import { getEventLoop, SubprocessProtocol } from "@asyncio/streams";
   * import { assertEquals } from "@std/assert";
   *
   * const loop = getEventLoop();
   * class Collector extends SubprocessProtocol {
   *   output = "";
   *   readonly lost = loop.createFuture<void>();
   *   override pipeDataReceived(_fd: number, data: Uint8Array) {
   *     this.output += new TextDecoder().decode(data);
   *   }
   *   override connectionLost() {
   *     this.lost.setResult();
   *   }
   * }
   * const [transport, collector] = await loop.subprocessExec(
   *   () => new Collector(),
   *   "echo",
   *   ["hello"],
   *   { stdin: "null" },
   * );
   * await collector.lost;
   * assertEquals(collector.output, "hello\n");
   * assertEquals(transport.getReturncode(), 0);
   * ```
   */
  async subprocessExec<P extends SubprocessProtocol>(
    protocolFactory: () => P,
    program: string | URL,
    args: readonly string[] = [],
    options: SubprocessOptions = {},
  ): Promise<[SubprocessTransport, P]> {
    return await this.#startChild(protocolFactory, execCommand(program, args), options);
  }

  /**
   * Starts a command of the system's shell and hands it to a protocol. Its streams are pipes
   * (`"piped"`) where nothing else is said.
   *
   * The shell is `/bin/sh`, and needs `--allow-run=/bin/sh`; on Windows it is `cmd.exe`.
   *
   * @typeParam P The protocol's type.
   * @param protocolFactory Makes the protocol.
   * @param command The command.
   * @param options Which streams are pipes, the working directory, the environment and more.
   * @returns The transport and the protocol.
   * @throws {TypeError} If an argument is of the wrong type.
   * @throws {RangeError} If an argument is out of range.
   * @throws {Deno.errors.NotFound} If there is no such directory; other `Deno.errors` likewise.
   * @throws {unknown} What `protocolFactory` throws, or the signal's reason.
   */
  async subprocessShell<P extends SubprocessProtocol>(
    protocolFactory: () => P,
    command: string,
    options: SubprocessOptions = {},
  ): Promise<[SubprocessTransport, P]> {
    return await this.#startChild(protocolFactory, shellCommand(command), options);
  }

  async #startChild<P extends SubprocessProtocol>(
    protocolFactory: () => P,
    command: CommandLine,
    options: SubprocessOptions,
  ): Promise<[SubprocessTransport, P]> {
    checkFunction("protocolFactory", protocolFactory);
    const checked = checkChildOptions(options);
    const { signal } = checked;
    const { ChildTransport } = await import("../net/child_transport.ts");
    signal?.throwIfAborted();
    const protocol = makeProtocol(protocolFactory);
    const init = { loop: this, protocol, watch: watchTransport(this) };
    const transport = new ChildTransport(command, checked, init);
    transport.start(signal);
    return [transport, protocol];
  }

  /**
   * Runs a function elsewhere, so that it does not hold up the loop: by default on a
   * {@linkcode WorkerExecutor}, which starts threads when they are needed.
   *
   * On a worker the function must be self-contained, or given as a {@linkcode ModuleFunction}.
   * Cancelling the future takes the function back if it has not begun; one that runs goes on.
   *
   * @typeParam A The types of the arguments.
   * @typeParam R The type of the result.
   * @param executor Who runs it; `null` means the default executor.
   * @param func The function.
   * @param args What to call it with.
   * @returns A future of what the function returns or throws.
   * @throws {TypeError} When `executor` has no `submit`, or `func` can't be run by it, or an argument
   *   not be sent to it.
   * @throws {Error} When the loop is closed, or the default executor was shut down.
   *
   * @example
   * ```ts
   * import { getRunningLoop, run } from "@asyncio/streams";
   * import { assertEquals } from "@std/assert";
   *
   * const sum = await run(() =>
   *   getRunningLoop().runInExecutor(null, (n: number) => {
   *     let sum = 0;
   *     for (let i = 1; i <= n; i++) sum += i;
   *     return sum;
   *   }, 1_000_000)
   * );
   * assertEquals(sum, 500_000_500_000);
   * ```
   */
  runInExecutor<A extends unknown[], R>(
    executor: Executor | null,
    func: Executable<A, R>,
    ...args: NoInfer<A>
  ): Future<R> {
    if (this.isClosed()) throw new Error("The event loop is closed");
    const chosen = executor === null ? this.#getDefaultExecutor() : checkExecutor(executor);
    const result = chosen.submit(func, ...args);
    const future = this.createFuture<R>();
    future.addDoneCallback(() => {
      if (future.cancelled()) chosen.cancel?.(result);
    });
    Promise.resolve(result).then((value) => {
      if (!future.done()) future.setResult(value);
    }, (exception) => {
      // Anything can be thrown, also what is no error.
      if (!future.done()) return settle(future, { kind: "exception", exception });
      if (exception instanceof CancelledError) return; // It was taken back.
      const message = "A function failed in an executor, and its future was cancelled";
      this.callExceptionHandler({ message, exception, future });
    });
    return future;
  }

  #getDefaultExecutor(): Executor {
    if (this.#executorIsShutDown) throw new Error("The default executor has been shut down");
    return this.#defaultExecutor ??= new WorkerExecutor();
  }

  /**
   * Sets who runs functions where {@linkcode SystemEventLoop.runInExecutor} is given no executor.
   * The one before is left to whoever made it.
   *
   * @param executor Anything with a `submit` method.
   * @throws {TypeError} When it has none.
   */
  setDefaultExecutor(executor: Executor): void {
    this.#defaultExecutor = checkExecutor(executor);
  }

  /**
   * Waits for the default executor's work and closes it; it takes no more.
   *
   * @param options How many milliseconds to wait at most, by default without limit: a
   *   {@linkcode WorkerExecutor} then ends what still runs, and its futures fail. And a signal that
   *   ends the wait.
   * @throws {TypeError} When an option is of the wrong type.
   * @throws {RangeError} When the time is negative.
   * @throws {unknown} The signal's reason; the shutdown goes on.
   */
  override async shutdownDefaultExecutor(options: ExecutorShutdownOptions = {}): Promise<void> {
    checkShutdownOptions(options);
    this.#executorIsShutDown = true;
    const done = Promise.resolve(this.#defaultExecutor?.shutdown?.(options));
    await (options.signal === undefined ? done : abortable(done, options.signal));
  }

  /** See {@linkcode BaseEventLoop.close}; the default executor takes no more work. */
  override close(): void {
    if (this.isClosed()) return;
    super.close();
    this.shutdownDefaultExecutor().catch((exception) => {
      this.callExceptionHandler({ message: "The default executor failed to shut down", exception });
    });
  }
}

function checkExecutor(executor: Executor): Executor {
  if (typeof executor?.submit === "function") return executor;
  throw new TypeError(`An executor has a submit() method: ${show(executor)} has none`);
}
