/**
 * Permissions to use the network and files, where Deno does not ask for them by itself, or too late,
 * or should not ask.
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

/** Whether the file at `path` may be looked at, made and removed without asking anybody. */
export function mayUseFile(path: string): boolean {
  const names = ["read", "write"] as const;
  return names.every((name) => Deno.permissions.querySync({ name, path }).state === "granted");
}
