// deno run examples/cpu_work.ts
//
// Work that would hold up the event loop for a while, on the threads of an executor. A timer shows
// that the loop goes on meanwhile. The function is sent to a worker, so it uses nothing from around it.
import { getRunningLoop, run } from "@asyncio/streams";

function countPrimes(from: number, to: number): number {
  let count = 0;
  for (let n = Math.max(from, 2); n < to; n++) {
    let isPrime = true;
    for (let d = 2; d * d <= n && isPrime; d++) isPrime = n % d !== 0;
    if (isPrime) count++;
  }
  return count;
}

await run(async () => {
  const loop = getRunningLoop();
  let ticks = 0;
  const timer = setInterval(() => ticks++, 10);

  const limit = 4_000_000;
  const step = limit / 8;
  const counts = await Promise.all(
    Array.from(
      { length: 8 },
      (_, i) => loop.runInExecutor(null, countPrimes, i * step, (i + 1) * step),
    ),
  );
  clearInterval(timer);

  const total = counts.reduce((sum, count) => sum + count);
  console.log(`There are ${total} primes below ${limit}.`);
  console.log(`Meanwhile the loop went on: ${ticks > 5 ? "many" : ticks} ticks of its timer.`);
});
