/**
 * Runs on our loop the programs that record_loop.py recorded on CPython's.
 *
 * @module
 */
import {
  CancelledError,
  EventLoop,
  type Future,
  type Handle,
  InvalidStateError,
  sleep,
  type Task,
} from "@asyncio/streams";

/** What is done, and to what. */
export type Action = readonly (string | number)[];
/** What each callback and task does, by its name. */
export type Program = Readonly<Record<string, readonly Action[]>>;

const BATCHES = 14;
const SLOT = 12;

/**
 * A loop whose time goes on only when there is nothing else to do: however busy the machine is,
 * timers of different slots never come due together. record_loop.py does the same to CPython's.
 */
class SlotLoop extends EventLoop {
  #now = 0;
  #logged = 0;
  #idle = 0;

  override time(): number {
    return this.#now;
  }

  /** Goes on to the next slot each time `BATCHES` batches have added nothing to `log`. */
  watch(log: readonly string[]): Handle {
    this.#idle = log.length === this.#logged ? this.#idle + 1 : 0;
    this.#logged = log.length;
    if (this.#idle === BATCHES) {
      this.#now += SLOT;
      this.#idle = 0;
    }
    return this.callSoon(() => this.watch(log));
  }
}

/** Runs one program. Anything that is not there yet is passed over, as in record_loop.py. */
class Interpreter {
  readonly log: string[] = [];
  #program: Program;
  #loop = new SlotLoop();
  #handles = new Map<string, Handle>();
  #futures = new Map<string, Future<string>>();
  #tasks = new Map<string, Task<void>>();
  #started = new Set<string>();
  #doneCallbacks = new Map<string, (future: Future<string>) => void>();

  constructor(program: Program) {
    this.#program = program;
    this.#loop.setExceptionHandler((_loop, { handle, exception }) => {
      if (handle !== undefined) this.log.push(`handler: ${(exception as Error).message}`);
    });
  }

  async replay(): Promise<string[]> {
    const loop = this.#loop;
    this.#actions("before");
    loop.callSoon(() => this.#call("main"));
    const timed = Object.values(this.#program).flat().some(([op]) => op === "at");
    if (timed) this.#loop.watch(this.log);
    for (const run of [1, 2]) {
      this.log.push(`run ${run}`);
      const guard = timed
        ? this.#callAtSlot(run * 4, () => loop.stop())
        : loop.callSoon(() => this.#countDown(BATCHES));
      await loop.runForever();
      guard.cancel();
    }
    loop.close();
    return this.log;
  }

  #callAtSlot(slot: number, callback: () => void): Handle {
    return this.#loop.callAt(slot * SLOT, callback);
  }

  #countDown(left: number): void {
    if (left === 0) this.#loop.stop();
    else this.#loop.callSoon(() => this.#countDown(left - 1));
  }

  #call(name: string): void {
    this.log.push(name);
    this.#actions(name);
  }

  #actions(name: string): void {
    for (const action of this.#program[name] ?? []) this.#act(action);
  }

  #doneCallback(name: string): (future: Future<string>) => void {
    let callback = this.#doneCallbacks.get(name);
    if (callback === undefined) {
      callback = (future) => {
        this.log.push(`${name}(${outcome(future)})`);
        this.#actions(name);
      };
      this.#doneCallbacks.set(name, callback);
    }
    return callback;
  }

  async #body(name: string): Promise<void> {
    this.#started.add(name);
    this.log.push(`${name} starts`);
    for (const step of this.#program[name] ?? []) {
      const [op, other] = step as [string, string?];
      if (op === "sleep0") {
        await sleep(0);
        this.log.push(`${name} wakes`);
      } else if (op === "await" || op === "awaitTask") {
        const awaited = (op === "await" ? this.#futures : this.#tasks).get(other!);
        if (awaited !== undefined) await this.#wait(name, other!, awaited);
      } else if (op === "fail" && other === undefined) {
        throw new Error(`${name} failed`);
      } else {
        this.#act(step);
      }
    }
  }

  async #wait(name: string, other: string, awaited: PromiseLike<unknown>): Promise<void> {
    try {
      await awaited;
    } catch (error) {
      this.log.push(
        error instanceof CancelledError
          ? `${name} got cancellation of ${other}`
          : `${name} got error of ${other}: ${(error as Error).message}`,
      );
      return;
    }
    this.log.push(`${name} got ${other}`);
  }

  #act(action: Action): void {
    const [op, name, slot] = action as [string, string, string?];
    const call = () => this.#call(op === "at" ? slot! : name);
    switch (op) {
      case "log":
        this.log.push(name);
        break;
      case "soon":
        this.#handles.set(name, this.#loop.callSoon(call));
        break;
      case "later0":
        this.#handles.set(name, this.#loop.callLater(0, call));
        break;
      case "at":
        this.#handles.set(slot!, this.#callAtSlot(Number(name), call));
        break;
      case "cancel":
        this.#handles.get(name)?.cancel();
        break;
      case "stop":
        this.#loop.stop();
        break;
      case "raise":
        throw new Error("raised");
      case "future":
        if (!this.#futures.has(name)) this.#futures.set(name, this.#loop.createFuture());
        break;
      case "task":
        this.#startTask(name);
        break;
      case "cancelTask":
        if (!this.#tasks.has(name) || this.#started.has(name)) break;
        this.log.push(`cancel ${name}: ${pythonic(this.#tasks.get(name)!.cancel())}`);
        break;
      default:
        this.#actOnFuture(op, name, slot);
    }
  }

  #startTask(name: string): void {
    if (this.#tasks.has(name)) return;
    const task = this.#loop.createTask(() => this.#body(name));
    this.#tasks.set(name, task);
    task.addDoneCallback((task) => this.log.push(`${name} ended: ${outcome(task)}`));
  }

  #actOnFuture(op: string, name: string, callback = ""): void {
    const future = this.#futures.get(name);
    if (future === undefined) return;
    try {
      if (op === "set") future.setResult(name);
      else if (op === "fail") future.setException(new Error(`${name} failed`));
      else if (op === "cancelFuture") this.log.push(`cancel ${name}: ${pythonic(future.cancel())}`);
      else if (op === "onDone") future.addDoneCallback(this.#doneCallback(callback));
      else if (op === "offDone") {
        const count = future.removeDoneCallback(this.#doneCallback(callback));
        this.log.push(`removed ${count}`);
      } else throw new TypeError(`No such action: ${op}`);
    } catch (error) {
      if (!(error instanceof InvalidStateError)) throw error;
      this.log.push(`${op} ${name}: InvalidStateError`);
    }
  }
}

function outcome(future: Future): string {
  if (future.cancelled()) return "cancelled";
  return future.exception() === null ? "result" : "failed";
}

function pythonic(value: boolean): string {
  return value ? "True" : "False";
}

/** One recorded program. */
export interface Recording {
  /** What it shows. */
  readonly name: string;
  /** The program. */
  readonly program: Program;
  /** What CPython logged. */
  readonly log: readonly string[];
}

/** The programs of a recording, whose first line is about CPython. */
export function parseRecordings(text: string): Recording[] {
  return text.trimEnd().split("\n").slice(1).map((line) => JSON.parse(line) as Recording);
}

/** What our loop logs when it runs `program`. */
export function replayLoop(program: Program): Promise<string[]> {
  return new Interpreter(program).replay();
}
