/** Why there is no CPython of at least `minor` (3.x) to ask, or `null`. */
export async function whyNoPython(minor: number): Promise<string | null> {
  try {
    const code = `import sys; sys.exit(sys.version_info < (3, ${minor}))`;
    const { success } = await new Deno.Command("python3", { args: ["-c", code] }).output();
    return success ? null : `python3 is older than 3.${minor}`;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "there is no python3";
    throw error;
  }
}
