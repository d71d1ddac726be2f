/** Resumption saves the proof, not the trust: whom a ticket stands for is judged again, on both sides. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { svidVerifier } from '../../src/identity/svid-verifier.ts'
import { CertificateError } from '../../src/pki/errors.ts'
import type { CertificateVerifier } from '../../src/pki/verifier.ts'
import { clientTickets } from '../../src/tls/session/client-tickets.ts'
import type { ClientTicketStore, ServerTicketStore } from '../../src/tls/session/resumption.ts'
import { makeTicketKey, sealedTickets } from '../../src/tls/session/sealed-tickets.ts'
import { statefulTickets } from '../../src/tls/session/stateful-tickets.ts'
import type { TicketOutcome } from '../../src/tls/trace.ts'
import { mintTrustDomain } from '../support/certificates.ts'
import { revocationsOf } from '../support/revocations.ts'
import { TlsPair, type Role, type TlsEnd, type TlsPairOptions } from '../support/tls-pair.ts'
import { mintWorkloads, NOW_MS } from '../support/tls-workloads.ts'

const crypto = nativeCrypto()
const workloads = await mintWorkloads()
const other = await mintTrustDomain('other.example', { nowMs: NOW_MS })

const HOUR_MS = 3_600_000

/** How one side has changed since the first handshake. */
interface Change {
  readonly what: string
  readonly code: string
  readonly verifier?: CertificateVerifier
  readonly nowMs?: number
}

function revoked(role: Role): CertificateVerifier {
  const { serialNumber } = workloads[role].chain[0]!
  const revocations = revocationsOf({ serialNumbers: [serialNumber] })
  return svidVerifier({ bundles: () => workloads.domain.bundles, crypto, revocations: () => revocations })
}

function changesFor(peer: Role): Change[] {
  return [
    { what: 'has expired', code: 'PKI_EXPIRED', nowMs: NOW_MS + 2 * HOUR_MS },
    { what: 'is not valid yet, by a clock set back', code: 'PKI_NOT_YET_VALID', nowMs: NOW_MS - 2 * HOUR_MS },
    { what: 'is revoked', code: 'PKI_REVOKED', verifier: revoked(peer) },
    {
      what: 'has a root that left the bundle',
      code: 'IDENTITY_UNKNOWN_TRUST_DOMAIN',
      verifier: svidVerifier({ bundles: () => other.bundles, crypto }),
    },
    {
      what: 'is not expected any more',
      code: 'IDENTITY_MISMATCH',
      verifier: svidVerifier({ bundles: () => workloads.domain.bundles, crypto, expected: () => false }),
    },
  ]
}

/** Tickets that claim to be good for a day more than they are: what refuses them is the certificate. */
function memory(inner: ServerTicketStore): { tickets: ClientTicketStore; store: ServerTicketStore } {
  const kept = clientTickets()
  const longer = <State extends { readonly expiresAtMs: number }>(state: State): State => ({
    ...state,
    expiresAtMs: state.expiresAtMs + 24 * HOUR_MS,
  })
  return {
    tickets: { put: (ticket) => kept.put(longer(ticket)), take: (nowMs) => kept.take(nowMs) },
    store: {
      isSingleUse: inner.isSingleUse,
      issue: (state) => inner.issue(longer(state)),
      redeem: (ticket, nowMs) => inner.redeem(ticket, nowMs),
    },
  }
}

/** What became of the ticket on one side, with the code of what was held against it. */
function told({ trace }: TlsEnd): string[] {
  return trace
    .filter((event): event is typeof event & TicketOutcome => event.kind === 'ticket')
    .map((event) =>
      'reason' in event && event.reason === 'peer_rejected'
        ? `${event.outcome} ${event.error.code}`
        : event.outcome,
    )
}

for (const [name, make] of [
  ['stateful', () => statefulTickets(crypto)],
  ['sealed', () => sealedTickets(crypto, sharedKeys())],
] as const) {
  test(`a client does not resume, with ${name} tickets, a server whose certificate no longer holds`, () => {
    for (const { what, code, verifier, nowMs = NOW_MS } of changesFor('server')) {
      const kept = memory(make())
      connect(kept)
      const changed = { nowMs: () => nowMs, ...(verifier === undefined ? {} : { verifier }) }
      const { client } = connect(kept, { client: changed })
      assert.equal(told(client)[0], `withheld ${code}`, `the certificate of the server ${what}`)
      assert.equal(client.session, undefined)
      assert.equal(codeOf(client), code, 'the full handshake in its place refuses the certificate too')
    }
  })

  test(`a server does not resume, with ${name} tickets, a client whose certificate no longer holds`, () => {
    for (const { what, code, verifier, nowMs = NOW_MS } of changesFor('client')) {
      const kept = memory(make())
      connect(kept)
      const changed = {
        nowMs: () => nowMs,
        ...(verifier === undefined ? {} : { clientVerifier: verifier }),
      }
      const { client, server } = connect(kept, { server: changed })
      assert.deepEqual(told(client), ['offered', 'refused'])
      assert.deepEqual(told(server), [`refused ${code}`], `the certificate of the client ${what}`)
      assert.equal(server.session, undefined)
      assert.equal(codeOf(server), code, 'the full handshake in its place refuses the certificate too')
    }
  })

  test(`both sides resume, with ${name} tickets, while certificates hold, and tell that they judged again`, () => {
    const kept = memory(make())
    connect(kept)
    const pair = connect(kept)
    for (const end of pair.ends) {
      assert.equal(end.session?.resumed, true)
      assert.equal(told(end).at(-1), 'accepted')
      const identity = end.trace.find((event) => event.kind === 'identity')
      assert.equal(identity?.rejudged, true)
      assert.equal(identity.name, end.session.peer?.name)
    }
  })
}

/** Connects and closes. */
function connect(
  { tickets, store }: ReturnType<typeof memory>,
  { client, server }: TlsPairOptions = {},
): TlsPair {
  const pair = new TlsPair(workloads, {
    client: { tickets, ...client },
    server: { tickets: { store }, ...server },
  }).run()
  for (const { connection } of pair.ends) connection.close()
  return pair.pump()
}

/** The innermost code, which says why. */
function codeOf({ error }: TlsEnd): unknown {
  const { cause } = error ?? {}
  return cause instanceof CertificateError ? cause.code : error?.code
}

function sharedKeys(): () => { readonly current: ReturnType<typeof makeTicketKey> } {
  const keys = { current: makeTicketKey(crypto) }
  return () => keys
}
