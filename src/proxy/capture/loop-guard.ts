import { formatAddress, type Address } from '../../config/address.ts'
import type { Connection, Transport } from '../../net/transport.ts'
import { ProxyError } from '../errors.ts'

/** How long a connection may take to come back: it never leaves the host. Afterwards others may have its ports. */
const RETURN_MS = 250

/** How long nothing is carried after one came back; by then whatever it set off has ended. */
const COOLING_MS = 1_000

/**
 * Notices that the proxy's own connections are captured, which happens where it runs as another user than the rules leave alone. Each
 * connection would beget the next, without end, so one that came back stops everything for a moment.
 */
export class LoopGuard {
  readonly #nowMs: () => number
  readonly #accepted: Recent
  readonly #opened: Recent
  #coolUntilMs = -Infinity

  /** @param nowMs a steady clock */
  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs
    this.#accepted = new Recent(nowMs)
    this.#opened = new Recent(nowMs)
  }

  /** @throws ProxyError PROXY_BAD_DESTINATION for a connection of our own, and for any right after one came back */
  admit({ remote }: Pick<Connection, 'remote'>, to: Address): void {
    if (this.#nowMs() < this.#coolUntilMs) throw looping(to)
    const key = keyOf(remote, to)
    if (this.#opened.has(key)) this.#cameBack(to)
    this.#accepted.add(key)
  }

  /** The way to the network, for what was admitted. */
  over(transport: Transport): Transport {
    return {
      name: transport.name,
      listen: (...args) => transport.listen(...args),
      connect: async (to, options) => {
        const connection = await transport.connect(to, options)
        const key = keyOf(connection.local, to)
        // Either end of a connection may be seen first.
        if (this.#accepted.has(key)) {
          connection.abort()
          this.#cameBack(to)
        }
        this.#opened.add(key)
        return connection
      },
    }
  }

  #cameBack(to: Address): never {
    this.#coolUntilMs = this.#nowMs() + COOLING_MS
    throw looping(to)
  }
}

/** What was seen within {@link RETURN_MS}, or a little longer. */
class Recent {
  readonly #nowMs: () => number
  #young = new Set<string>()
  #old = new Set<string>()
  #turnAtMs = -Infinity

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  add(key: string): void {
    this.#turn()
    this.#young.add(key)
  }

  has(key: string): boolean {
    this.#turn()
    return this.#young.has(key) || this.#old.has(key)
  }

  #turn(): void {
    const nowMs = this.#nowMs()
    if (nowMs < this.#turnAtMs) return
    this.#old = nowMs < this.#turnAtMs + RETURN_MS ? this.#young : new Set()
    this.#young = new Set()
    this.#turnAtMs = nowMs + RETURN_MS
  }
}

/** Both ends: a port may be used towards several others at once. */
function keyOf(from: Address, to: Address): string {
  return `${formatAddress(from)} ${formatAddress(to)}`
}

function looping(to: Address): ProxyError {
  return new ProxyError(
    'PROXY_BAD_DESTINATION',
    `A connection of the proxy's own, such as to ${formatAddress(to)}, was captured: expected the packet filter to leave its user alone (handfast init --proxy-uid, --proxy-gid)`,
  )
}
