/**
 * The part of the event loop that needs more of the system than connections: datagrams, child
 * processes, and threads.
 *
 * @module
 */
import { UdpTransport } from "../net/datagram_transport.ts";
import { type DatagramEndpointOptions, openDatagram } from "../net/open_datagram.ts";
import type { DatagramProtocol } from "../net/protocols.ts";
import type { DatagramTransport } from "../net/transports.ts";
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
}
