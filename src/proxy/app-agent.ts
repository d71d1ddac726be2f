import type { Address } from '../config/address.ts'
import type { Connection, Transport } from '../net/transport.ts'
import { CONNECT_TIMEOUT_MS } from './limits.ts'
import { ReusingAgent } from './reusing-agent.ts'

/** Connections in plaintext to the application beside us. */
export class AppAgent extends ReusingAgent {
  readonly #transport: Transport
  readonly #address: Address

  constructor(transport: Transport, address: Address) {
    super()
    this.#transport = transport
    this.#address = address
  }

  protected override open(): Promise<Connection> {
    return this.#transport.connect(this.#address, { timeoutMs: CONNECT_TIMEOUT_MS })
  }
}
