import assert from 'node:assert/strict'
import test from 'node:test'
import { earlyDataText, ticketText } from '../../src/diagnose/resumption-text.ts'
import { CertificateError } from '../../src/pki/errors.ts'
import type { EarlyDataOutcome } from '../../src/tls/session/early-data.ts'
import type { TicketRefusal } from '../../src/tls/session/ticket-refusal.ts'

const SIDES = ['client', 'server'] as const

test('ticketText names every reason, and says what it means', () => {
  const reasons: Record<Exclude<TicketRefusal['reason'], 'peer_rejected'>, RegExp> = {
    unknown: /used before/,
    tickets_disabled: /none are taken/,
    peer_declined: /does not say why/,
    ech_rejected: /encrypted ClientHello/,
    cipher_suite_mismatch: /cipher suite/,
    server_name_mismatch: /another server name/,
    external_psk_gone: /no longer/,
    unproven_peer: /proved nothing|showed no certificate/,
    no_verifier: /nothing here can judge/,
  }
  for (const side of SIDES) {
    for (const [reason, meaning] of Object.entries(reasons)) {
      const refusal = { reason } as TicketRefusal
      const text = ticketText({ outcome: 'refused', ...refusal }, side, 0)
      assert.ok(text.startsWith(`a ticket is not taken (${reason}): `), text)
      assert.match(text, meaning)
    }
  }
  const error = new CertificateError('PKI_EXPIRED', 'The certificate is\u001b[31m over')
  const withheld = ticketText({ outcome: 'withheld', reason: 'peer_rejected', error }, 'client', 0)
  assert.match(withheld, /^a ticket is not offered \(peer_rejected\): the server .*: PKI_EXPIRED, /)
  assert.ok(!withheld.includes('\u001b'))
})

test('ticketText tells the age of a ticket, and by how much the clocks differ', () => {
  const taken = (ageSkewMs?: number): string =>
    ticketText(
      { outcome: 'accepted', ageMs: 90_000, ...(ageSkewMs === undefined ? {} : { ageSkewMs }) },
      'server',
      0,
    )
  assert.equal(taken(), 'the server takes the ticket, 1 min 30 s old: nobody shows a certificate')
  assert.equal(taken(999), taken())
  assert.match(taken(5_000), /old \(5 s more by the clock of the client\):/)
  assert.match(taken(-65_000), /old \(1 min 5 s less by the clock of the client\):/)
  assert.equal(
    ticketText({ outcome: 'offered', ageMs: 12, expiresAtMs: 61_000 }, 'client', 1_000),
    'the client offers a ticket of an earlier handshake, 12 ms old and good for 1 min more',
  )
})

test('earlyDataText names every outcome', () => {
  const outcomes: Record<EarlyDataOutcome, true> = {
    accepted: true,
    disabled: true,
    no_session_offered: true,
    session_not_resumed: true,
    unsupported_for_session: true,
    peer_declined: true,
    hello_retry_request: true,
    alpn_mismatch: true,
    cipher_suite_mismatch: true,
    ticket_age_skew: true,
    replayable_ticket: true,
  }
  for (const side of SIDES)
    for (const outcome of Object.keys(outcomes) as EarlyDataOutcome[]) {
      const text = earlyDataText(outcome, side)
      assert.ok(text.includes(`(${outcome})`), text)
      assert.equal(text.includes('is not taken'), outcome !== 'accepted')
      assert.equal(text.includes('is dropped'), outcome !== 'accepted' && side === 'server')
    }
})
