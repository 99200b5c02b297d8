/** Replays what record_endpoints.py recorded of datagram endpoints on CPython. */
import { createSocket } from "node:dgram";
import { assertEquals } from "@std/assert";
import { DatagramProtocol, type DatagramTransport } from "@asyncio/streams";
import recording from "../conformance/endpoints.json" with { type: "json" };
import { type Action, type Actions, inLoop, kind, Recorder } from "./recorder.ts";

/** A bare socket to talk to; it knows when it has been sent as many datagrams as are expected. */
async function bindPeer(expected: number) {
  const socket = createSocket("udp4");
  const received: string[] = [];
  const complete = Promise.withResolvers<void>();
  if (expected === 0) complete.resolve();
  socket.on("message", (data) => {
    if (received.push(data.toString()) === expected) complete.resolve();
  });
  await new Promise<void>((done) => socket.bind(0, "127.0.0.1", done));
  // One at a time: of two sends that are under way, the second may overtake the first.
  let sent = Promise.resolve();
  const send = (text: string, to: Deno.NetAddr) => {
    const next = () =>
      new Promise<void>((done) => socket.send(text, to.port, to.hostname, () => done()));
    sent = sent.then(next);
  };
  const address = { transport: "udp", hostname: "127.0.0.1", port: socket.address().port } as const;
  return { socket, address, send, received, complete: complete.promise };
}

type Peer = Awaited<ReturnType<typeof bindPeer>>;

class Datagram extends DatagramProtocol {
  readonly recorder: Recorder;
  readonly #peer: Peer;
  #transport!: DatagramTransport;

  constructor(makeRecorder: (act: (action: Action) => void) => Recorder, peer: Peer) {
    super();
    this.recorder = makeRecorder((action) => this.#act(action));
    this.#peer = peer;
  }

  override connectionMade(transport: DatagramTransport) {
    this.#transport = transport;
    this.recorder.called("made");
  }
  override datagramReceived(data: Uint8Array, addr: Deno.Addr) {
    assertEquals(addr, this.#peer.address);
    this.recorder.called(`datagram ${new TextDecoder().decode(data)}`);
  }
  override errorReceived(error: Error) {
    this.recorder.called(kind(error));
  }
  override connectionLost(error: Error | null) {
    this.recorder.end(error);
  }

  #act([op, text]: Action): void {
    const { address, send } = this.#peer;
    const local = this.#transport.getExtraInfo("sockname") as Deno.NetAddr;
    if (op === "send") this.#transport.sendTo(text as string, address);
    else if (op === "sendMuch") this.#transport.sendTo(new Uint8Array(70_000), address);
    else if (op === "peer") send(text as string, local);
    else if (op === "close") this.#transport.close();
    else if (op === "abort") this.#transport.abort();
    else throw new TypeError(`No such action: ${op}`);
  }
}

for (const { name, actions, log, peer: expected } of recording.datagrams) {
  Deno.test(`CPython's order of a datagram endpoint's callbacks: ${name}`, async () => {
    await inLoop(async (loop) => {
      const peer = await bindPeer(expected.length);
      const makeRecorder = (act: (action: Action) => void) =>
        new Recorder(loop, actions as unknown as Actions, act);
      const [, endpoint] = await loop.createDatagramEndpoint(
        () => new Datagram(makeRecorder, peer),
        { localAddr: { hostname: "127.0.0.1", port: 0 } },
      );
      await endpoint.recorder.lost;
      await peer.complete;
      peer.socket.close();
      assertEquals(endpoint.recorder.log, log);
      assertEquals(peer.received, expected);
    });
  });
}
