/** Replays what record_endpoints.py recorded of child processes on CPython. */
import { assertEquals } from "@std/assert";
import {
  SubprocessProtocol,
  type SubprocessTransport,
  type WriteTransport,
} from "@asyncio/streams";
import recording from "../conformance/endpoints.json" with { type: "json" };
import { type Action, type Actions, inLoop, kind, Recorder } from "./recorder.ts";

class Child extends SubprocessProtocol {
  readonly recorder: Recorder;
  #transport!: SubprocessTransport;

  constructor(makeRecorder: (act: (action: Action) => void) => Recorder) {
    super();
    this.recorder = makeRecorder((action) => this.#act(action));
  }

  override connectionMade(transport: SubprocessTransport) {
    this.#transport = transport;
    this.recorder.called("made");
  }
  override pipeDataReceived(fd: number, data: Uint8Array) {
    this.recorder.called(`data ${fd} ${new TextDecoder().decode(data)}`);
  }
  override pipeConnectionLost(fd: number, error: Error | null) {
    this.recorder.called(`lost ${fd} ${kind(error)}`);
  }
  override processExited() {
    this.recorder.called(`exited ${this.#transport.getReturncode()}`);
  }
  override pauseWriting() {
    this.recorder.called("pause");
  }
  override resumeWriting() {
    this.recorder.called("resume");
  }
  override connectionLost(error: Error | null) {
    this.recorder.end(error);
  }

  #act([op, arg]: Action): void {
    const stdin = this.#transport.getPipeTransport(0) as WriteTransport;
    if (op === "write") stdin.write(arg as string);
    else if (op === "writeMuch") stdin.write(new Uint8Array(1_000_000));
    else if (op === "writeEof") stdin.writeEof();
    else if (op === "closePipe") this.#transport.getPipeTransport(arg as number)!.close();
    else if (op === "signal") this.#transport.sendSignal(arg as Deno.Signal);
    else if (op === "close") this.#transport.close();
    else throw new TypeError(`No such action: ${op}`);
  }
}

for (const { name, pipes, command, actions, log } of recording.children) {
  Deno.test(`CPython's order of a child's callbacks: ${name}`, async () => {
    await inLoop(async (loop) => {
      const makeRecorder = (act: (action: Action) => void) =>
        new Recorder(loop, actions as unknown as Actions, act);
      const stdio = (fd: number) => pipes.includes(`${fd}`) ? "piped" : "null";
      const [, child] = await loop.subprocessShell(() => new Child(makeRecorder), command, {
        stdin: stdio(0),
        stdout: stdio(1),
        stderr: stdio(2),
      });
      await child.recorder.lost;
      assertEquals(child.recorder.log, log);
    });
  });
}
