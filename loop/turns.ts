/**
 * Batches of callbacks, and the turns of Deno's loop that they run in.
 *
 * @module
 */
import { type Handle, release } from "./handle.ts";
import type { ReadySource } from "./scheduler.ts";
import { TimerQueue } from "./timer_queue.ts";

/**
 * Runs what is ready, batch by batch: a batch is what was ready when it began, then what its
 * sources have, then the timers that are due, and it runs in one turn of Deno's loop.
 *
 * Each callback has an immediate of its own, and not one for the batch, because Deno runs all
 * immediates that are there in one turn and empties the microtask queue after each of them. An
 * `await` that a callback ends so goes on before the next callback runs, as in asyncio.
 */
export class Turns {
  #ready: Handle[] = [];
  /** What is ready again and again: sockets that are watched. */
  readonly #sources: ReadySource[] = [];
  #clock: () => number;
  /** What waits for its time. */
  readonly timers: TimerQueue;
  /** Whether callbacks also run between runs, until {@linkcode Turns.stop}. */
  #free: boolean;
  #running: boolean;
  /** Whether a turn is planned or under way, whose end looks for what to do next. */
  #busy = false;
  #stopping = false;
  #onStopped: (() => void) | null = null;

  /**
   * @param clock Tells the time, in milliseconds.
   * @param free Whether callbacks run with no {@linkcode Turns.run}, until the first `stop`.
   */
  constructor(clock: () => number, free: boolean) {
    this.#clock = clock;
    this.timers = new TimerQueue(clock, () => this.#wake());
    this.#free = free;
    this.#running = free;
    this.timers.setRunning(free);
  }

  /** Adds to the next batch. */
  add(handle: Handle): void {
    this.#ready.push(handle);
    this.#wake();
  }

  /** Asks `source` at the start of each batch from now on; returns what to call when it is ready. */
  addSource(source: ReadySource): () => void {
    this.#sources.push(source);
    return () => this.#wake();
  }

  /** Runs callbacks until {@linkcode Turns.stop}; if that was called before, for one batch. */
  run(onStopped: () => void): void {
    this.#onStopped = onStopped;
    this.#running = true;
    this.timers.setRunning(true);
    if (this.#stopping || this.#isReady()) this.#wake();
  }

  /** Ends at the end of the batch that is under way, or else of the next one. */
  stop(): void {
    this.#free = false;
    this.endRun();
  }

  /** Like {@linkcode Turns.stop}, but a loop that ran before the run goes on running. */
  endRun(): void {
    this.#stopping = true;
    this.#wake();
  }

  /** Drops what waits. */
  clear(): void {
    this.#ready = [];
    for (const source of this.#sources) source.clear();
    this.timers.clear();
  }

  #isReady(): boolean {
    return this.#ready.length > 0 || this.#sources.some((source) => source.isReady());
  }

  #wake(): void {
    if (!this.#running || this.#busy) return;
    this.#busy = true;
    setImmediate(() => this.#startBatch());
  }

  #startBatch(): void {
    const batch = this.#ready.concat(
      this.#sources.flatMap((source) => source.takeReady()),
      this.timers.takeDue(this.#clock()),
    );
    this.#ready = [];
    for (const handle of batch) setImmediate(release, handle);
    setImmediate(() => this.#endBatch());
  }

  #endBatch(): void {
    if (this.#stopping) this.#end();
    const isMoreToDo = this.#isReady() || this.timers.isDue(this.#clock());
    if (this.#running && isMoreToDo) return this.#startBatch();
    this.#busy = false;
  }

  #end(): void {
    this.#stopping = false;
    this.#running = this.#free;
    this.timers.setRunning(this.#free);
    const onStopped = this.#onStopped;
    this.#onStopped = null;
    onStopped?.();
  }
}
