/**
 * Runs on our loop the programs that record_sockets.py recorded on CPython's.
 *
 * @module
 */
import { newEventLoop, socketPair } from "@asyncio/streams";

/** What is done, and with what. */
type Action = readonly [op: string, arg?: string | number];
type Program = Readonly<Record<string, readonly Action[]>>;

const BATCHES = 10;

/** Runs one program, as record_sockets.py does. */
class Interpreter {
  readonly log: string[] = [];
  readonly #program: Program;
  readonly #loop = newEventLoop();
  readonly #sockets = socketPair();

  constructor(program: Program) {
    this.#program = program;
  }

  async replay(): Promise<string[]> {
    const loop = this.#loop;
    loop.setExceptionHandler(() => void this.log.push("raised"));
    loop.callSoon(() => this.#call("main"));
    for (const run of [1, 2]) {
      this.log.push(`run ${run}`);
      const guard = loop.callSoon(() => this.#countDown(BATCHES));
      await loop.runForever();
      guard.cancel();
    }
    loop.close();
    for (const socket of this.#sockets) socket.close();
    return this.log;
  }

  #countDown(left: number): void {
    if (left === 0) this.#loop.stop();
    else this.#loop.callSoon(() => this.#countDown(left - 1));
  }

  #call(name: string): void {
    this.log.push(name);
    for (const [op, arg] of this.#program[name] ?? []) this.#act(op, arg);
  }

  #act(op: string, arg: string | number | undefined): void {
    const loop = this.#loop;
    const [socket, peer] = this.#sockets;
    const call = () => this.#call(arg as string);
    switch (op) {
      case "soon":
        return void loop.callSoon(call);
      case "later0":
        return void loop.callLater(0, call);
      case "reader":
        return loop.addReader(socket, call);
      case "writer":
        return loop.addWriter(socket, call);
      case "noReader":
        return void this.log.push(`noReader ${loop.removeReader(socket) ? "True" : "False"}`);
      case "noWriter":
        return void this.log.push(`noWriter ${loop.removeWriter(socket) ? "True" : "False"}`);
      case "peerSend":
        return void (peer.closed || peer.send(new Uint8Array(arg as number)));
      case "peerClose":
        return peer.close();
      case "recv":
        return void this.log.push(`recv ${this.#receive(arg as number)}`);
      case "stop":
        return loop.stop();
      default:
        throw new Error("raised");
    }
  }

  #receive(n: number): number | string {
    try {
      return this.#sockets[0].recv(n).length;
    } catch (error) {
      if (error instanceof Deno.errors.WouldBlock) return "would block";
      throw error;
    }
  }
}

/** A program, and what CPython logged. */
export interface Recording {
  readonly name: string;
  readonly program: Program;
  readonly log: readonly string[];
}

/** Reads what record_sockets.py printed; its first line says which Python that was. */
export function parseRecordings(text: string): Recording[] {
  const [, ...lines] = text.trim().split("\n");
  return lines.map((line) => JSON.parse(line));
}

/** Runs a program, and gives what it logs. */
export function replaySockets(program: Program): Promise<string[]> {
  return new Interpreter(program).replay();
}
