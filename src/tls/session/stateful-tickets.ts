import { toHex } from '../../bytes/bytes.ts'
import type { CryptoProvider } from '../../crypto/provider.ts'
import type { ServerTicketState, ServerTicketStore } from './resumption.ts'

/** A ticket is a name that cannot be guessed. */
const TICKET_BYTES = 32

/** About 3 KB each with a peer's certificates: 30 MB at the most. */
const DEFAULT_CAPACITY = 10_000

/** Keeps the state of tickets in memory, each for one use; the oldest make room for new ones. */
export function statefulTickets(
  crypto: CryptoProvider,
  capacity: number = DEFAULT_CAPACITY,
): ServerTicketStore {
  const states = new Map<string, ServerTicketState>()
  return {
    isSingleUse: true,
    issue(state) {
      const ticket = crypto.random(TICKET_BYTES)
      states.set(toHex(ticket), state)
      if (states.size > capacity) forget(states, states.keys().next().value!)
      return ticket
    },
    redeem(ticket, nowMs) {
      const name = toHex(ticket)
      const state = states.get(name)
      if (state === undefined) return undefined
      states.delete(name)
      if (state.expiresAtMs > nowMs) return state
      state.preSharedKey.fill(0)
      return undefined
    },
  }
}

function forget(states: Map<string, ServerTicketState>, name: string): void {
  states.get(name)?.preSharedKey.fill(0)
  states.delete(name)
}
