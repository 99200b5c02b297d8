/**
 * The end of the current turn of Deno's loop, shared by all who wait for it:
 * one `setImmediate` costs as much as writing a hundred lines.
 *
 * @module
 */

/** Who can be told that the turn ends. */
export interface TurnListener {
  /** Called once, when all that was ready in this turn has run. */
  turnEnded(): void;
}

let listeners: TurnListener[] = [];
let scheduled = false;

function endTurn(): void {
  const ended = listeners;
  listeners = [];
  scheduled = false;
  for (const listener of ended) listener.turnEnded();
}

/** Has `listener` told once, when the current turn ends. */
export function atTurnEnd(listener: TurnListener): void {
  listeners.push(listener);
  if (!scheduled) {
    scheduled = true;
    setImmediate(endTurn);
  }
}

let next: Promise<void> | null = null;

/** Waits for the current turn to end: other connections and timers get theirs. */
export function nextTurn(): Promise<void> {
  return next ??= new Promise((resolve) => {
    atTurnEnd({
      turnEnded() {
        next = null;
        resolve();
      },
    });
  });
}

/** How many waits that could be answered within a turn it takes to give the turn back. */
const PATIENCE = 64;
let waits = 0;

/**
 * Waits for the next turn now and then. For waits that memory alone may answer, again and again:
 * nothing else would ever run.
 */
export async function fairTurn(): Promise<void> {
  if (++waits % PATIENCE === 0) await nextTurn();
}
