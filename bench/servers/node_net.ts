// `node:net`, with `node:readline` for lines, under Deno: `node_net.ts <kind>`. It prints its port.
import net from "node:net";
import readline from "node:readline";

const handlers: Record<string, (socket: net.Socket) => void> = {
  bytes: (socket) => socket.on("data", (data) => socket.write(data)),
  lines: (socket) => {
    readline.createInterface({ input: socket }).on("line", (line) => socket.write(line + "\n"));
  },
};

const handle = handlers[Deno.args[0] ?? "bytes"]!;
const server = net.createServer((socket) => {
  socket.setNoDelay(true);
  socket.on("error", () => {});
  handle(socket);
});
server.listen(0, "127.0.0.1", () => console.log((server.address() as net.AddressInfo).port));
