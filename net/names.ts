/**
 * Names to addresses and back, by the system's resolver.
 *
 * @module
 */
import { abortable } from "@std/async/abortable";
import { formatHost } from "./addresses.ts";
import { explain, fromNodeError } from "./os_error.ts";
import { requireNet } from "./permission.ts";
import { familyOf, resolve } from "./resolve.ts";
import { checkFamily, checkHost, checkPort, checkSignal, show } from "./validate.ts";
import type { WaitOptions } from "./wait_options.ts";

/** Options of {@linkcode EventLoop.getaddrinfo}. */
export interface GetAddrInfoOptions extends WaitOptions {
  /**
   * Which addresses are wanted: IPv4, IPv6, or both (0).
   *
   * @default {0}
   */
  family?: 0 | 4 | 6 | undefined;
  /** What they are wanted for; without it each address comes once for either. */
  type?: "stream" | "datagram" | undefined;
}

/** One of the addresses of a name. */
export interface AddrInfo {
  /** Its family. */
  family: 4 | 6;
  /** What it is for. */
  type: "stream" | "datagram";
  /** The address. */
  addr: Deno.NetAddr;
}

/** Looks up the addresses of `host`. */
export async function getaddrinfo(
  host: string | null,
  port: number | null,
  options: GetAddrInfoOptions = {},
): Promise<AddrInfo[]> {
  const { family = 0, type, signal } = options;
  checkFamily(family);
  checkSignal(signal);
  if (type !== undefined && type !== "stream" && type !== "datagram") {
    throw new RangeError(`type is "stream" or "datagram", not ${show(type)}`);
  }
  const types = type === undefined ? ["stream", "datagram"] as const : [type];
  const number = port === null ? 0 : checkPort("port", port, 0);
  const addresses = host === null
    ? ["::1", "127.0.0.1"].filter((address) => family === 0 || familyOf(address) === family)
    : await waitFor(
      `cannot look up ${host}`,
      resolve(checkHost("host", host), family, { port: port ?? undefined }),
      signal,
    );
  return addresses.flatMap((hostname) =>
    types.map((type) => ({
      family: familyOf(hostname) as 4 | 6,
      type,
      addr: { transport: type === "stream" ? "tcp" : "udp", hostname, port: number },
    }))
  );
}

/** Looks up the names of an address and its port. */
export async function getnameinfo(
  addr: Deno.NetAddr,
  { signal }: WaitOptions = {},
): Promise<[host: string, service: string]> {
  checkSignal(signal);
  const hostname = checkHost("addr.hostname", addr?.hostname);
  const port = checkPort("addr.port", addr.port, 0);
  if (familyOf(hostname) === 0) {
    throw new RangeError(`addr.hostname is a numeric address, not ${show(hostname)}`);
  }
  const what = `cannot look up ${formatHost(hostname, port)}`;
  return await waitFor(what, nameOf(hostname, port), signal);
}

async function nameOf(hostname: string, port: number): Promise<[string, string]> {
  await requireNet(formatHost(hostname, port));
  const { lookupService } = await import("node:dns/promises");
  try {
    const found = await lookupService(hostname, port);
    return [found.hostname, found.service];
  } catch (cause) {
    const error = fromNodeError(cause);
    // An address with no name is told by itself, as in asyncio.
    if (error instanceof Deno.errors.NotFound) return [hostname, String(port)];
    throw error;
  }
}

async function waitFor<T>(
  what: string,
  lookup: Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  try {
    return await (signal === undefined ? lookup : abortable(lookup, signal));
  } catch (error) {
    signal?.throwIfAborted();
    throw explain(what, error);
  }
}
