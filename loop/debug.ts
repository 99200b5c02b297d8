/**
 * Debug mode's switch outside the program.
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
