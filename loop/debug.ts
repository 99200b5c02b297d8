/**
 * Debug mode: its switch outside the program, and what it adds to reports.
 *
 * @module
 */

/**
 * Tells whether the environment variable `ASYNCIO_DEBUG` asks for debug mode. Without permission
 * to read it there is no debug mode: a library must not prompt for the sake of a switch.
 */
export function isDebugAsked(): boolean {
  const variable = "ASYNCIO_DEBUG";
  if (Deno.permissions.querySync({ name: "env", variable }).state !== "granted") return false;
  const value = Deno.env.get(variable);
  return value !== undefined && value !== "" && value !== "0";
}

const here = new URL(".", import.meta.url).href;

/** Where the loop was called from: the stack without the loop's own part of it. */
export function callSite(): string | undefined {
  return new Error().stack?.split("\n").slice(1).filter((frame) => !frame.includes(here)).join(
    "\n",
  );
}
