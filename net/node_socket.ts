/**
 * TCP connections over `node:net`, for what `Deno.connect` can't do: choosing the local address.
 *
 * Loaded when first needed: most programs go without.
 *
 * @module
 */
import { connect, type Socket } from "node:net";
import { formatHost } from "./addresses.ts";
import { DuplexCarrier } from "./duplex_carrier.ts";
import { fromNodeError } from "./os_error.ts";
import { requireNet } from "./permission.ts";

/** One end of a TCP connection. */
interface End {
  readonly hostname: string;
  readonly port: number;
}

/** A connection of `node:net`, whose errors are those of Deno. */
class NodeSocketCarrier extends DuplexCarrier {
  constructor(socket: Socket) {
    const { localAddress, localPort, remoteAddress, remotePort } = socket;
    super(socket, {
      localAddr: { transport: "tcp", hostname: localAddress!, port: localPort! },
      remoteAddr: { transport: "tcp", hostname: remoteAddress!, port: remotePort! },
    });
  }

  protected override fail(error: unknown): void {
    super.fail(fromNodeError(error));
  }
}

/**
 * Connects from `local` to `remote`, both numeric, with Nagle's algorithm off.
 *
 * @param local The address to connect from; port 0 means a free one.
 * @param remote The address to connect to.
 * @param signal Ends the attempt.
 */
export async function connectFrom(
  local: End,
  remote: End,
  signal: AbortSignal,
): Promise<NodeSocketCarrier> {
  // Where `node:net` lacks it, it throws where nobody can catch it.
  for (const { hostname, port } of [local, remote]) await requireNet(formatHost(hostname, port));
  signal.throwIfAborted();
  const socket = connect({
    host: remote.hostname,
    port: remote.port,
    localAddress: local.hostname,
    localPort: local.port,
    allowHalfOpen: true,
    noDelay: true,
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort);
  socket.once("connect", resolve);
  socket.on("error", (error) => reject(fromNodeError(error)));
  try {
    await promise;
    return new NodeSocketCarrier(socket);
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
