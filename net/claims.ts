/**
 * Which connections are in a transport's hands.
 *
 * @module
 */

/** Who is in here stays: a transport closes what it has. */
const claimed = new WeakSet<object>();

/** Whether a transport has `sock`. */
export function isClaimed(sock: object): boolean {
  return claimed.has(sock);
}

/**
 * Hands `sock` to a transport that `open` makes a carrier for; if that fails, it is given back.
 *
 * @throws {Error} If a transport has it: two readers would each get a part of what comes.
 */
export async function claim<T>(sock: unknown, open: () => Promise<T>): Promise<T> {
  if (typeof sock !== "object" || sock === null) return await open(); // It says what is wrong.
  if (claimed.has(sock)) throw new Error("the socket is used by a transport already");
  claimed.add(sock);
  try {
    return await open();
  } catch (error) {
    claimed.delete(sock);
    throw error;
  }
}
