// What a peer that sends little can make the loop's calls on sockets hold.
import { assert, assertEquals } from "@std/assert";
import { getEventLoop } from "../../../event_loop.ts";
import { socketPair } from "../../../net/socket_pair.ts";
import { test } from "../support.ts";

const loop = getEventLoop();
const MIB = 1_048_576;

test("sockRecv() that waits holds no memory for what has not come", async () => {
  const before = Deno.memoryUsage().external;
  const pairs = Array.from({ length: 100 }, () => socketPair());
  const received = pairs.map(([left]) => loop.sockRecv(left, MIB));
  const grown = Deno.memoryUsage().external - before;
  assert(grown < 16 * MIB, `${grown} bytes are held by 100 that wait`);
  for (const [, right] of pairs) right.close();
  assertEquals((await Promise.all(received)).map(({ length }) => length), received.map(() => 0));
  for (const [left] of pairs) left.close();
});

test("what sockRecv() returns keeps no more alive than about its own size", async () => {
  const [left, right] = socketPair();
  using _left = left;
  using _right = right;
  await loop.sockSendAll(right, "a");
  const piece = await loop.sockRecv(left, MIB);
  assertEquals([piece.length, piece.buffer.byteLength], [1, 1]);
});
