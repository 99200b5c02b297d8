/**
 * Opening TCP and Unix listeners.
 *
 * @module
 */
import { abortable } from "@std/async/abortable";
import type { ExceptionSink } from "../loop/exception_context.ts";
import { formatHost } from "./addresses.ts";
import { explain } from "./os_error.ts";
import { mayUseFile } from "./permission.ts";
import { resolve } from "./resolve.ts";

/** Where and how to listen. */
export interface ListenTcp {
  /** Hosts to listen on; `null` means every interface. */
  hosts: readonly string[] | null;
  /** The port; 0 means a free one. */
  port: number;
  /** Which addresses to use; 0 means both. */
  family: 0 | 4 | 6;
  /** How many connections may wait to be accepted. */
  backlog: number;
  /** Lets other processes listen on the same port. */
  reusePort: boolean;
  /** Ends the wait. */
  signal?: AbortSignal | undefined;
}

/** `Deno.listen`'s options, with those that its types leave out. */
interface DenoListenOptions extends Deno.TcpListenOptions {
  reusePort?: boolean;
}

/** Listeners that are closed and not free yet, and when they will be. */
const leaving = new Map<Deno.Listener, Promise<void>>();

/**
 * Says that a closed listener holds its port, or its path, for a moment: Deno frees it only when
 * the accept that waited has ended, and then removes whatever is at the path.
 */
export function leavesBehind(listener: Deno.Listener, freed: Promise<void>): void {
  leaving.set(listener, freed);
  freed.then(() => leaving.delete(listener));
}

/** Waits until no listener that was closed here holds a port, or a path, any more. */
async function vacated(place: number | string, signal: AbortSignal | undefined): Promise<void> {
  const holds = ({ addr }: Deno.Listener) =>
    ("port" in addr && addr.port === place) || ("path" in addr && addr.path === place);
  const freed = Promise.all(Array.from(leaving, ([one, freed]) => holds(one) ? freed : undefined));
  await (signal === undefined ? freed : abortable(freed, signal));
}

/** Opens listeners on every address of every host, or on none. */
export async function listenTcp(init: ListenTcp): Promise<Deno.Listener[]> {
  const names = init.hosts === null ? null : await lookUp(init.hosts, init);
  await vacated(init.port, init.signal);
  if (names === null) return [listenEverywhere(init)];
  const listeners: Deno.Listener[] = [];
  try {
    for (const name of names) listeners.push(listen(name, init));
    return listeners;
  } catch (error) {
    for (const listener of listeners) listener.close();
    const everywhere = ["::", "0.0.0.0"].every((name) => names.includes(name));
    if (!everywhere || listeners.length === 0 || !(error instanceof Deno.errors.AddrInUse)) {
      throw error;
    }
    const hint = "on this system :: includes IPv4, leave 0.0.0.0 out";
    throw new Deno.errors.AddrInUse(`${error.message}; ${hint}`, { cause: error });
  }
}

/** Looks up what to listen on: each address once, though several hosts have it. */
async function lookUp(
  hosts: readonly string[],
  { family, port, signal }: ListenTcp,
): Promise<string[]> {
  const names = new Map<string, string>();
  for (const host of hosts) {
    try {
      const addresses = await resolve(host, family, { port, signal });
      // By its name where that is all the same: then permission for the name is enough.
      const byName = addresses.length === 1 && family === 0;
      for (const address of addresses) names.set(address, byName ? host : address);
    } catch (error) {
      signal?.throwIfAborted();
      throw explain(`cannot listen on ${formatHost(host, port)}`, error);
    }
  }
  return [...names.values()];
}

function listenEverywhere(init: ListenTcp): Deno.Listener {
  if (init.family === 4) return listen("0.0.0.0", init);
  try {
    return listen("::", init); // Both families on one socket.
  } catch (error) {
    const noIpv6 = error instanceof Deno.errors.AddrNotAvailable || /os error 97/.test(`${error}`);
    if (init.family === 0 && noIpv6) return listen("0.0.0.0", init);
    throw error;
  }
}

function listen(hostname: string, { port, backlog, reusePort }: ListenTcp): Deno.Listener {
  const options: DenoListenOptions = { hostname, port, tcpBacklog: backlog };
  if (reusePort) options.reusePort = true;
  try {
    return Deno.listen(options);
  } catch (error) {
    throw explain(`cannot listen on ${formatHost(hostname, port)}`, error);
  }
}

/** Closes a listener, unless somebody else has done that. */
export function closeListener(listener: Deno.Listener): void {
  try {
    listener.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}

/** Whether Deno can share a port between processes: asked before, for the attempt ends the process. */
export function canReusePort(): boolean {
  return "listenDatagram" in Deno;
}

/**
 * Closes a listener; its socket file goes or stays as it should, once what is returned has been
 * called: when no accept is under way any more.
 */
export type Close = () => (() => void) | null;

/** A Unix listener and how to close it. */
export interface UnixListener {
  /** The open listener. */
  listener: Deno.UnixListener;
  /** Closes it. */
  close: Close;
}

/** Where and how to listen on a Unix socket. */
export interface ListenUnix {
  /** The path, or `"\0name"`. */
  path: string;
  /** The socket file's permission bits. */
  mode?: number | undefined;
  /** Whether closing removes the socket file. */
  cleanup: boolean;
  /** Who is told if closing removed what it should have kept. */
  sink: ExceptionSink;
  /** Ends the wait. */
  signal?: AbortSignal | undefined;
}

/** Opens a Unix listener. */
export async function listenUnix(init: ListenUnix): Promise<UnixListener> {
  const { path, mode, cleanup, sink, signal } = init;
  await vacated(path, signal);
  const what = `cannot listen on unix:${path.replace("\0", "@")}`;
  let listener: Deno.UnixListener;
  try {
    listener = Deno.listen({ transport: "unix", path });
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse)) throw explain(what, error);
    const hint = "a file is in the way; remove it if no other server uses it";
    throw new Deno.errors.AddrInUse(`${what}: ${hint}`, { cause: error });
  }
  if (path.startsWith("\0")) return { listener, close: () => closePlain(listener) };
  try {
    const own = Deno.lstatSync(path);
    if (mode !== undefined) Deno.chmodSync(path, mode);
    return { listener, close: () => closeUnix(listener, { path, own, cleanup, sink }) };
  } catch (error) {
    listener.close();
    throw explain(what, error);
  }
}

/**
 * How to close a listener that is handed over: what is at its path now is its own file. Nobody is asked
 * for a permission, so where one is missing, Deno removes what is there in the end.
 *
 * @param sink Who is told if closing removed another server's file.
 */
export function closeOf(listener: Deno.Listener, sink?: ExceptionSink): Close {
  const close = () => closePlain(listener);
  const { addr } = listener;
  if (addr?.transport !== "unix" || addr.path.startsWith("\0")) return close;
  const { path } = addr;
  if (!mayUseFile(path)) return close;
  let own: Deno.FileInfo | null = null;
  try {
    own = Deno.lstatSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) return close;
  }
  const file = { path, own, cleanup: true, sink, asks: false };
  return () => mayUseFile(path) ? closeUnix(listener, file) : close();
}

function closePlain(listener: Deno.Listener): null {
  closeListener(listener);
  return null;
}

/** A listener's socket file, and what closing does with it. */
interface SocketFile {
  path: string;
  /** The file that was the listener's at first; `null` if that was gone already. */
  own: Deno.FileInfo | null;
  /** Whether it is removed. */
  cleanup: boolean;
  /** Who is told if closing removed what it should have kept. */
  sink?: ExceptionSink | undefined;
  /** Whether Deno may ask for a permission that keeping a file takes; it may by default. */
  asks?: boolean;
}

/**
 * Closes a Unix listener. Deno removes whatever is at its path, and that only when the last accept has
 * ended; so what shall stay, such as the socket of a server that has taken the path over, has
 * a second name until then. If the program ends before, Deno removes nothing.
 *
 * @returns Has to be called once no accept is under way: it gives what shall stay its name back.
 */
function closeUnix(
  listener: Deno.Listener,
  { path, own, cleanup, sink, asks = true }: SocketFile,
): (() => void) | null {
  const aside = `${path}.${crypto.randomUUID()}`;
  const report = (exception: unknown) => {
    const message = `Closing removed the file at unix:${path}, which it should have kept`;
    sink?.callExceptionHandler({ message, exception, socket: listener });
  };
  const isOwn = ({ ino, dev }: Deno.FileInfo) => ino === own?.ino && dev === own.dev;
  let finish: (() => void) | null = null;
  try {
    if (isOwn(Deno.lstatSync(path)) && cleanup) {
      finish = onExit(() => {
        if (isOwn(Deno.lstatSync(path))) Deno.removeSync(path);
      });
    } else {
      if (!asks && !mayUseFile(aside)) throw new Deno.errors.NotCapable(`${aside} may not be made`);
      Deno.linkSync(path, aside);
      const putBack = () => {
        try {
          bringBack(aside, path);
        } catch (exception) {
          report(exception);
        }
      };
      const off = onExit(putBack);
      finish = () => (off(), putBack());
    }
  } catch (exception) {
    if (!(exception instanceof Deno.errors.NotFound)) report(exception);
  }
  closeListener(listener);
  return finish;
}

/** Gives a file its first name back, unless there is a file of that name: itself, or a newer one. */
function bringBack(aside: string, path: string): void {
  try {
    Deno.linkSync(aside, path);
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
  Deno.removeSync(aside);
}

/** Does `work` if the program ends, as by `Deno.exit()`, before what is returned was called. */
function onExit(work: () => void): () => void {
  const ended = () => {
    try {
      work();
    } catch {
      // Nothing can be done any more, and the program shall end as it wanted to.
    }
  };
  globalThis.addEventListener("unload", ended);
  return () => globalThis.removeEventListener("unload", ended);
}
