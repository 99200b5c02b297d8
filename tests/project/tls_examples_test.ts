// The examples that need certificates, and the programs they talk to.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { openConnection } from "@asyncio/streams";
import { certificates } from "../peers/certificates.ts";
import { portOf, Program } from "./program.ts";

const { authority, good, folder } = await certificates();

function example(name: string, permissions: string[], args: string[], env = {}): Program {
  return new Program(["run", "--no-prompt", ...permissions, `examples/${name}`, ...args], "", env);
}

Deno.test("http_headers.ts prints the headers of a response over TLS", async () => {
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {}, cert: good.cert, key: good.key },
    () => new Response(null, { headers: { "x-answer": "yes" } }),
  );
  const url = `https://127.0.0.1:${server.addr.port}/`;
  const env = { DENO_CERT: authority.certFile };
  await using program = example("http_headers.ts", ["--allow-net"], [url], env);
  const { code, stdout, stderr } = await program.end();
  assertEquals([code, stderr], [0, ""]);
  assertStringIncludes(stdout, "HTTP header> x-answer: yes\n");
});

const SEND_MAIL = `
import smtplib, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[1])
with smtplib.SMTP("127.0.0.1", int(sys.argv[2]), local_hostname="client") as smtp:
    try:
        smtp.sendmail("a@example.org", "b@example.org", "in the clear")
        raise SystemExit("taken in the clear")
    except smtplib.SMTPException as error:
        assert "530" in str(error), error
    smtp.rset()
    smtp._host = "localhost"
    smtp.starttls(context=context)
    refused = smtp.sendmail("a@example.org", ["b@example.org", "c@example.org"],
        "Subject: hello\\r\\n\\r\\nfirst line\\r\\n.a line with a dot\\r\\n")
    assert refused == {}
print("sent")
`;

Deno.test("smtp_server.ts takes mail from Python's smtplib over STARTTLS, and prints it", async () => {
  const permissions = ["--allow-net=127.0.0.1", "--allow-read"];
  await using server = example("smtp_server.ts", permissions, [good.certFile, good.keyFile, "0"]);
  const port = await portOf(server);
  const { code, stdout, stderr } = await new Deno.Command("python3", {
    args: ["-c", SEND_MAIL, authority.certFile, String(port)],
  }).output();
  assertEquals(code, 0, new TextDecoder().decode(stderr));
  assertEquals(new TextDecoder().decode(stdout), "sent\n");
  await server.waitFor(/From a@example\.org to b@example\.org, c@example\.org:/);
  await server.waitFor(/\| Subject: hello\n\| \n\| first line\n\| \.a line with a dot\n/);
});

Deno.test("smtp_server.ts takes a mail of no lines at all, and refuses one that is too large", async () => {
  const permissions = ["--allow-net=127.0.0.1", "--allow-read"];
  await using server = example("smtp_server.ts", permissions, [good.certFile, good.keyFile, "0"]);
  const [reader, writer] = await openConnection("127.0.0.1", await portOf(server));
  await using _ = writer;
  const decoder = new TextDecoder();
  const says = async (answer: string) => {
    for (;;) {
      const line = decoder.decode(await reader.readUntil("\r\n"));
      if (line[3] === " ") return assertEquals(line, `${answer}\r\n`);
    }
  };
  const ask = async (line: string, answer: string) => {
    writer.write(`${line}\r\n`);
    await writer.drain();
    await says(answer);
  };
  await says("220 localhost ESMTP");
  await ask("EHLO client", "250 SIZE 10485760");
  await ask("STARTTLS", "220 Go ahead");
  await writer.startTls({ caCerts: [authority.cert] }, { serverHostname: "localhost" });
  await ask("EHLO client", "250 SIZE 10485760");
  const large = `${"x".repeat(1022)}\r\n`.repeat(10_241);
  for (const [mail, answer] of [["", "250 OK"], [large, "552 Too much"]]) {
    await ask("MAIL FROM:<a@example.org>", "250 OK");
    await ask("RCPT TO:<b@example.org>", "250 OK");
    await ask("DATA", "354 End with a line that is a dot");
    await ask(`${mail}.`, answer!);
  }
  await ask("QUIT", "221 Bye");
  await server.waitFor(/From a@example\.org to b@example\.org:/);
});

/** Where Debian puts the programs of PostgreSQL's newest version, or `null`. */
function findPostgres(): string | null {
  try {
    const versions = [...Deno.readDirSync("/usr/lib/postgresql")].map(({ name }) => name);
    const newest = versions.toSorted((one, other) => Number(other) - Number(one))[0];
    return newest === undefined ? null : `/usr/lib/postgresql/${newest}/bin`;
  } catch {
    return null;
  }
}

/** Runs a program as somebody who is not root, which PostgreSQL insists on. */
function asPostgres(program: string, args: string[]): Deno.Command {
  const isRoot = Deno.uid() === 0;
  return new Deno.Command(isRoot ? "setpriv" : program, {
    args: isRoot
      ? ["--reuid=postgres", "--regid=postgres", "--clear-groups", program, ...args]
      : args,
    cwd: "/",
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
}

const postgres = findPostgres();

Deno.test({
  name: "postgres_tls.ts upgrades a connection to a PostgreSQL server" +
    (postgres === null ? " (ignored: there is none)" : ""),
  ignore: postgres === null || Deno.build.os !== "linux",
  async fn() {
    const data = `${folder}/pg`;
    await Deno.mkdir(data);
    for (const [name, text] of [["server.crt", good.cert], ["server.key", good.key]] as const) {
      await Deno.writeTextFile(`${folder}/${name}`, text, { mode: 0o600 });
    }
    await Deno.writeTextFile(`${folder}/password`, "a password that nobody is asked for\n");
    if (Deno.uid() === 0) {
      await new Deno.Command("chmod", { args: ["711", folder] }).output();
      const files = ["pg", "server.crt", "server.key"].map((name) => `${folder}/${name}`);
      await new Deno.Command("chown", { args: ["postgres", ...files] }).output();
    }
    const made = await asPostgres(`${postgres}/initdb`, [
      ...["-D", data, "-U", "alice", "-A", "scram-sha-256", "--no-sync"],
      ...[`--pwfile=${folder}/password`],
    ]).output();
    assert(made.success, new TextDecoder().decode(made.stderr));
    const [probe] = [Deno.listen({ hostname: "127.0.0.1", port: 0 })];
    const { port } = probe.addr;
    probe.close();
    const server = asPostgres(`${postgres}/postgres`, [
      ...["-D", data, "-p", String(port), "-c", "listen_addresses=127.0.0.1", "-c", "ssl=on"],
      ...["-c", `ssl_cert_file=${folder}/server.crt`, "-c", `ssl_key_file=${folder}/server.key`],
      ...["-c", "unix_socket_directories=", "-c", "fsync=off"],
    ]).spawn();
    const log = server.stdout.cancel();
    try {
      const lines = server.stderr.pipeThrough(new TextDecoderStream());
      for await (const text of lines.values({ preventCancel: false })) {
        if (text.includes("ready to accept connections")) break;
      }
      const permissions = ["--allow-net", "--allow-read"];
      const args = ["127.0.0.1", String(port), "alice", authority.certFile];
      await using program = example("postgres_tls.ts", permissions, args);
      const { code, stdout, stderr } = await program.end();
      assertEquals([code, stderr], [0, ""]);
      assertEquals(
        stdout,
        "TLS: TLS_AES_256_GCM_SHA384 TLSv1.3 256\nServer: localhost\nAuthentication: 10\n",
      );
    } finally {
      server.kill("SIGINT");
      await log;
      await server.status;
    }
  },
});
