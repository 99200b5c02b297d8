// Holds connections by a byte now and then, and never a whole line: `PORT CONNECTIONS`.
const [port, connections] = Deno.args.map(Number) as [number, number];
const byte = new Uint8Array([65]);
const conns: Deno.Conn[] = [];
for (let i = 0; i < connections; i++) {
  conns.push(await Deno.connect({ hostname: "127.0.0.1", port }));
}
console.log(`${conns.length} open`);
setInterval(() => {
  for (const conn of conns) conn.write(byte).catch(() => {});
}, 200);
