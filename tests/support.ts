// What many tests need: text and bytes, streams over a scripted peer, and a sink for errors.
import type { ExceptionContext, ExceptionSink } from "../loop/exception_context.ts";
import type { Protocol } from "../net/protocols.ts";
import { StreamReader, type StreamReaderOptions } from "../net/stream_reader.ts";
import { StreamReaderProtocol } from "../net/stream_reader_protocol.ts";
import { StreamTransport } from "../net/stream_transport.ts";
import { StreamWriter } from "../net/stream_writer.ts";
import { nextTurn } from "../net/turn.ts";
import { MemoryCarrier } from "./memory_carrier.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Text to bytes. */
export function bytes(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text);
}

/** Bytes to text. */
export function text(data: Uint8Array): string {
  return decoder.decode(data);
}

/** `length` bytes that differ from their neighbours, the same ones each time. */
export function pattern(length: number): Uint8Array<ArrayBuffer> {
  const data = new Uint8Array(length);
  for (let i = 0, x = 1; i < length; i++) {
    x = Math.imul(x, 1_664_525) + 1_013_904_223;
    data[i] = x >>> 24;
  }
  return data;
}

/** A port of 127.0.0.1 that nobody listens on. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** Lets all that is ready run, twice over: what it leads to has run, too. */
export async function turns(n = 2): Promise<void> {
  for (let i = 0; i < n; i++) await nextTurn();
}

/** Whether a promise has settled by now. */
export async function settled(promise: Promise<unknown>): Promise<boolean> {
  const pending = {};
  const first = promise.then(() => undefined, () => undefined);
  await turns();
  return await Promise.race([first, Promise.resolve(pending)]) !== pending;
}

/** Collects what goes to the loop's exception handler. */
export class Sink implements ExceptionSink {
  readonly contexts: ExceptionContext[] = [];
  #next: PromiseWithResolvers<ExceptionContext> | null = null;

  callExceptionHandler(context: ExceptionContext): void {
    this.contexts.push(context);
    this.#next?.resolve(context);
    this.#next = null;
  }

  /** Waits for the next one. */
  next(): Promise<ExceptionContext> {
    return (this.#next ??= Promise.withResolvers()).promise;
  }
}

/** Streams over a scripted peer. */
export function memoryStreams(
  options: StreamReaderOptions = {},
  carrier: MemoryCarrier = new MemoryCarrier(),
) {
  const sink = new Sink();
  const reader = new StreamReader(options);
  const protocol = new StreamReaderProtocol(reader, null, sink);
  const transport = new StreamTransport({ carrier, loop: sink });
  transport.start(protocol);
  const writer = new StreamWriter(transport, protocol, reader, sink);
  return { carrier, reader, writer, transport, protocol, sink };
}

/** A protocol that is pushed to, over a scripted peer. */
export function memoryProtocol(protocol: Protocol, carrier: MemoryCarrier = new MemoryCarrier()) {
  const sink = new Sink();
  const transport = new StreamTransport({ carrier, loop: sink });
  transport.start(protocol);
  return { carrier, transport, sink };
}
