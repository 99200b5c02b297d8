/**
 * What a protocol factory makes, checked.
 *
 * @module
 */
import type { BaseProtocol } from "../net/protocols.ts";
import { show } from "../net/validate.ts";

/** Makes a protocol, or throws what the factory throws. */
export function makeProtocol<P extends BaseProtocol>(protocolFactory: () => P): P {
  const protocol: unknown = protocolFactory();
  if (typeof protocol === "object" && protocol !== null && !("then" in protocol)) {
    return protocol as P;
  }
  if (protocol instanceof Promise) protocol.catch(() => {}); // This error is enough.
  throw new TypeError(`protocolFactory returns a protocol, not ${show(protocol)}`);
}
