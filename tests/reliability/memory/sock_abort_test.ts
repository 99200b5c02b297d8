// The loop's calls on sockets, aborted at each of their steps.
import { assertEquals } from "@std/assert";
import { concat } from "@std/bytes/concat";
import { getEventLoop } from "../../../event_loop.ts";
import { socketPair } from "../../../net/socket_pair.ts";
import { bytes, pattern, text } from "../../support.ts";
import { atEveryStep, attempt, test } from "../support.ts";

const loop = getEventLoop();

test("sockRecv(), aborted at every step, loses no byte", async () => {
  await atEveryStep(async (step) => {
    const [left, right] = socketPair();
    using _left = left;
    using _right = right;
    const script = [() => void loop.sockSendAll(right, "all of it")];
    const result = await attempt((options) => loop.sockRecv(left, 100, options), step, script);
    for (const act of script.splice(0)) act();
    const rest = result.value ?? await loop.sockRecv(left, 100);
    assertEquals(text(rest), "all of it");
    return result;
  });
});

test("sockRecvInto(), aborted at every step, loses no byte", async () => {
  await atEveryStep(async (step) => {
    const [left, right] = socketPair();
    using _left = left;
    using _right = right;
    const buffer = new Uint8Array(100);
    const script = [() => void loop.sockSendAll(right, bytes("all of it"))];
    const result = await attempt(
      (options) => loop.sockRecvInto(left, buffer, options),
      step,
      script,
    );
    for (const act of script.splice(0)) act();
    const n = result.value ?? await loop.sockRecvInto(left, buffer);
    assertEquals(text(buffer.subarray(0, n)), "all of it");
    return result;
  });
});

test("sockSendAll(), aborted at every step, sends a prefix", async () => {
  const data = pattern(1_000_000);
  await atEveryStep(async (step) => {
    const [left, right] = socketPair();
    using _right = right;
    const got: Uint8Array[] = [];
    const receive = async () => {
      const piece = await loop.sockRecv(right, 100_000);
      got.push(piece);
      return piece.length > 0;
    };
    const script = Array.from({ length: 20 }, () => () => void receive());
    const result = await attempt((options) => loop.sockSendAll(left, data, options), step, script);
    left.close();
    while (await receive());
    const all = concat(got);
    assertEquals(all, data.subarray(0, all.length));
    if (!result.aborted) assertEquals(all.length, data.length);
    return result;
  });
});
