import { assert, assertEquals, assertRejects } from "@std/assert";
import { connectFirst, interleave } from "../../net/happy_eyeballs.ts";
import { turns } from "../support.ts";

/** Addresses that answer when the test says so. */
class Network {
  readonly started: string[] = [];
  readonly ended: string[] = [];
  readonly discarded: string[] = [];
  readonly #waiters = new Map<string, PromiseWithResolvers<string>>();
  #arrived = Promise.withResolvers<void>();

  readonly connect = (address: string, signal: AbortSignal): Promise<string> => {
    const waiter = Promise.withResolvers<string>();
    this.started.push(address);
    this.#waiters.set(address, waiter);
    signal.addEventListener("abort", () => this.ended.push(address));
    this.#arrived.resolve();
    this.#arrived = Promise.withResolvers();
    return waiter.promise;
  };

  readonly discard = (conn: string): void => void this.discarded.push(conn);

  /** Waits until `address` is tried. */
  async tried(address: string): Promise<void> {
    while (!this.started.includes(address)) await this.#arrived.promise;
  }

  answer(address: string): void {
    this.#waiters.get(address)!.resolve(address);
  }

  refuse(address: string): void {
    this.#waiters.get(address)!.reject(new Error(`${address} refused`));
  }
}

Deno.test("interleave() takes the families by turns, the preferred one first", () => {
  const addresses = ["::1", "::2", "::3", "1.1.1.1", "2.2.2.2"];
  assertEquals(interleave(addresses, 0), addresses);
  assertEquals(interleave(addresses, 1), ["::1", "1.1.1.1", "::2", "2.2.2.2", "::3"]);
  assertEquals(interleave(addresses, 2), ["::1", "::2", "1.1.1.1", "::3", "2.2.2.2"]);
  assertEquals(interleave(addresses, 9), addresses);
  assertEquals(interleave(["1.1.1.1", "::1", "::2"], 1), ["1.1.1.1", "::1", "::2"]);
  assertEquals(interleave([], 1), []);
});

Deno.test("connectFirst() starts nothing else while the first address may answer in time", async () => {
  const net = new Network();
  const conn = connectFirst(["a", "b"], { ...net, delay: Infinity });
  net.answer("a");
  assertEquals(await conn, "a");
  assertEquals(net.started, ["a"]);
});

Deno.test("connectFirst() tries the next address as soon as one fails", async () => {
  const net = new Network();
  const conn = connectFirst(["a", "b"], { ...net, delay: Infinity });
  net.refuse("a");
  await net.tried("b");
  net.answer("b");
  assertEquals(await conn, "b");
});

Deno.test("connectFirst() tries the next address, too, when one is slow, and ends the slow one", async () => {
  const net = new Network();
  const conn = connectFirst(["a", "b", "c"], { ...net, delay: 1 });
  await net.tried("c");
  net.answer("b");
  assertEquals(await conn, "b");
  assertEquals(net.started, ["a", "b", "c"]);
  assert(net.ended.includes("a") && net.ended.includes("c"));
});

Deno.test("connectFirst() closes a connection that comes too late", async () => {
  const net = new Network();
  const conn = connectFirst(["a", "b"], { ...net, delay: 1 });
  await net.tried("b");
  net.answer("b");
  net.answer("a");
  assertEquals(await conn, "b");
  assertEquals(net.discarded, ["a"]);
});

Deno.test("connectFirst() waits for the slow address when the others have failed", async () => {
  const net = new Network();
  const conn = connectFirst(["a", "b"], { ...net, delay: 1 });
  await net.tried("b");
  net.refuse("b");
  await null;
  net.answer("a");
  assertEquals(await conn, "a");
});

Deno.test("connectFirst() fails with every error, in the order of the addresses", async () => {
  const net = new Network();
  const conn = connectFirst(["a", "b"], { ...net, delay: 1 });
  await net.tried("b");
  net.refuse("b");
  net.refuse("a");
  const { errors } = await assertRejects(() => conn, AggregateError);
  assertEquals(errors.map(({ message }: Error) => message), ["a refused", "b refused"]);
});

Deno.test("connectFirst() ends all attempts when its signal is aborted", async () => {
  const net = new Network();
  const controller = new AbortController();
  const { signal } = controller;
  const conn = connectFirst(["a", "b", "c"], { ...net, delay: 1, signal });
  await net.tried("b");
  const reason = new Error("enough");
  controller.abort(reason);
  assertEquals(await assertRejects(() => conn), reason);
  net.answer("a");
  net.refuse("b");
  await null;
  assertEquals(net.discarded, ["a"]);
  assertEquals(
    await assertRejects(() => connectFirst(["a"], { ...net, delay: 1, signal })),
    reason,
  );
});

Deno.test("connectFirst() discards a connection made in the turn in which it is given up", async () => {
  const late = Promise.withResolvers<void>();
  const discarded: string[] = [];
  const aborter = new AbortController();
  const connecting = connectFirst(["1.1.1.1"], {
    connect: async (address, signal) => {
      await late.promise;
      signal.throwIfAborted(); // As `Deno.connect()` does, and then closes nothing.
      return address;
    },
    discard: (conn) => void discarded.push(conn),
    delay: 250,
    signal: aborter.signal,
  });
  aborter.abort("enough");
  assertEquals(await connecting.catch((reason) => reason), "enough");
  late.resolve();
  await turns();
  assertEquals(discarded, ["1.1.1.1"]);
});
