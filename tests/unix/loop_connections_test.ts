import { assertEquals, assertRejects } from "@std/assert";
import { getEventLoop, Protocol, type Transport } from "@asyncio/streams";

class Echo extends Protocol {
  #transport!: Transport;
  override connectionMade(transport: Transport): void {
    this.#transport = transport;
  }
  override dataReceived(data: Uint8Array): void {
    this.#transport.write(data);
  }
}

class Collector extends Protocol {
  text = "";
  readonly lost = Promise.withResolvers<void>();
  override dataReceived(data: Uint8Array): void {
    this.text += new TextDecoder().decode(data);
  }
  override connectionLost(): void {
    this.lost.resolve();
  }
}

Deno.test({
  name: "createUnixServer() and createUnixConnection() hand connections to protocols",
  ignore: Deno.build.os === "windows",
  async fn() {
    const loop = getEventLoop();
    const folder = await Deno.makeTempDir();
    const path = `${folder}/echo.sock`;
    {
      await using _server = await loop.createUnixServer(() => new Echo(), path, { mode: 0o600 });
      assertEquals((await Deno.lstat(path)).mode! & 0o777, 0o600);
      const [transport, protocol] = await loop.createUnixConnection(() => new Collector(), path);
      transport.write("over a file");
      transport.writeEof();
      await protocol.lost.promise;
      assertEquals(protocol.text, "over a file");
    }
    await assertRejects(() => Deno.lstat(path), Deno.errors.NotFound);
    await assertRejects(() => loop.createUnixConnection(() => new Collector(), ""), RangeError);
    await assertRejects(() => loop.createUnixServer(() => new Echo(), ""), RangeError);
    await Deno.remove(folder, { recursive: true });
  },
});
