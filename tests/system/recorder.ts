/** What the replayed protocols of record_endpoints.py have in common. */
import { assert } from "@std/assert";
import { type EventLoop, type Future, newEventLoop } from "@asyncio/streams";

/** What to do: a name and an argument. */
export type Action = readonly [string, (string | number)?];

/** What to do on which call. */
export type Actions = Readonly<Record<string, readonly Action[]>>;

/** Logs what is called, and does what the case says. */
export class Recorder {
  readonly log: string[] = [];
  readonly lost: Future<void>;
  readonly #actions: Actions;
  readonly #act: (action: Action) => void;

  constructor(loop: EventLoop, actions: Actions, act: (action: Action) => void) {
    this.lost = loop.createFuture();
    this.#actions = actions;
    this.#act = act;
    loop.setExceptionHandler((_loop, { exception }) => {
      this.log.push(`handler: ${(exception as Error).message}`);
    });
  }

  called(event: string): void {
    this.log.push(event);
    for (const action of this.#actions[event] ?? []) {
      if (action[0] === "raise") throw new Error("raised");
      this.#act(action);
    }
  }

  end(error: Error | null): void {
    this.called(`end ${kind(error)}`);
    this.lost.setResult();
  }
}

/** An error as the recordings tell it. */
export function kind(error: Error | null): string {
  assert(error === null || error instanceof Error);
  return error === null ? "null" : "error";
}

/** Runs `body` in a loop of its own. */
export async function inLoop<T>(body: (loop: EventLoop) => Promise<T>): Promise<T> {
  using loop = newEventLoop();
  return await loop.runUntilComplete(() => body(loop));
}
