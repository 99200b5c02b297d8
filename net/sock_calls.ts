/**
 * The loop's calls on sockets: those of the sockets themselves, with a wait.
 *
 * @module
 */
import { AcceptEndpoint } from "./accept_endpoint.ts";
import { formatAddr } from "./addresses.ts";
import type { Carrier } from "./carrier.ts";
import { isClaimed } from "./claims.ts";
import { connectTcp, connectUnix } from "./connect.ts";
import { receive, wait } from "./endpoint.ts";
import { acceptorOf, checkBytes, checkCount, connectBy, endpointOf, Socket } from "./socket.ts";
import { checkHost, checkPort, checkSignal, checkUnixPath, show } from "./validate.ts";
import type { WaitOptions } from "./wait_options.ts";

/** The most that one receive asks for, in bytes. */
const MOST = 1 << 20;

const encoder = new TextEncoder();

/** The ends of listeners that are used as they are: an accept that was given up is not lost. */
const acceptors = new WeakMap<Deno.Listener, AcceptEndpoint>();

/** Checks that `sock` is a socket, and its caller's own: what a transport has it reads itself. */
export function checkSocket(sock: unknown): Socket {
  if (!(sock instanceof Socket)) throw new TypeError(`sock is a Socket, not ${show(sock)}`);
  if (isClaimed(sock) && !sock.closed) throw new Error("the socket is used by a transport");
  return sock;
}

/** Checks data to send; strings go as UTF-8. */
export function checkData(data: unknown): Uint8Array {
  if (typeof data === "string") return encoder.encode(data);
  if (data instanceof Uint8Array) return data;
  throw new TypeError(`data is a Uint8Array or a string, not ${show(data)}`);
}

/** Waits for up to `n` bytes; there are none at the end. */
export async function sockRecv(
  sock: Socket,
  n: number,
  { signal }: WaitOptions = {},
): Promise<Uint8Array> {
  checkSignal(signal);
  const endpoint = endpointOf(checkSocket(sock));
  if (checkCount(n) === 0) return new Uint8Array();
  // A peer that sends little shall cost little: no memory before something has come, and what is
  // returned keeps not much more alive than itself.
  while (!endpoint.readable) await wait((callback) => endpoint.whenReadable(callback), signal);
  const buffer = new Uint8Array(Math.min(n, MOST));
  const length = await receive(endpoint, buffer, signal) ?? 0;
  return length * 2 < buffer.length ? buffer.slice(0, length) : buffer.subarray(0, length);
}

/** Waits for bytes, and moves them to `buffer`: how many, 0 at the end. */
export async function sockRecvInto(
  sock: Socket,
  buffer: Uint8Array,
  { signal }: WaitOptions = {},
): Promise<number> {
  checkSignal(signal);
  const endpoint = endpointOf(checkSocket(sock));
  if (checkBytes("buffer", buffer).length === 0) return 0;
  return await receive(endpoint, buffer, signal) ?? 0;
}

/** Sends all of `data`. */
export async function sockSendAll(
  sock: Socket,
  data: Uint8Array | string,
  { signal }: WaitOptions = {},
): Promise<void> {
  checkSignal(signal);
  const endpoint = endpointOf(checkSocket(sock));
  const bytes = checkData(data);
  for (let at = 0; at < bytes.length;) {
    const n = endpoint.send(bytes.subarray(at));
    if (n === 0) await wait((callback) => endpoint.whenWritable(callback), signal);
    at += n;
  }
}

/** Connects a new socket. */
export async function sockConnect(
  sock: Socket,
  addr: Deno.Addr,
  { signal }: WaitOptions = {},
): Promise<void> {
  checkSignal(signal);
  checkSocket(sock);
  const connect = checkAddr(addr);
  await connectBy(sock, (bound) => connect(bound, signal));
}

type Connect = (bound: Deno.Addr | null, signal: AbortSignal | undefined) => Promise<Carrier>;

function checkAddr(addr: Deno.Addr): Connect {
  if (addr?.transport === "unix") {
    const path = checkUnixPath(addr.path);
    return (bound, signal) => {
      if (bound !== null) {
        throw new TypeError(
          `the socket is bound to ${
            formatAddr(bound)
          }: Deno connects to a Unix socket from nowhere else`,
        );
      }
      return connectUnix(path, signal);
    };
  }
  if (addr?.transport !== "tcp") {
    throw new TypeError("addr is an address whose transport is tcp or unix");
  }
  const host = checkHost("addr.hostname", addr.hostname);
  const port = checkPort("addr.port", addr.port, 1);
  return (bound, signal) => {
    if (bound !== null && bound.transport !== "tcp") {
      throw new TypeError(`the socket is bound to ${formatAddr(bound)}, and connects over TCP`);
    }
    return connectTcp({ host, port, family: 0, localAddr: bound ?? undefined, signal });
  };
}

/** Waits for a connection: a socket, and the address of its peer. */
export async function sockAccept(
  sock: Socket | Deno.Listener,
  { signal }: WaitOptions = {},
): Promise<[Socket, Deno.Addr]> {
  checkSignal(signal);
  const acceptor = sock instanceof Socket ? acceptorOf(sock) : acceptorOfListener(sock);
  for (;;) {
    const conn = acceptor.accept();
    if (conn !== null) return [new Socket(conn), conn.remoteAddr];
    await wait((callback) => acceptor.whenReadable(callback), signal);
  }
}

function acceptorOfListener(listener: Deno.Listener): AcceptEndpoint {
  if (typeof listener?.accept !== "function") {
    throw new TypeError(`sock is a Socket or a Deno.Listener, not ${show(listener)}`);
  }
  let acceptor = acceptors.get(listener);
  if (acceptor === undefined) acceptors.set(listener, acceptor = new AcceptEndpoint(listener));
  return acceptor;
}
