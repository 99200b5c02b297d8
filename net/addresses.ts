/**
 * Addresses as text.
 *
 * @module
 */

/** Writes an address as people do: `127.0.0.1:80`, `[::1]:80`, a path; `null` is what has none. */
export function formatAddr(addr: Deno.Addr | null): string {
  if (addr === null) return "a pipe";
  switch (addr.transport) {
    case "tcp":
    case "udp":
      return formatHost(addr.hostname, addr.port);
    case "unix":
    case "unixpacket":
      return addr.path === null
        ? "an unnamed Unix socket"
        : `unix:${addr.path.replace(/^\0/, "@")}`;
    default:
      return addr.transport;
  }
}

/**
 * Gives IPv4 peers of a listener on `::` the addresses that they have elsewhere, `127.0.0.1` in place
 * of `::ffff:127.0.0.1`: asyncio has a listener for each family there.
 */
export function plainAddrs<T extends Deno.Conn>(conn: T): T {
  for (const addr of [conn.localAddr, conn.remoteAddr]) {
    if (!("hostname" in addr) || !addr.hostname.startsWith("::ffff:")) continue;
    const rest = addr.hostname.slice(7);
    if (rest.includes(".")) addr.hostname = rest;
  }
  return conn;
}

/** Writes a host and a port as people do. */
export function formatHost(hostname: string, port: number): string {
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}
