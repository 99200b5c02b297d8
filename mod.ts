/**
 * asyncio's Streams and Event Loop for Deno.
 *
 * @module
 */
export * from "./event_loop.ts";
export * from "./net/protocols.ts";
export * from "./net/transports.ts";
export * from "./server.ts";
export * from "./streams.ts";
