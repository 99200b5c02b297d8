/**
 * Where newlines are, many found at a time.
 *
 * @module
 */

/** How many bytes are searched at a time. */
const WINDOW = 8_192;
/** How many bytes the scanner compares at a time. */
const STEP = 16;
/** How many newlines are kept at a time. */
const KEPT = 256;
/** Where they are left in the scanner's memory, behind the bytes and a block more. */
const OUT = WINDOW + 64;

/**
 * The scanner, WebAssembly in Base64. It compares 16 bytes at a time, which JavaScript can't, and so
 * takes a third of `findByte`'s time on lines of 64 bytes, and half on lines of 1 KiB:
 *
 * ```wat
 * (module
 *   (memory (export "memory") 1)
 *   ;; Stores where newlines are in [0, end), 16 bits each, in [out, outEnd); returns how many.
 *   (func (export "scan") (param $end i32) (param $out i32) (param $outEnd i32) (result i32)
 *     (local $at i32) (local $mask i32) (local $o i32) (local $newline v128)
 *     (local.set $newline (i8x16.splat (i32.const 10)))
 *     (local.set $o (local.get $out))
 *     (block $done
 *       (loop $blocks
 *         (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
 *         (local.set $mask
 *           (i8x16.bitmask (i8x16.eq (v128.load (local.get $at)) (local.get $newline))))
 *         (if (local.get $mask)
 *           (then
 *             (loop $hits
 *               (br_if $done (i32.eq (local.get $o) (local.get $outEnd)))
 *               (i32.store16 (local.get $o)
 *                 (i32.add (local.get $at) (i32.ctz (local.get $mask))))
 *               (local.set $o (i32.add (local.get $o) (i32.const 2)))
 *               (local.set $mask
 *                 (i32.and (local.get $mask) (i32.sub (local.get $mask) (i32.const 1))))
 *               (br_if $hits (local.get $mask)))))
 *         (local.set $at (i32.add (local.get $at) (i32.const 16)))
 *         (br $blocks)))
 *     (i32.shr_u (i32.sub (local.get $o) (local.get $out)) (i32.const 1))))
 * ```
 */
const SCANNER = "AGFzbQEAAAABCAFgA39/fwF/AwIBAAUDAQABBxECBm1lbW9yeQIABHNjYW4AAAptAWsCA38Be0EK/Q8h" +
  "BiABIQUCQANAIAMgAE8NASAD/QAEACAG/SP9ZCEEIAQEQANAIAUgAkYNAyAFIAMgBGhqOwEAIAVBAmohBSAEIARB" +
  "AWtxIQQgBA0ACwsgA0EQaiEDDAALCyAFIAFrQQF2Cw==";

interface Scanner {
  readonly scan: (end: number, out: number, outEnd: number) => number;
  readonly input: Uint8Array;
  readonly output: Uint16Array;
}

let scanner: Scanner | null = null;

function load(): Scanner {
  const module = new WebAssembly.Module(Uint8Array.fromBase64(SCANNER));
  const { memory, scan } = new WebAssembly.Instance(module).exports;
  const { buffer } = memory as WebAssembly.Memory;
  return {
    scan: scan as Scanner["scan"],
    input: new Uint8Array(buffer, 0, WINDOW + STEP),
    output: new Uint16Array(buffer, OUT, KEPT),
  };
}

/** Where newlines are in a part of a chunk of memory, whose bytes don't change. */
export class NewlineIndex {
  readonly #positions = new Uint16Array(KEPT);
  #count = 0;
  #next = 0;
  /** From here on the newlines are known; the positions are counted from it. */
  #since = 0;
  /** Up to here the newlines are known. */
  #until = 0;

  /** Forgets everything: the chunk is another one. */
  reset(): void {
    this.#count = this.#next = this.#until = 0;
  }

  /** The first newline at or behind `from` that is known, or -1. */
  next(from: number): number {
    const start = from - this.#since;
    if (start < 0) return -1;
    const positions = this.#positions;
    let i = this.#next;
    if (i > 0 && positions[i - 1]! >= start) i = 0; // A search may step back.
    while (i < this.#count && positions[i]! < start) i++;
    this.#next = i;
    return i < this.#count ? this.#since + positions[i]! : -1;
  }

  /** Where, at or behind `from`, a search for what {@linkcode next} didn't find has to begin. */
  unknownFrom(from: number): number {
    return from < this.#since ? from : Math.max(from, this.#until);
  }

  /** Searches `chunk[from..to)` up to where newlines are. Returns the first, or -1. */
  search(chunk: Uint8Array, from: number, to: number): number {
    const { scan, input, output } = scanner ??= load();
    for (let start = from; start < to; start = this.#until) {
      const length = Math.min(to - start, WINDOW);
      input.set(chunk.subarray(start, start + length));
      input.fill(0, length, length + STEP); // The last step looks further; newlines lay there before.
      const count = scan(length, OUT, OUT + 2 * KEPT);
      this.#positions.set(count === KEPT ? output : output.subarray(0, count));
      this.#count = count;
      this.#next = 0;
      this.#since = start;
      this.#until = count === KEPT ? start + output[KEPT - 1]! + 1 : start + length;
      if (count > 0) return start + output[0]!;
    }
    return -1;
  }
}
