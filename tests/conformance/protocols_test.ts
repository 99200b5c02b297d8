/**
 * Does to our transports what record_protocols.py did to CPython's, and compares which callbacks
 * of the protocol are made.
 *
 * @module
 */
import { connect, type Socket } from "node:net";
import { assertEquals } from "@std/assert";
import { delay } from "@std/async";
import { concat } from "@std/bytes/concat";
import {
  type BaseProtocol,
  BufferedProtocol,
  type EventLoop,
  newEventLoop,
  Protocol,
  type Transport,
} from "@asyncio/streams";

type Step = readonly [op: string, ...args: (string | number | null)[]];

interface Case {
  readonly eof?: boolean;
  readonly buffered?: number;
  readonly throws?: string;
  readonly on?: Readonly<Record<string, readonly Step[]>>;
  readonly steps: readonly Step[];
}

interface Recording {
  readonly name: string;
  readonly case: Case;
  /** What is logged before the first step, in each step, and by an `abort()` after the last. */
  readonly logs: readonly (readonly string[])[];
}

/** How long a step may take to do what it does in CPython, in ms: the machine may be busy. */
const PATIENCE = 5_000;
/** How long it is then waited for what it must not do; that also spoils the steps behind it. */
const QUIET = 40;
/** More bytes than the kernel takes from a sender whose peer does not read. */
const BULK = 16 * 1024 * 1024;

/** Runs one case, on a loop of its own whose exception handler logs. */
class Script {
  /** What the step that is under way has logged. */
  log: string[] = [];
  transport!: Transport;
  readonly case: Case;
  readonly #expected: Recording["logs"];
  readonly #logs: string[][] = [];
  readonly #loop: EventLoop = newEventLoop();
  #peer!: Deno.TcpConn;
  /** The peer, where it has to reset the connection: Deno's own sockets can't. */
  #resetter: Socket | null = null;
  #peerClosed = false;
  /** A step did something else than in CPython: the others need no patience. */
  #failed = false;
  #seenByPeer: string[] = [];
  #reading: Promise<void> | null = null;

  constructor({ case: scripted, logs }: Recording) {
    this.case = scripted;
    this.#expected = logs;
    this.#loop.setExceptionHandler((_loop, { exception }) => {
      this.log.push(`handler: ${describe(exception)}`);
    });
  }

  async replay(): Promise<string[][]> {
    const server = await this.#loop.createServer(() => this.protocol(""), "127.0.0.1", 0);
    const { port } = server.sockets[0]!.addr as Deno.NetAddr;
    if (this.case.steps.some(([op]) => op === "peer reset")) {
      this.#resetter = connect(port, "127.0.0.1").pause();
    } else {
      this.#peer = await Deno.connect({ hostname: "127.0.0.1", port });
    }
    await this.#settled();
    server.close();
    for (const step of this.case.steps) {
      await this.#step(step);
      await this.#settled();
    }
    if (!this.transport.isClosing()) this.transport.abort();
    await this.#settled();
    if (!this.#peerClosed) this.#peer.close();
    await this.#reading;
    await server.waitClosed();
    this.#loop.close();
    return this.#logs;
  }

  /** Ends a step: waits until it has logged what CPython's did. Nothing orders what the peer saw. */
  async #settled(): Promise<void> {
    const expected = `${this.#expected[this.#logs.length]}`;
    const log = () => [...this.log, ...this.#seenByPeer];
    const end = performance.now() + (this.#failed ? 0 : PATIENCE);
    while (`${log()}` !== expected && performance.now() < end) await delay(1);
    await delay(QUIET);
    this.#failed ||= `${log()}` !== expected;
    this.#logs.push(log());
    this.log = [];
    this.#seenByPeer = [];
  }

  protocol(prefix: string, buffered?: number): BaseProtocol {
    const size = prefix === "" ? this.case.buffered : buffered;
    return size === undefined ? new Plain(this, prefix) : new Buffered(this, prefix, size);
  }

  called(prefix: string, name: string, detail = ""): void {
    const last = this.log.at(-1) ?? "";
    if (name === "data" && last.startsWith(`${prefix}data`)) {
      this.log[this.log.length - 1] = last + detail.slice(1);
    } else {
      this.log.push(`${prefix}${name}${detail}`);
    }
    if (prefix !== "") return;
    for (const action of this.case.on?.[name] ?? []) this.act(action);
    if (this.case.throws === name) throw new Error(`${name} throws`);
  }

  async #step(step: Step): Promise<void> {
    const [op, arg] = step;
    switch (op) {
      case "peer reset":
        this.#peerClosed = true;
        return void this.#resetter!.resetAndDestroy();
      case "peer send":
        if (this.#resetter !== null) return void this.#resetter.write(arg as string);
        return await this.#peer.write(new TextEncoder().encode(arg as string)).then(
          () => {},
          () => {
            this.log.push("peer can't send");
          },
        );
      case "peer eof":
        return await this.#peer.closeWrite();
      case "peer close":
        this.#peerClosed = true;
        return this.#peer.close();
      case "peer read":
        this.#reading = this.#readAll();
        return;
      default:
        this.act(step);
    }
  }

  /** Reads to the end; bulk is told by its size. */
  async #readAll(): Promise<void> {
    const pieces: Uint8Array[] = [];
    const buffer = new Uint8Array(1 << 20);
    let end = "EOF";
    try {
      for (let n; (n = await this.#peer.read(buffer)) !== null;) {
        pieces.push(buffer.slice(0, n));
      }
    } catch (error) {
      end = error instanceof Deno.errors.ConnectionReset ? "reset" : `${error}`;
    }
    const data = concat(pieces);
    const what = data.length < 100 ? new TextDecoder().decode(data) : `${data.length} bytes`;
    this.#seenByPeer = [`peer got ${what}, ${end}`];
  }

  act([op, arg, more]: Step): void {
    try {
      this.#act(this.transport, op, arg, more);
    } catch {
      this.log.push(`${op} failed`);
    }
  }

  #act(transport: Transport, op: string, arg?: string | number | null, low?: unknown): void {
    const or = (value: unknown) => value === null ? undefined : value as number;
    switch (op) {
      case "write":
        return transport.write(arg as string);
      case "write bulk":
        return transport.write(new Uint8Array(BULK));
      case "ask":
        return void this.log.push(`closing: ${transport.isClosing()}`);
      case "ask size":
        return void this.log.push(`buffered: ${transport.getWriteBufferSize() > 0}`);
      case "ask reading":
        return void this.log.push(`reading: ${transport.isReading()}`);
      case "ask limits": {
        const { low, high } = transport.getWriteBufferLimits();
        return void this.log.push(`limits: ${low} ${high}`);
      }
      case "setLimits":
        return transport.setWriteBufferLimits({ high: or(arg), low: or(low) });
      case "setProtocol":
        return transport.setProtocol(this.protocol("new "));
      case "setProtocol buffered":
        return transport.setProtocol(this.protocol("new ", 64));
      case "writeEof":
      case "close":
      case "abort":
      case "pauseReading":
      case "resumeReading":
        return transport[op]();
      default:
        throw new TypeError(`No such action: ${op}`);
    }
  }
}

/** CPython's and our errors by one name. */
function describe(error: unknown): string {
  if (error === null) return "null";
  const { message } = error as Error;
  if (message === "getBuffer() returned an empty buffer") {
    return "get_buffer() returned an empty buffer";
  }
  return Object.values(Deno.errors).some((kind) => error instanceof kind) ? "an OSError" : message;
}

class Plain extends Protocol {
  constructor(readonly script: Script, readonly prefix: string) {
    super();
  }
  override connectionMade(transport: Transport): void {
    this.script.transport = transport;
    this.script.called(this.prefix, "made");
  }
  override dataReceived(data: Uint8Array): void {
    this.script.called(this.prefix, "data", ` ${new TextDecoder().decode(data)}`);
  }
  override eofReceived(): boolean {
    this.script.called(this.prefix, "eof");
    return this.script.case.eof ?? false;
  }
  override connectionLost(error: Error | null): void {
    this.script.called(this.prefix, "lost", ` ${describe(error)}`);
  }
  override pauseWriting(): void {
    this.script.called(this.prefix, "pauseWriting");
  }
  override resumeWriting(): void {
    this.script.called(this.prefix, "resumeWriting");
  }
}

class Buffered extends BufferedProtocol {
  #plain: Plain;
  #buffer: Uint8Array;
  constructor(readonly script: Script, readonly prefix: string, size: number) {
    super();
    this.#plain = new Plain(script, prefix);
    this.#buffer = new Uint8Array(size);
  }
  override connectionMade(transport: Transport): void {
    this.#plain.connectionMade(transport);
  }
  override getBuffer(): Uint8Array {
    if (this.script.case.throws === "getBuffer") throw new Error("getBuffer throws");
    return this.#buffer;
  }
  override bufferUpdated(n: number): void {
    this.#plain.dataReceived(this.#buffer.subarray(0, n));
  }
  override eofReceived(): boolean {
    return this.#plain.eofReceived();
  }
  override connectionLost(error: Error | null): void {
    this.#plain.connectionLost(error);
  }
}

const recording = Deno.readTextFileSync(new URL("protocols.jsonl", import.meta.url));
const [, ...cases] = recording.trimEnd().split("\n").map((line) => JSON.parse(line) as Recording);

/** How many scripts run at a time: most of each is waiting for nothing to happen. */
const AT_A_TIME = 6;

Deno.test("CPython's protocol callbacks", async (t) => {
  for (let at = 0; at < cases.length; at += AT_A_TIME) {
    const some = cases.slice(at, at + AT_A_TIME);
    const logs = await Promise.all(some.map((recording) => new Script(recording).replay()));
    for (const [n, recording] of some.entries()) {
      await t.step(recording.name, () => assertEquals(logs[n], recording.logs));
    }
  }
});
