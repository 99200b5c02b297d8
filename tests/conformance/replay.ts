/**
 * Replays on our `StreamReader` what `record.py` saw CPython's do; its head says what a recording
 * looks like.
 *
 * @module
 */
import { IncompleteReadError, LimitOverrunError, StreamReader } from "../../mod.ts";

/** One step list: the reader's limit, then what was done and seen in each turn. */
type StepList = readonly [limit: number, ...steps: string[]];

/** What a replay came to. */
export interface Report {
  /** The CPython that was recorded. */
  python: string;
  /** The seed of the step lists. */
  seed: number;
  /** How many step lists were replayed. */
  lists: number;
  /** How many steps they had. */
  steps: number;
  /** Each step list that went another way, told at length. */
  differences: string[];
}

/** How tokens of a step that say what is done begin; the others say what was seen. */
const ACTION = /^[+$!c~lrxut]/;

/** The bytes that the recording writes as `text`. */
function unpack(text: string): Uint8Array {
  const plain = text.replace(/(.)\{(\d+)\}/gs, (_, c: string, n: string) => c.repeat(Number(n)));
  return Uint8Array.from(plain, (c) => c.charCodeAt(0));
}

/** Bytes as the recording writes them. */
function pack(bytes: Uint8Array): string {
  // Not the decoder's "latin1", which is windows-1252.
  const plain = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  return plain.replace(/(.)\1{5,}/gs, (run, c: string) => `${c}{${run.length}}`);
}

/** A reader and all that was asked of it so far. */
class Run {
  readonly #reader: StreamReader;
  readonly #aborts: AbortController[] = [];
  readonly #exceptions = new Map<unknown, string>();
  #seen: string[] = [];
  #atEof = false;
  #exception: unknown = null;

  constructor(limit: number) {
    this.#reader = new StreamReader({ limit });
  }

  /** Does one turn's actions and tells, in the recording's words, what came of them. */
  async step(actions: string[]): Promise<string[]> {
    this.#seen = [];
    for (const action of actions) this.#act(action);
    await quiet();
    const seen = this.#seen.sort((a, b) => parseInt(a) - parseInt(b));
    if (this.#reader.atEof() !== this.#atEof) {
      this.#atEof = !this.#atEof;
      seen.push(this.#atEof ? "@" : "no longer at EOF");
    }
    const exception = this.#reader.exception();
    if (exception !== this.#exception) {
      this.#exception = exception;
      seen.push("*" + this.#nameOf(exception));
    }
    return seen;
  }

  /** Ends what still waits, so that nothing outlives the test. */
  async end(): Promise<void> {
    for (const abort of this.#aborts) abort.abort();
    await quiet();
  }

  #act(action: string): void {
    const argument = action.slice(1);
    switch (action[0]) {
      case "+":
        return this.#reader.feedData(unpack(argument));
      case "$":
        return this.#reader.feedEof();
      case "c":
        return this.#aborts[Number(argument)]!.abort("c");
      case "!": {
        const exception = new Error(argument);
        this.#exceptions.set(exception, argument);
        return this.#reader.setException(exception);
      }
      case "~":
        return this.#start(argument, AbortSignal.abort("c"));
      default:
        return this.#start(action);
    }
  }

  #start(action: string, aborted?: AbortSignal): void {
    const abort = new AbortController();
    const index = this.#aborts.push(abort) - 1;
    this.#read(action, aborted ?? abort.signal).then(
      (bytes) => this.#seen.push(`${index}=${pack(bytes)}`),
      (error) => this.#seen.push(index + this.#outcome(error)),
    );
  }

  #read(action: string, signal: AbortSignal): Promise<Uint8Array> {
    const argument = action.slice(1);
    const separators = argument.split("|").slice(1).map(unpack);
    const reader = this.#reader;
    switch (action[0]) {
      case "l":
        return reader.readLine({ signal });
      case "x":
        return reader.readExactly(Number(argument), { signal });
      case "r":
        return reader.read(argument === "" ? undefined : Number(argument), { signal });
      case "t":
        return reader.readUntil(separators, { signal });
      default:
        return reader.readUntil(separators[0], { signal });
    }
  }

  #outcome(error: unknown): string {
    if (this.#exceptions.has(error)) return "!" + this.#nameOf(error);
    if (error === "c") return "c";
    if (error instanceof IncompleteReadError) {
      return `?${error.expected ?? ""}:${pack(error.partial)}`;
    }
    if (error instanceof LimitOverrunError) return `>${error.consumed}`;
    if (error instanceof RangeError) return "v";
    if (error instanceof Error && error.constructor === Error) return "r";
    return `: ${error}`;
  }

  #nameOf(exception: unknown): string {
    return this.#exceptions.get(exception) ?? String(exception);
  }
}

/** Lets all that is ready run, and what that makes ready. */
async function quiet(): Promise<void> {
  for (let i = 0; i < 2; i++) await new Promise<void>((resolve) => setImmediate(resolve));
}

/** Replays one step list; tells what went another way, or gives `null`. */
async function replayList([limit, ...steps]: StepList): Promise<string | null> {
  const run = new Run(limit);
  try {
    for (const [i, step] of steps.entries()) {
      const tokens = step.split(" ");
      const actions = tokens.filter((token) => ACTION.test(token));
      const expected = tokens.filter((token) => !ACTION.test(token)).join(" ");
      let actual: string;
      try {
        actual = (await run.step(actions)).join(" ");
      } catch (error) {
        actual = `the call threw ${error}`;
      }
      if (actual !== expected) {
        const lines = steps.map((s, j) => `${i === j ? " =>" : "   "} ${JSON.stringify(s)}`);
        return [
          `limit ${limit}, step ${i + 1} of ${steps.length}:`,
          ...lines,
          `    CPython: ${JSON.stringify(expected)}`,
          `    ours:    ${JSON.stringify(actual)}`,
        ].join("\n");
      }
    }
    return null;
  } finally {
    await run.end();
  }
}

/** Replays a recording, given as its text. */
export async function replay(recording: string): Promise<Report> {
  const [head, ...lines] = recording.trimEnd().split("\n");
  const { python, seed } = JSON.parse(head!) as { python: string; seed: number };
  const report: Report = { python, seed, lists: 0, steps: 0, differences: [] };
  for (const line of lines) {
    const list = JSON.parse(line) as StepList;
    const difference = await replayList(list);
    if (difference !== null) report.differences.push(`line ${report.lists + 2}, ${difference}`);
    report.lists++;
    report.steps += list.length - 1;
  }
  return report;
}

/** Fails, with the first few told, when a replay had differences. */
export function assertNoDifference({ python, seed, lists, differences }: Report): void {
  if (differences.length === 0) return;
  throw new Error(
    `${differences.length} of ${lists} step lists went another way than on CPython ${python} ` +
      `(seed ${seed}; record.py tells how to read them):\n\n${
        differences.slice(0, 5).join("\n\n")
      }`,
  );
}
