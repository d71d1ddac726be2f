import assert from 'node:assert/strict'
import test from 'node:test'
import { rewritableTickets } from './rewritable-tickets.ts'

const NOW_MS = 1_234_000
const STATE = {
  preSharedKey: new Uint8Array(32).fill(9),
  cipherSuite: 'TLS_AES_128_GCM_SHA256',
  serverCertificateType: 'X509',
  ageAdd: 7,
  maxEarlyDataBytes: 0,
  issuedAtMs: NOW_MS,
  expiresAtMs: NOW_MS + 1000,
} as const

test('rewritableTickets redeems a ticket that nobody has changed, again and again, until it expires', () => {
  const store = rewritableTickets(new Uint8Array(48))
  const ticket = store.issue(STATE)
  assert.deepEqual(store.redeem(ticket, NOW_MS), STATE)
  assert.deepEqual(store.redeem(ticket, NOW_MS), STATE)
  assert.equal(store.redeem(ticket, NOW_MS + 1000), undefined)
})

test('rewritableTickets knows neither tickets that were changed without the key nor those of another key', () => {
  const store = rewritableTickets(new Uint8Array(48))
  const ticket = store.issue(STATE)
  for (let at = 0; at < ticket.length; at++) {
    const changed = ticket.with(at, ticket[at]! ^ 1)
    assert.equal(store.redeem(changed, NOW_MS), undefined)
  }
  for (let length = 0; length < ticket.length; length++)
    assert.equal(store.redeem(ticket.subarray(0, length), NOW_MS), undefined)
  assert.equal(rewritableTickets(new Uint8Array(48).fill(1)).redeem(ticket, NOW_MS), undefined)
})
