import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  type BaseProtocol,
  type BaseTransport,
  createSubprocessExec,
  createSubprocessShell,
  DatagramProtocol,
  type ExceptionContext,
  getEventLoop,
  newEventLoop,
  Process,
  Protocol,
  type SubprocessOptions,
  SubprocessProtocol,
  SubprocessStreamProtocol,
} from "@asyncio/streams";

const text = (bytes: Uint8Array | null) => bytes === null ? null : new TextDecoder().decode(bytes);
const piped = { stdin: "piped", stdout: "piped", stderr: "piped" } as const;

Deno.test("a subclass of SubprocessStreamProtocol sees what it feeds to the streams", async () => {
  const seen: string[] = [];
  class Tap extends SubprocessStreamProtocol {
    override pipeDataReceived(fd: number, data: Uint8Array): void {
      seen.push(`${fd} ${text(data)}`);
      super.pipeDataReceived(fd, data);
    }
  }
  const loop = getEventLoop();
  const [transport, protocol] = await loop.subprocessExec(
    () => new Tap(undefined, loop),
    "echo",
    ["hello"],
    { stdin: "null" },
  );
  await using child = new Process(transport, protocol);
  assertEquals(text((await child.communicate())[0]), "hello\n");
  assertEquals(seen, ["1 hello\n"]);
});

/** Whether a process is there; its parent has to be told of its exit first. */
function isAlive(pid: number): boolean {
  return new Deno.Command("kill", { args: ["-0", `${pid}`], stderr: "null" }).outputSync().success;
}

Deno.test("communicate() sends megabytes and reads them back, output and errors apart", async () => {
  await using child = await createSubprocessShell("tee /dev/stderr", piped);
  const input = new Uint8Array(3_000_000).map((_, i) => i * 7);
  const [stdout, stderr] = await child.communicate({ input });
  assertEquals(stdout!.length, input.length);
  assert(stdout!.every((byte, i) => byte === input[i]));
  assertEquals(stderr!.length, input.length);
  assertEquals(child.returncode, 0);
});

Deno.test("communicate() without input closes the child's", async () => {
  await using child = await createSubprocessExec("cat", [], { stdin: "piped", stdout: "piped" });
  assertEquals((await child.communicate()).map(text), ["", null]);
});

Deno.test("communicate() with a child that does not want its input is no error", async () => {
  await using child = await createSubprocessShell("exec 0<&-; echo no, thanks; exit 5", {
    stdin: "piped",
    stdout: "piped",
  });
  const [stdout] = await child.communicate({ input: new Uint8Array(5_000_000) });
  assertEquals(text(stdout), "no, thanks\n");
  assertEquals(child.returncode, 5);
});

Deno.test("communicate() can be abandoned, and the child talked to again", async () => {
  await using child = await createSubprocessShell("echo first; read x; echo $x", piped);
  const abort = new AbortController();
  const reason = new Error("enough");
  child.stdout!.readLine({ signal: new AbortController().signal }).then(() => abort.abort(reason));
  const waiting = child.wait({ signal: abort.signal });
  assertEquals(await waiting.catch((error) => error), reason);
  child.stdin!.write("second\n");
  const [stdout] = await child.communicate();
  assertEquals(text(stdout), "second\n");
});

Deno.test("communicate() refuses input for a child that takes none", async () => {
  await using child = await createSubprocessExec("true");
  await assertRejects(() => child.communicate({ input: "x" }), TypeError, "stdin");
  await child.wait();
});

Deno.test("communicate() refuses input behind the input's end, and touches nothing", async () => {
  await using child = await createSubprocessExec("cat", [], { stdin: "piped", stdout: "piped" });
  assertEquals((await child.communicate({ input: "once" })).map(text), ["once", null]);
  await assertRejects(() => child.communicate({ input: "more" }), Error, "has been closed");
  assertEquals((await child.communicate()).map(text), ["", null]);

  await using other = await createSubprocessExec("cat", [], { stdin: "piped", stdout: "piped" });
  other.stdin!.write("before");
  other.stdin!.writeEof();
  await assertRejects(() => other.communicate({ input: "behind" }), Error, "has been closed");
  // No read was left under way.
  assertEquals(text(await other.stdout!.readExactly(6)), "before");
  const signal = {} as AbortSignal;
  await assertRejects(() => other.communicate({ signal }), TypeError, "signal");
  await assertRejects(() => other.wait({ signal }), TypeError, "signal");
  await other.wait();
});

Deno.test("communicate() that fails leaves no read under way", async () => {
  await using child = await createSubprocessShell("echo out; read x", piped);
  const reading = child.stderr!.read(1);
  await assertRejects(() => child.communicate(), Error, "another read");
  assertEquals(text(await child.stdout!.readLine()), "out\n");
  assertEquals(text(await reading), "");
  await child.wait();
});

Deno.test("wait() ends though nobody reads, as far as asyncio's does", async () => {
  await using child = await createSubprocessShell("head -c 150000 /dev/zero", { stdout: "piped" });
  assertEquals(await child.wait(), 0);
  assertEquals((await child.stdout!.read()).length, 150_000);
});

Deno.test("a child that says more than is read waits: memory stays bounded", async () => {
  await using child = await createSubprocessShell("cat /dev/zero", { stdout: "piped" });
  const before = Deno.memoryUsage().external;
  assertEquals((await child.stdout!.readExactly(100_000)).length, 100_000);
  await assertRejects(() => child.wait({ signal: AbortSignal.timeout(100) }), DOMException);
  assert(Deno.memoryUsage().external - before < 4_000_000);
});

Deno.test("drain() waits for a child that does not read, and fails when it dies", async () => {
  await using child = await createSubprocessExec("sleep", ["60"], { stdin: "piped" });
  child.stdin!.write(new Uint8Array(500_000));
  const drained = child.stdin!.drain();
  child.kill();
  await assertRejects(() => drained, Deno.errors.BrokenPipe);
  await assertRejects(() => child.stdin!.waitClosed(), Deno.errors.BrokenPipe);
  assertEquals(await child.wait(), -9);
  assertEquals(child.returncode, -9);
});

Deno.test("disposing of a child that runs ends it, whatever it was in the middle of", async () => {
  let pid: number;
  {
    await using child = await createSubprocessShell("exec cat /dev/zero", piped);
    pid = child.pid;
    child.stdin!.write(new Uint8Array(2_000_000));
    await child.stdout!.read(10);
    assert(isAlive(pid));
  }
  assert(!isAlive(pid));
});

Deno.test("a tree of processes: the children's own children go on talking after it exits", async () => {
  await using child = await createSubprocessShell(
    "(sleep 0.1; echo grandchild >&2; echo late) & echo child; exit 3",
    { stdout: "piped", stderr: "piped" },
  );
  assertEquals(await child.wait(), 3);
  const [stdout, stderr] = await child.communicate();
  assertEquals([text(stdout), text(stderr)], ["child\nlate\n", "grandchild\n"]);
});

Deno.test("disposal does not wait for a grandchild that holds the pipes", async () => {
  const start = performance.now();
  let grandchild: number;
  {
    await using child = await createSubprocessShell("sleep 20 & echo $!; exec sleep 20", {
      stdout: "piped",
      stderr: "piped",
    });
    grandchild = Number(text(await child.stdout!.readLine()));
  }
  assert(isAlive(grandchild));
  Deno.kill(grandchild, "SIGKILL");
  assert(performance.now() - start < 10_000);
});

Deno.test("signals: sent by name, told as negative numbers, and ignored after the exit", async () => {
  for (const [signal, number] of [["SIGTERM", 15], ["SIGUSR1", 10], ["SIGHUP", 1]] as const) {
    await using child = await createSubprocessExec("sleep", ["60"]);
    assertEquals(child.returncode, null);
    child.sendSignal(signal);
    assertEquals(await child.wait(), -number);
    // By then the system may have given the id to another process.
    for (const late of ["SIGTERM", "SIGKILL", "SIGUSR1"] as const) child.sendSignal(late);
    child.kill();
    child.terminate();
    assertEquals(child.returncode, -number);
  }
  await using child = await createSubprocessExec("sleep", ["60"]);
  assertThrows(() => child.sendSignal("SIGNONE" as Deno.Signal), TypeError);
});

Deno.test("an aborted signal asks the child to stop", async () => {
  const abort = new AbortController();
  await using child = await createSubprocessExec("sleep", ["60"], { signal: abort.signal });
  abort.abort();
  assertEquals(await child.wait(), -15);
  const late = createSubprocessExec("sleep", ["60"], { signal: abort.signal });
  assertEquals(await late.catch((error) => error), abort.signal.reason);
});

Deno.test("a signal that is aborted in connectionMade() asks the child to stop, too", async () => {
  const abort = new AbortController();
  const exited = Promise.withResolvers<void>();
  class Abort extends SubprocessProtocol {
    override connectionMade() {
      abort.abort();
    }
    override connectionLost() {
      exited.resolve();
    }
  }
  const { signal } = abort;
  const loop = getEventLoop();
  const [transport] = await loop.subprocessExec(() => new Abort(), "sleep", ["60"], { signal });
  await exited.promise;
  assertEquals(transport.getReturncode(), -15);
});

Deno.test("the limit holds for the child's lines", async () => {
  await using child = await createSubprocessShell("echo 123456789", { stdout: "piped", limit: 5 });
  await assertRejects(() => child.stdout!.readLine(), RangeError);
  await child.wait();
});

Deno.test("environment and working directory", async () => {
  await using child = await createSubprocessShell('echo "$GREETING $HOME"; pwd', {
    stdout: "piped",
    env: { GREETING: "hello" },
    clearEnv: true,
    cwd: "/",
  });
  assertEquals(text((await child.communicate())[0]), "hello \n/\n");
});

Deno.test("what can't be started says so", async () => {
  await assertRejects(
    () => createSubprocessExec("no-such-program"),
    Deno.errors.NotFound,
    "cannot start no-such-program",
  );
  await assertRejects(
    () => createSubprocessExec("true", [], { cwd: "/no/such" }),
    Deno.errors.NotFound,
  );
  await assertRejects(() => createSubprocessExec(""), RangeError);
  await assertRejects(() => createSubprocessExec("true", "x" as unknown as string[]), TypeError);
  await assertRejects(() => createSubprocessExec("true", [1 as unknown as string]), TypeError);
  await assertRejects(() => createSubprocessExec(1 as unknown as string), TypeError);
  await assertRejects(() => createSubprocessShell(["true"] as unknown as string), TypeError);
  await assertRejects(
    () => createSubprocessExec("true", [], { stdout: "pipe" as "piped" }),
    TypeError,
  );
  await assertRejects(() => createSubprocessExec("true", [], { limit: -1 }), RangeError);
});

Deno.test("bad arguments are refused before anything is called or started", async () => {
  let made = 0;
  const refused = async (
    kind: typeof TypeError | typeof RangeError,
    message: string,
    options: SubprocessOptions,
    args: string[] = [],
    program = "true",
  ) => {
    const factory = () => (made++, new SubprocessProtocol());
    const starting = getEventLoop().subprocessExec(factory, program, args, options);
    await assertRejects(() => starting, kind, message);
  };
  for (const name of ["uid", "gid"]) {
    // What is no id left the child with its parent's rights.
    for (const id of [NaN, 1.5, "0", null]) {
      await refused(TypeError, `${name} is an integer`, { [name]: id } as SubprocessOptions);
    }
    for (const id of [-1, 2 ** 32 - 1, 2 ** 32]) {
      await refused(RangeError, `${name} is between 0 and 4294967294`, { [name]: id });
    }
  }
  for (const env of [null, "A=1", new Map([["A", "1"]]), ["A=1"], new Date()]) {
    await refused(TypeError, "env is a plain object", { env: env as never });
  }
  await refused(TypeError, "env.A is a string, not 5", { env: { A: 5 as never } });
  await refused(RangeError, "env.A must not contain a NUL", { env: { A: "a\0b" } });
  await refused(RangeError, "A=B", { env: { "A=B": "c" } });
  await refused(RangeError, "environment variable", { env: { "": "c" } });
  await refused(RangeError, "args[1] must not contain a NUL", {}, ["a", "a\0b"]);
  await refused(RangeError, "program must not contain a NUL", {}, [], "tr\0ue");
  await refused(TypeError, "cwd is a string or a URL", { cwd: 5 as never });
  await refused(RangeError, "cwd must not contain a NUL", { cwd: "/\0" });
  await refused(TypeError, "stdin", { stdin: "pipe" as never });
  await refused(TypeError, "signal", { signal: {} as never });
  await assertRejects(() => createSubprocessShell("a\0b"), RangeError, "command");
  assertEquals(made, 0);
});

Deno.test("errors of callbacks are told, also of the last ones", async () => {
  const loop = getEventLoop();
  const contexts: ExceptionContext[] = [];
  loop.setExceptionHandler((_loop, context) => contexts.push(context));
  const done = Promise.withResolvers<void>();
  class Failing extends SubprocessProtocol {
    override processExited() {
      throw new Error("processExited failed");
    }
    override connectionLost(): void {
      done.resolve();
      return Promise.reject(new Error("connectionLost failed")) as unknown as void;
    }
  }
  const [transport] = await loop.subprocessExec(() => new Failing(), "true", [], { stdin: "null" });
  await done.promise;
  await Promise.resolve();
  loop.setExceptionHandler(null);
  assertEquals(contexts.map(({ exception }) => (exception as Error).message), [
    "processExited failed",
    "connectionLost failed",
  ]);
  assert(contexts.every((context) => context.transport === transport));
  assert(contexts[0]!.message.includes(`process ${transport.getPid()}`));
});

Deno.test("debug mode reports endpoints, children and pipes that are open at the loop's end", async () => {
  const loop = newEventLoop();
  loop.setDebug(true);
  const contexts: ExceptionContext[] = [];
  loop.setExceptionHandler((_loop, context) => void contexts.push(context));
  const open = async () => {
    const lost = [0, 1, 2, 3].map(() => Promise.withResolvers<void>());
    const losing = <P extends BaseProtocol>(index: number, protocol: P) => () =>
      Object.assign(protocol, { connectionLost: () => lost[index]!.resolve() });
    const family = { family: 4 } as const;
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const opened = [
      await loop.createDatagramEndpoint(losing(0, new DatagramProtocol()), family),
      await loop.subprocessExec(losing(1, new SubprocessProtocol()), "sleep", ["60"]),
      await loop.connectReadPipe(losing(2, new Protocol()), readable),
      await loop.connectWritePipe(losing(3, new Protocol()), writable),
    ];
    const transports = opened.map(([transport]) => transport as BaseTransport);
    const close = async () => {
      for (const transport of transports) transport.close();
      await Promise.all(lost.map(({ promise }) => promise));
    };
    return { transports, close };
  };
  const closed = await open();
  await closed.close();
  const { transports, close } = await open();
  loop.close();
  await close();
  assertEquals(contexts.map(({ transport }) => transport === transports.shift()), [
    true,
    true,
    true,
    true,
  ]);
  for (const { message, sourceTraceback } of contexts) {
    assertEquals(message, "The loop of an unclosed transport was closed");
    assert(sourceTraceback?.includes("process_test.ts"), sourceTraceback);
  }
});

Deno.test("the transport knows its child, its pipes, and no peer", async () => {
  const loop = getEventLoop();
  const done = Promise.withResolvers<void>();
  class Quiet extends SubprocessProtocol {
    override connectionLost() {
      done.resolve();
    }
  }
  const [transport, protocol] = await loop.subprocessShell(() => new Quiet(), "cat", {
    stderr: "null",
  });
  const child = transport.getExtraInfo("subprocess") as Deno.ChildProcess;
  assertEquals(child.pid, transport.getPid());
  assert(transport.getProtocol() === protocol);
  assertEquals(transport.getPipeTransport(2), null);
  const stdin = transport.getPipeTransport(0)!;
  assertEquals(stdin.getExtraInfo("peername"), null);
  assertEquals(stdin.getExtraInfo("sockname", "none"), "none");
  assert(stdin.getExtraInfo("pipe") instanceof WritableStream);
  assert(transport.getPipeTransport(1)!.getExtraInfo("pipe") instanceof ReadableStream);
  assertEquals(transport.isClosing(), false);
  stdin.close();
  await done.promise;
  assertEquals(transport.isClosing(), true);
  assertEquals(transport.getReturncode(), 0);
});
