/** What the tests run on workers. */

let calls = 0;

/** Uses what stands around it, as only a module's function can. */
export function describe(name: string): string {
  calls++;
  return `${greeting} ${name}, call ${calls}`;
}

const greeting = "hello";

/** An async function, exported as the default. */
export default async function double(n: number): Promise<number> {
  await Promise.resolve();
  return 2 * n;
}

/** Not a function. */
export const answer = 42;
