// Many clients of an echo server at once: `PORT CONNECTIONS ROUNDS`. Each line carries whose it is and
// its number, so that one that is lost, or comes out of order, or elsewhere, is seen.
import { openConnection } from "../../../../streams.ts";

const [port, connections, rounds] = Deno.args.map(Number) as [number, number, number];
const decoder = new TextDecoder();

async function client(id: number, opened: () => Promise<void>): Promise<void> {
  const [reader, writer] = await openConnection("127.0.0.1", port);
  await using _ = writer;
  await opened();
  for (let round = 0; round < rounds; round++) {
    const line = `${id} ${round}\n`;
    writer.write(line);
    const answer = decoder.decode(await reader.readLine());
    if (answer !== line) throw new Error(`sent ${line}, got ${answer}`);
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 200));
  }
}

let open = 0;
const allOpen = Promise.withResolvers<void>();
const opened = () => {
  if (++open === connections) {
    console.log(`${open} open`);
    allOpen.resolve();
  }
  return allOpen.promise;
};

const clients: Promise<void>[] = [];
for (let id = 0; id < connections; id++) {
  clients.push(client(id, opened));
  // In groups that the server's backlog takes.
  if (id % 200 === 199) await new Promise((resolve) => setTimeout(resolve, 20));
}
await Promise.all(clients);
console.log(`${connections * rounds} lines came back`);
