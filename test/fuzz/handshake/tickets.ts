import { nativeCrypto } from '../../../src/crypto/native-provider.ts'
import type {
  ClientTicket,
  ClientTicketStore,
  ServerTicketState,
  ServerTicketStore,
} from '../../../src/tls/session/resumption.ts'
import { makeTicketKey, sealedTickets } from '../../../src/tls/session/sealed-tickets.ts'
import { TlsPair, type TlsPairOptions } from '../../support/tls-pair.ts'
import type { Workloads } from '../../support/tls-workloads.ts'
import { fuzzCrypto } from './fuzz-crypto.ts'

/** Enough for the early data of any scenario. */
export const EARLY_LIMIT = { maxBytes: 4096 }

interface Earlier {
  readonly ticket: ClientTicket
  readonly store: () => ServerTicketStore
}

/** The tickets of an earlier handshake, good for one resumption in each run. */
export class Tickets {
  readonly #workloads: Workloads
  readonly #kind: 'single use' | 'sealed'
  readonly #options: TlsPairOptions
  readonly #byHashes = new Map<boolean, Earlier>()

  /** @param options of the earlier handshake */
  constructor(workloads: Workloads, kind: 'single use' | 'sealed', options: TlsPairOptions = {}) {
    this.#workloads = workloads
    this.#kind = kind
    this.#options = options
  }

  /** The options that resume once, and hand out new tickets. */
  resume(
    hashes: boolean,
    { client, server }: TlsPairOptions,
  ): {
    readonly client: ClientTicketStore
    readonly server: ServerTicketStore
    readonly options: TlsPairOptions
  } {
    const { ticket, store } = this.#earlier(hashes)
    const stores = { client: holding(ticket), server: store() }
    const options = {
      client: { ...this.#options.client, ...client, tickets: stores.client },
      server: { ...this.#options.server, ...server, tickets: { store: stores.server } },
    }
    return { ...stores, options }
  }

  #earlier(hashes: boolean): Earlier {
    const known = this.#byHashes.get(hashes)
    if (known !== undefined) return known
    const { client, server } = this.#options
    const kept: ClientTicket[] = []
    const issued = new Map<string, ServerTicketState>()
    const keys = { current: makeTicketKey(nativeCrypto()) }
    const store = (): ServerTicketStore =>
      this.#kind === 'sealed' ? sealedTickets(nativeCrypto(), () => keys) : remembering(issued)
    using pair = new TlsPair(this.#workloads, {
      crypto: fuzzCrypto(nativeCrypto(), { hashes }),
      client: { ...client, tickets: { put: (ticket) => kept.push(ticket), take: () => undefined } },
      server: { ...server, tickets: { store: store(), count: 1 }, earlyData: EARLY_LIMIT },
    }).run()
    if (pair.client.session === undefined || kept.length !== 1)
      throw new Error('The earlier handshake left no ticket')
    const earlier = { ticket: kept[0]!, store }
    this.#byHashes.set(hashes, earlier)
    return earlier
  }
}

/** Gives a copy of one ticket, once: its key is wiped when it has been used. */
function holding(ticket: ClientTicket): ClientTicketStore {
  let taken = false
  return {
    put: () => undefined,
    take() {
      if (taken) return undefined
      taken = true
      return { ...ticket, preSharedKey: ticket.preSharedKey.slice() }
    },
  }
}

/** Redeems copies of what the first handshake issued; what later ones issue is forgotten. */
function remembering(issued: Map<string, ServerTicketState>): ServerTicketStore {
  const used = new Set<string>()
  return {
    isSingleUse: true,
    issue(state) {
      const ticket = new Uint8Array(32).fill(issued.size)
      if (issued.size === 0)
        issued.set(ticket.toHex(), { ...state, preSharedKey: state.preSharedKey.slice() })
      return ticket
    },
    redeem(ticket) {
      const name = ticket.toHex()
      const state = issued.get(name)
      if (state === undefined || used.has(name)) return undefined
      used.add(name)
      return { ...state, preSharedKey: state.preSharedKey.slice() }
    },
  }
}
