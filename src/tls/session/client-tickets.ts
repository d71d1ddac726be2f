import type { ClientTicket, ClientTicketStore } from './resumption.ts'

/** A burst of connections uses this many at once; servers send two with each. */
const DEFAULT_CAPACITY = 8

/** Keeps the newest tickets of one server in memory. */
export function clientTickets(capacity: number = DEFAULT_CAPACITY): ClientTicketStore {
  const tickets: ClientTicket[] = []
  return {
    put(ticket) {
      tickets.push(ticket)
      if (tickets.length > capacity) forget(tickets.shift())
    },
    take(nowMs) {
      for (let ticket = tickets.pop(); ticket !== undefined; ticket = tickets.pop()) {
        if (ticket.expiresAtMs > nowMs) return ticket
        forget(ticket)
      }
      return undefined
    },
  }
}

function forget(ticket: ClientTicket | undefined): void {
  ticket?.preSharedKey.fill(0)
}
