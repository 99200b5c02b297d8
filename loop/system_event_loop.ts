/**
 * The part of the event loop that needs more of the system than connections: datagrams, child
 * processes, and threads.
 *
 * @module
 */
import { ChildTransport } from "../net/child_transport.ts";
import { UdpTransport } from "../net/datagram_transport.ts";
import { type DatagramEndpointOptions, openDatagram } from "../net/open_datagram.ts";
import type { DatagramProtocol, SubprocessProtocol } from "../net/protocols.ts";
import {
  type CommandLine,
  execCommand,
  shellCommand,
  type SubprocessOptions,
} from "../net/subprocess.ts";
import type { DatagramTransport, SubprocessTransport } from "../net/transports.ts";
import { checkFunction } from "../net/validate.ts";
import { BaseEventLoop } from "./base_event_loop.ts";

/** What {@linkcode EventLoop} can do beside scheduling and connections. */
export class SystemEventLoop extends BaseEventLoop {
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
    const opened = await openDatagram(options);
    let protocol: P;
    try {
      protocol = protocolFactory();
    } catch (error) {
      opened.socket.close();
      throw error;
    }
    const transport = new UdpTransport({ ...opened, loop: this }, protocol);
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
   * ```ts ignore
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
  // deno-lint-ignore require-await
  async subprocessExec<P extends SubprocessProtocol>(
    protocolFactory: () => P,
    program: string | URL,
    args: readonly string[] = [],
    options: SubprocessOptions = {},
  ): Promise<[SubprocessTransport, P]> {
    return this.#startChild(protocolFactory, execCommand(program, args), options);
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
  // deno-lint-ignore require-await
  async subprocessShell<P extends SubprocessProtocol>(
    protocolFactory: () => P,
    command: string,
    options: SubprocessOptions = {},
  ): Promise<[SubprocessTransport, P]> {
    return this.#startChild(protocolFactory, shellCommand(command), options);
  }

  #startChild<P extends SubprocessProtocol>(
    protocolFactory: () => P,
    command: CommandLine,
    options: SubprocessOptions,
  ): [SubprocessTransport, P] {
    checkFunction("protocolFactory", protocolFactory);
    const protocol = protocolFactory();
    const transport = new ChildTransport(command, options, { loop: this, protocol });
    transport.start(options.signal);
    return [transport, protocol];
  }
}
