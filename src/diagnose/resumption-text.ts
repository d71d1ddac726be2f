/** Tickets and early data in words: what became of them and why. The reasons' own names stand in parentheses. */
import type { EarlyDataOutcome } from '../tls/session/early-data.ts'
import type { TicketRefusal } from '../tls/session/ticket-refusal.ts'
import type { TicketOutcome } from '../tls/trace.ts'
import { otherSide, type Side } from './explanation.ts'
import { printable } from './printable.ts'
import { durationText } from './time-text.ts'

/** What became of a ticket, as the given side saw it. */
export function ticketText(ticket: TicketOutcome, perspective: Side, atMs: number): string {
  switch (ticket.outcome) {
    case 'offered': {
      const left = durationText(ticket.expiresAtMs - atMs)
      return `the client offers a ticket of an earlier handshake, ${durationText(ticket.ageMs)} old and good for ${left} more`
    }
    case 'withheld':
      return `a ticket is not offered (${ticket.reason}): ${refusalText(ticket, perspective)}`
    case 'accepted':
      return `the server takes the ticket, ${durationText(ticket.ageMs)} old${skewText(ticket.ageSkewMs)}: nobody shows a certificate`
    case 'refused':
      return `a ticket is not taken (${ticket.reason}): ${refusalText(ticket, perspective)}`
  }
}

/** Clocks that agree need no mention. */
function skewText(skewMs: number | undefined): string {
  if (skewMs === undefined || Math.abs(skewMs) < 1000) return ''
  const direction = skewMs > 0 ? 'more' : 'less'
  return ` (${durationText(Math.abs(skewMs))} ${direction} by the clock of the client)`
}

function refusalText(refusal: TicketRefusal, perspective: Side): string {
  switch (refusal.reason) {
    case 'unknown':
      return 'it was used before, has expired, or is of another server'
    case 'tickets_disabled':
      return 'none are taken here'
    case 'peer_declined':
      return 'the server does not say why'
    case 'ech_rejected':
      return 'it was in the encrypted ClientHello that the server has not read'
    case 'cipher_suite_mismatch':
      return 'its cipher suite does not go with those of this connection'
    case 'server_name_mismatch':
      return 'it is of a connection to another server name'
    case 'external_psk_gone':
      return 'it rests on a pre-shared key that is there no longer'
    case 'unproven_peer':
      return perspective === 'client'
        ? 'its server proved nothing that counts here'
        : 'its client showed no certificate, and now it must'
    case 'no_verifier':
      return `nothing here can judge the ${otherSide(perspective)} of that handshake again`
    case 'peer_rejected':
      return `the ${otherSide(perspective)} of that handshake would not be accepted any more: ${refusal.error.code}, ${printable(refusal.error.message)}`
  }
}

/** What became of early data, as the given side saw it. */
export function earlyDataText(outcome: EarlyDataOutcome, perspective: Side): string {
  if (outcome === 'accepted')
    return perspective === 'client'
      ? 'the server takes the early data (accepted), which somebody may replay to it'
      : 'early data is taken (accepted): by a fresh ticket that nobody can redeem again'
  const dropped = perspective === 'server' ? '; what comes of it is dropped' : ''
  return `early data is not taken (${outcome}): ${DECLINED[outcome]}${dropped}`
}

const DECLINED: Readonly<Record<Exclude<EarlyDataOutcome, 'accepted'>, string>> = {
  disabled: 'it is off here',
  no_session_offered: 'there is no ticket to send it under',
  session_not_resumed: 'the ticket that it is sent under leads nowhere',
  unsupported_for_session: 'the ticket does not allow it',
  peer_declined: 'the server resumes the session and declines the data, and does not say why',
  hello_retry_request: 'the server asks for another ClientHello, which voids it',
  alpn_mismatch: 'the ticket is of a connection with another application protocol',
  cipher_suite_mismatch: 'the ticket is of a connection with another cipher suite',
  ticket_age_skew: 'the age of the ticket, by the two clocks, differs too much: it may be a replay',
  replayable_ticket: 'the ticket can be redeemed again, so that nothing would stop a replay',
}
