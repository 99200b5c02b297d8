import { assertEquals } from "@std/assert";
import { formatAddr } from "../../net/addresses.ts";

Deno.test("formatAddr() writes an address as people do", () => {
  const cases: [Deno.Addr, string][] = [
    [{ transport: "tcp", hostname: "127.0.0.1", port: 80 }, "127.0.0.1:80"],
    [{ transport: "udp", hostname: "::1", port: 53 }, "[::1]:53"],
    [{ transport: "unix", path: "/run/socket" }, "unix:/run/socket"],
    [{ transport: "unix", path: "\0name" }, "unix:@name"],
    [{ transport: "unix", path: null as unknown as string }, "an unnamed Unix socket"],
    [{ transport: "vsock", cid: 1, port: 2 }, "vsock"],
  ];
  for (const [addr, text] of cases) assertEquals(formatAddr(addr), text);
});
