import type { CryptoProvider } from '../../src/crypto/provider.ts'
import type { ClientTicketStore, ClientTicket, ServerTicketStore } from '../../src/tls/session/resumption.ts'
import { makeTicketKey, sealedTickets } from '../../src/tls/session/sealed-tickets.ts'
import { statefulTickets } from '../../src/tls/session/stateful-tickets.ts'
import { rewritableTickets } from './rewritable-tickets.ts'

/** The suite's own shim begins at this time, and its clock moves only between connections. */
const START_SECONDS = 1234

/** What lasts from one connection of a test to the next: the clock, and the tickets of both roles. */
export class Memory {
  readonly crypto: CryptoProvider
  #nowSeconds = START_SECONDS
  #offered: ClientTicket | undefined
  #received: ClientTicket | undefined
  readonly serverTickets: ServerTicketStore

  /**
   * @param earlyData whether any connection may use it, which takes tickets that can be redeemed once
   * @param ticketKey of the suite, which changes tickets
   */
  constructor(
    crypto: CryptoProvider,
    { earlyData, ticketKey }: { readonly earlyData: boolean; readonly ticketKey: Uint8Array | undefined },
  ) {
    this.crypto = crypto
    const current = makeTicketKey(crypto)
    if (ticketKey !== undefined) this.serverTickets = rewritableTickets(ticketKey)
    else this.serverTickets = earlyData ? statefulTickets(crypto) : sealedTickets(crypto, () => ({ current }))
  }

  readonly nowMs = (): number => this.#nowSeconds * 1000

  /** The newest ticket of the connection in progress. */
  get received(): ClientTicket | undefined {
    return this.#received
  }

  /** Offers what came last, and once only. */
  readonly clientTickets: ClientTicketStore = {
    put: (ticket) => {
      this.#received = ticket
    },
    take: (nowMs) => {
      const ticket = this.#offered
      this.#offered = undefined
      return ticket !== undefined && ticket.expiresAtMs > nowMs ? ticket : undefined
    },
  }

  /** Gets ready for the next connection. */
  advance(seconds: number): void {
    this.#nowSeconds += seconds
    this.#offered = this.#received
    this.#received = undefined
  }
}
