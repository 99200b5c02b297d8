/**
 * The timers of a loop: a heap, and one timer of Deno's for its earliest entry.
 *
 * @module
 */
import { LONGEST_TIMER } from "../net/timers.ts";
import type { TimerHandle, TimerOwner } from "./handle.ts";

interface Entry {
  readonly when: number;
  /** Breaks ties: equal times run in the order they were added in. */
  readonly order: number;
  readonly handle: TimerHandle;
  /** Where the entry stands in the heap, so that it can be taken out of the middle. */
  index: number;
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.when < b.when || (a.when === b.when && a.order < b.order);
}

/** Timers in the order they are due; those cancelled are taken out at once. */
export class TimerQueue implements TimerOwner {
  #heap: Entry[] = [];
  #entries = new Map<TimerHandle, Entry>();
  #order = 0;
  #clock: () => number;
  #onDue: () => void;
  #timeout: ReturnType<typeof setTimeout> | undefined;
  /** When Deno's timer fires, on the loop's clock; `null` where there is none. */
  #armedFor: number | null = null;
  #running = false;

  /**
   * @param clock Tells the time, in milliseconds.
   * @param onDue Called when at least one timer is due.
   */
  constructor(clock: () => number, onDue: () => void) {
    this.#clock = clock;
    this.#onDue = onDue;
  }

  /** Adds a timer. */
  add(handle: TimerHandle): void {
    const index = this.#heap.length;
    const entry = { when: handle.when(), order: this.#order++, handle, index };
    this.#entries.set(handle, entry);
    this.#heap.push(entry);
    this.#rise(entry);
    this.#arm();
  }

  /** Takes a timer out, if it is still there. */
  remove(handle: TimerHandle): void {
    const entry = this.#entries.get(handle);
    if (entry === undefined) return;
    this.#take(entry);
    this.#arm();
  }

  /** Tells whether a timer is due at `now`. */
  isDue(now: number): boolean {
    const first = this.#heap[0];
    return first !== undefined && first.when <= now;
  }

  /** Takes out what is due at `now`, the earliest first. */
  takeDue(now: number): TimerHandle[] {
    const due: TimerHandle[] = [];
    for (let first = this.#heap[0]; first !== undefined; first = this.#heap[0]) {
      if (!this.isDue(now)) break;
      this.#take(first);
      due.push(first.handle);
    }
    this.#arm();
    return due;
  }

  /** Starts or stops the clock; while it stands nothing is due and no process is kept alive. */
  setRunning(running: boolean): void {
    this.#running = running;
    this.#arm();
  }

  /** Drops all timers. */
  clear(): void {
    this.#heap = [];
    this.#entries.clear();
    this.#arm();
  }

  /** Sees to it that Deno's timer fires for the earliest entry, and that there is none without. */
  #arm(): void {
    const when = this.#running ? this.#heap[0]?.when ?? null : null;
    if (when === this.#armedFor) return;
    clearTimeout(this.#timeout);
    this.#armedFor = when;
    if (when === null) return;
    const delay = Math.ceil(when - this.#clock());
    if (delay <= 0) return this.#onDue();
    // A longer wait takes several timers; one for ever keeps the process alive likewise.
    this.#timeout = setTimeout(() => this.#fire(), Math.min(delay, LONGEST_TIMER));
  }

  #fire(): void {
    const isDue = this.#armedFor! <= this.#clock();
    if (isDue) return this.#onDue();
    this.#armedFor = null;
    this.#arm();
  }

  #take(entry: Entry): void {
    this.#entries.delete(entry.handle);
    const last = this.#heap.pop()!;
    if (last === entry) return;
    last.index = entry.index;
    this.#heap[last.index] = last;
    this.#rise(last);
    this.#sink(last);
  }

  #rise(entry: Entry): void {
    while (entry.index > 0) {
      const parent = this.#heap[(entry.index - 1) >> 1]!;
      if (!isBefore(entry, parent)) return;
      this.#swap(entry, parent);
    }
  }

  #sink(entry: Entry): void {
    for (;;) {
      const left = this.#heap[2 * entry.index + 1];
      const right = this.#heap[2 * entry.index + 2];
      const child = left && right && isBefore(right, left) ? right : left;
      if (child === undefined || !isBefore(child, entry)) return;
      this.#swap(entry, child);
    }
  }

  #swap(a: Entry, b: Entry): void {
    [a.index, b.index] = [b.index, a.index];
    this.#heap[a.index] = a;
    this.#heap[b.index] = b;
  }
}
