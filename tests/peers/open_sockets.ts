/**
 * Tests that count the sockets of this process, as the system sees them.
 *
 * @module
 */
import { assertEquals } from "@std/assert";

/** How often sockets are counted until they count as leaked: closing takes a turn or two. */
const ATTEMPTS = 50;

/** How many sockets this process has open; where there is no /proc, none are seen. */
async function openSockets(): Promise<number> {
  const args = ["-l", `/proc/${Deno.pid}/fd`];
  // It fails over descriptors that are closed while it looks, and lists the others.
  const { stdout } = await new Deno.Command("ls", { args, stderr: "null" }).output();
  return new TextDecoder().decode(stdout).split("-> socket:").length - 1;
}

/** Runs something that has to leave no socket open. */
export async function closingAll(run: () => Promise<void>): Promise<void> {
  await openSockets(); // The first child process costs the runtime sockets of its own.
  const before = await openSockets();
  await run();
  let after = await openSockets();
  for (let i = 0; i < ATTEMPTS && after > before; i++) after = await openSockets();
  assertEquals(after, before, "sockets are still open");
}

/** A test that fails if it leaves a socket open. */
export function test(name: string, run: () => Promise<void>): void {
  Deno.test({ name, fn: () => closingAll(run) });
}
