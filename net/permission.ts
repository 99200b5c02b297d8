/**
 * The permission to use the network, where Deno does not ask for it by itself, or too late.
 *
 * @module
 */

/** Whether `host`, `"name"` or `"name:port"`, may be reached without asking anybody. */
export function mayReach(host: string): boolean {
  return Deno.permissions.querySync({ name: "net", host }).state === "granted";
}

/** Asks for the permission to reach `host`, as Deno's own calls do. */
export async function requireNet(host: string): Promise<void> {
  const { state } = await Deno.permissions.request({ name: "net", host });
  if (state === "granted") return;
  throw new Deno.errors.NotCapable(
    `Requires net access to "${host}", run again with the --allow-net flag`,
  );
}
