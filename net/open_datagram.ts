/**
 * From what callers of `createDatagramEndpoint` give to a bound socket.
 *
 * @module
 */
import type { Socket as UdpSocket } from "node:dgram";
import { abortable } from "@std/async/abortable";
import { formatHost } from "./addresses.ts";
import type { LocalAddr } from "./connect.ts";
import { canonical, toNetAddr } from "./datagram_transport.ts";
import { explain, fromNodeError } from "./os_error.ts";
import { requireNet } from "./permission.ts";
import { familyOf, resolve } from "./resolve.ts";
import { checkFamily, checkFlag, checkHost, checkPort, checkSignal, show } from "./validate.ts";

/** The address of a peer. */
export interface RemoteAddr {
  /** Its name or numeric address. */
  hostname: string;
  /** Its port. */
  port: number;
}

/** Options of {@linkcode EventLoop.createDatagramEndpoint}. */
export interface DatagramEndpointOptions {
  /** The address of this machine to receive at; the system chooses by default. */
  localAddr?: LocalAddr | undefined;
  /** The only peer: datagrams of others are dropped, and `sendTo` needs no address. */
  remoteAddr?: RemoteAddr | undefined;
  /**
   * Which addresses to use: IPv4, IPv6, or those of `localAddr` and `remoteAddr` (0).
   *
   * @default {0}
   */
  family?: 0 | 4 | 6 | undefined;
  /** Refused: Deno can't share a port among datagram sockets that way. */
  reusePort?: boolean | undefined;
  /**
   * Whether datagrams may be sent to broadcast addresses.
   *
   * @default {false}
   */
  allowBroadcast?: boolean | undefined;
  /**
   * A bound socket of `node:dgram` to use instead of all the above; it is closed with the transport.
   */
  sock?: UdpSocket | undefined;
  /** Ends the wait for names and sockets; once the promise has settled it has no effect. */
  signal?: AbortSignal | undefined;
}

/** What the system takes for the loopback address where it is told to send. */
const ANY = new Map([
  ["0.0.0.0", "127.0.0.1"],
  ["::", "::1"],
  ["::ffff:0.0.0.0", "::ffff:127.0.0.1"],
]);

/** A socket that can receive, and its only peer. */
interface OpenDatagram {
  readonly socket: UdpSocket;
  readonly remoteAddr: Deno.NetAddr | null;
}

/** Where to bind a socket, and whom to connect it to. */
interface Endpoint {
  readonly family: 4 | 6;
  readonly local: string;
  readonly remote: string | null;
}

/** Binds a socket, and connects it if it has a remote address. */
export async function openDatagram(options: DatagramEndpointOptions): Promise<OpenDatagram> {
  const { sock, allowBroadcast = false, signal } = options;
  checkOptions(options);
  if (sock !== undefined) return { socket: checkSocket(sock), remoteAddr: remoteOf(sock) };
  const found = findEndpoints(options);
  const endpoints = await (signal === undefined ? found : abortable(found, signal));
  const errors: unknown[] = [];
  for (const endpoint of endpoints) {
    let opened: OpenDatagram;
    try {
      opened = await open(endpoint, options);
    } catch (error) {
      errors.push(error);
      continue;
    }
    if (signal?.aborted) {
      opened.socket.close();
      throw signal.reason;
    }
    if (allowBroadcast) opened.socket.setBroadcast(true);
    return opened;
  }
  throw errors[0];
}

function checkOptions({ localAddr, remoteAddr, ...options }: DatagramEndpointOptions): void {
  const { family = 0, reusePort, allowBroadcast, sock, signal } = options;
  if (sock !== undefined) {
    // It was made with what they say, or without: nothing would come of them.
    const others = {
      localAddr,
      remoteAddr,
      family: family || undefined,
      reusePort,
      allowBroadcast,
    };
    for (const [name, value] of Object.entries(others)) {
      if (value) throw new TypeError(`${name} and sock can't both be given`);
    }
  }
  for (const [name, addr] of Object.entries({ localAddr, remoteAddr })) {
    if (addr === undefined) continue;
    if (typeof addr === "string") throw noUnixDatagrams();
    if (typeof addr !== "object" || addr === null) {
      throw new TypeError(`${name} is an object with a hostname and a port, not ${show(addr)}`);
    }
    if ("path" in addr) throw noUnixDatagrams();
    checkHost(`${name}.hostname`, addr.hostname);
    checkPort(`${name}.port`, addr.port ?? 0, name === "localAddr" ? 0 : 1);
  }
  checkFlag("reusePort", reusePort);
  checkFlag("allowBroadcast", allowBroadcast);
  if (reusePort) {
    throw new Deno.errors.NotSupported(
      "Deno has no SO_REUSEPORT for datagrams: use one endpoint, or give as `sock` a node:dgram " +
        "socket that was bound with reuseAddr",
    );
  }
  if (checkFamily(family) === 0 && (localAddr ?? remoteAddr ?? sock) === undefined) {
    throw new RangeError("a datagram endpoint needs a localAddr, a remoteAddr, a family or a sock");
  }
  checkSignal(signal);
}

function noUnixDatagrams(): Error {
  return new Deno.errors.NotSupported(
    "Deno has no Unix datagrams without an unstable flag: use UDP on the loopback address, or " +
      "createUnixConnection() and createUnixServer() for a stream",
  );
}

function checkSocket(sock: UdpSocket): UdpSocket {
  if (typeof sock?.send !== "function" || typeof sock.address !== "function") {
    throw new TypeError(`sock is a node:dgram Socket, not ${show(sock)}`);
  }
  try {
    sock.address();
  } catch (error) {
    throw new TypeError("sock is not bound: wait for its bind() first", { cause: error });
  }
  return sock;
}

/** The peer that a socket given by the caller is connected to. */
function remoteOf(sock: UdpSocket): Deno.NetAddr | null {
  try {
    return peerAddr(sock.remoteAddress());
  } catch {
    return null; // It throws where there is none.
  }
}

/** The address that a peer's answers come from: that of this machine, if it is none in particular. */
function peerAddr({ address, port }: { address: string; port: number }): Deno.NetAddr {
  const host = canonical(address);
  return toNetAddr({ address: ANY.get(host) ?? host, port });
}

/** The ways to make the endpoint: one for each family that both addresses have. */
async function findEndpoints(options: DatagramEndpointOptions): Promise<Endpoint[]> {
  const { localAddr, remoteAddr, family = 0 } = options;
  const lookUp = async (addr?: LocalAddr) => {
    if (addr === undefined) return undefined;
    try {
      return await resolve(checkHost("", addr.hostname), family, { port: addr.port });
    } catch (error) {
      throw explain(`cannot look up ${addr.hostname}`, error);
    }
  };
  const [locals, remotes] = await Promise.all([lookUp(localAddr), lookUp(remoteAddr)]);
  const families = (remotes ?? locals)?.map(familyOf) ?? [family];
  const endpoints: Endpoint[] = [];
  for (const family of new Set(families as (4 | 6)[])) {
    const ofFamily = (hosts?: string[]) => hosts?.find((host) => familyOf(host) === family);
    const local = locals === undefined ? { 4: "0.0.0.0", 6: "::" }[family] : ofFamily(locals);
    if (local === undefined) continue;
    endpoints.push({ family, local, remote: ofFamily(remotes) ?? null });
  }
  if (endpoints.length > 0) return endpoints;
  throw new RangeError(
    `${localAddr?.hostname} and ${remoteAddr?.hostname} have no address family in common`,
  );
}

async function open(
  { family, local, remote }: Endpoint,
  { localAddr, remoteAddr }: DatagramEndpointOptions,
): Promise<OpenDatagram> {
  // Loaded when first needed: most programs have no datagrams.
  const { createSocket } = await import("node:dgram");
  const port = localAddr?.port ?? 0;
  const name = formatHost(local, port);
  await requireNet(name); // The socket would tell nobody.
  const socket = createSocket({ type: `udp${family}` });
  try {
    await settled(socket, (done) => socket.bind(port, local, done));
    if (remote === null) return { socket, remoteAddr: null };
    await settled(socket, (done) => socket.connect(remoteAddr!.port, remote, done));
    return { socket, remoteAddr: peerAddr({ address: remote, port: remoteAddr!.port }) };
  } catch (error) {
    socket.close();
    throw explain(`cannot open a datagram endpoint at ${name}`, fromNodeError(error));
  }
}

/** Waits for one step of a socket, or for its error. */
async function settled(socket: UdpSocket, start: (done: () => void) => void): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.once("error", reject);
  try {
    start(resolve);
    await promise;
  } finally {
    socket.off("error", reject);
  }
}
