import assert from 'node:assert/strict'
import test from 'node:test'
import { utf8 } from '../../src/bytes/bytes.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { TlsConnection } from '../../src/tls/connection.ts'
import type { ClientOptions, ServerOptions } from '../../src/tls/options.ts'
import type { EarlyDataOutcome } from '../../src/tls/session/early-data.ts'
import { clientTickets } from '../../src/tls/session/client-tickets.ts'
import type { ClientTicketStore, ServerTicketStore } from '../../src/tls/session/resumption.ts'
import { makeTicketKey, sealedTickets } from '../../src/tls/session/sealed-tickets.ts'
import { statefulTickets } from '../../src/tls/session/stateful-tickets.ts'
import { mintWorkloads, NOW_MS, verifierFor } from '../support/tls-workloads.ts'

const crypto = nativeCrypto()
const workloads = await mintWorkloads()
const MAX_EARLY_BYTES = 4096

interface Visit {
  readonly outcomes: readonly (EarlyDataOutcome | undefined)[]
  /** What reached the server, and as what. */
  readonly received: readonly string[]
  readonly error: string | undefined
  /** What the client sent before it heard anything. */
  readonly firstFlight: Uint8Array
}

interface VisitOptions {
  readonly tickets: ClientTicketStore
  readonly store: ServerTicketStore
  readonly early?: readonly Uint8Array[]
  readonly client?: Partial<ClientOptions>
  readonly server?: Partial<ServerOptions>
}

/** A whole connection: early data if there is any, then a word, then both close. */
function visit({
  tickets,
  store,
  early = [],
  client: clientOptions,
  server: serverOptions,
}: VisitOptions): Visit {
  const received: string[] = []
  const outcomes: (EarlyDataOutcome | undefined)[] = [undefined, undefined]
  let error: string | undefined
  const toServer: Uint8Array[] = []
  const toClient: Uint8Array[] = []
  const nothing = (): void => undefined
  const failed = ({ code }: { readonly code: string }): void => void (error ??= code)
  const client = TlsConnection.client(
    {
      crypto,
      nowMs: () => NOW_MS,
      verifier: verifierFor(workloads),
      credential: workloads.client,
      tickets,
      earlyData: true,
      ...clientOptions,
    },
    {
      output: (bytes) => toServer.push(bytes.slice()),
      established: (session) => (outcomes[0] = session.earlyData),
      data: nothing,
      peerClosed: nothing,
      failed,
    },
  )
  const server = TlsConnection.server(
    {
      crypto,
      nowMs: () => NOW_MS,
      clientVerifier: verifierFor(workloads),
      credential: () => workloads.server,
      tickets: { store },
      earlyData: { maxBytes: MAX_EARLY_BYTES },
      ...serverOptions,
    },
    {
      output: (bytes) => toClient.push(bytes.slice()),
      established: (session) => (outcomes[1] = session.earlyData),
      earlyData: (bytes) => received.push(`early ${bytes.length}`),
      data: (bytes) => received.push(`data ${bytes.length}`),
      peerClosed: nothing,
      failed,
    },
  )
  server.start()
  client.start()
  for (const bytes of early) client.sendEarly(bytes)
  const firstFlight = Buffer.concat(toServer)
  for (let turn = 0; turn < 20 && toServer.length + toClient.length > 0; turn++) {
    for (const bytes of toServer.splice(0)) server.receive(bytes)
    for (const bytes of toClient.splice(0)) client.receive(bytes)
  }
  if (client.session !== undefined && error === undefined) client.send(utf8('ping'))
  for (const bytes of toServer.splice(0)) server.receive(bytes)
  client[Symbol.dispose]()
  server[Symbol.dispose]()
  return { outcomes, received, error, firstFlight }
}

function memory(store: ServerTicketStore = statefulTickets(crypto)): Pick<VisitOptions, 'tickets' | 'store'> {
  const kept = { tickets: clientTickets(), store }
  assert.deepEqual(visit(kept).outcomes, ['no_session_offered', 'no_session_offered'])
  return kept
}

const REQUEST = [utf8('GET / HTTP/1.1'), utf8('\r\n\r\n')]

test('TlsConnection delivers early data as such, before the client has proven itself, and then the rest', () => {
  const { outcomes, received, error } = visit({ ...memory(), early: REQUEST })
  assert.deepEqual(outcomes, ['accepted', 'accepted'])
  assert.deepEqual(received, ['early 14', 'early 4', 'data 4'])
  assert.equal(error, undefined)
})

test('TlsConnection as server skips early data that it does not take, and goes on', () => {
  const rows: readonly [string, Partial<VisitOptions>, EarlyDataOutcome, EarlyDataOutcome][] = [
    ['it was not asked to', { server: { earlyData: undefined } as never }, 'peer_declined', 'disabled'],
    [
      'another protocol',
      { server: { alpn: ['h2'] }, client: { alpn: ['h2'] } },
      'peer_declined',
      'alpn_mismatch',
    ],
    [
      'another suite of the same hash',
      { server: { suites: ['TLS_CHACHA20_POLY1305_SHA256'] } },
      'peer_declined',
      'cipher_suite_mismatch',
    ],
    [
      'another hash',
      { server: { suites: ['TLS_AES_256_GCM_SHA384'] } },
      'session_not_resumed',
      'session_not_resumed',
    ],
    ['clocks apart', { server: { nowMs: () => NOW_MS + 61_000 } }, 'peer_declined', 'ticket_age_skew'],
    [
      'a HelloRetryRequest',
      { client: { groups: ['x25519', 'secp256r1'] }, server: { groups: ['secp256r1'] } },
      'hello_retry_request',
      'hello_retry_request',
    ],
  ]
  for (const [why, options, clientOutcome, serverOutcome] of rows) {
    const { outcomes, received, error } = visit({ ...memory(), early: REQUEST, ...options })
    assert.deepEqual(outcomes, [clientOutcome, serverOutcome], why)
    assert.deepEqual(received, ['data 4'], why)
    assert.equal(error, undefined, why)
  }
})

test('a captured 0-RTT flight sent again is not taken, also not by a replica with the same store', () => {
  const kept = memory()
  const { firstFlight, received } = visit({ ...kept, early: REQUEST })
  assert.equal(received[0], 'early 14')
  for (let replica = 0; replica < 2; replica++) {
    const seen: string[] = []
    const server = TlsConnection.server(
      {
        crypto,
        nowMs: () => NOW_MS,
        clientVerifier: verifierFor(workloads),
        credential: () => workloads.server,
        tickets: { store: kept.store },
        earlyData: { maxBytes: MAX_EARLY_BYTES },
      },
      {
        output: () => undefined,
        established: () => seen.push('established'),
        earlyData: () => seen.push('early'),
        data: () => seen.push('data'),
        peerClosed: () => undefined,
        failed: ({ code }) => seen.push(code),
      },
    )
    server.start()
    server.receive(firstFlight.slice())
    assert.deepEqual(seen, [])
    server[Symbol.dispose]()
  }
})

test('tickets that can be redeemed twice carry no early data', () => {
  const keys = { current: makeTicketKey(crypto) }
  const { outcomes, received } = visit({ ...memory(sealedTickets(crypto, () => keys)), early: REQUEST })
  assert.deepEqual(outcomes, ['unsupported_for_session', 'disabled'])
  assert.deepEqual(received, ['data 4'])
})

test('sendEarly stops at the limit of the ticket', () => {
  const whole = new Uint8Array(MAX_EARLY_BYTES)
  const { received } = visit({ ...memory(), early: [whole, Uint8Array.of(1)] })
  assert.deepEqual(received, [`early ${MAX_EARLY_BYTES}`, 'data 4'])
})

test('TlsConnection as server refuses more early data than it announced', () => {
  const kept = memory()
  const ticket = kept.tickets.take(NOW_MS)!
  const boundless: ClientTicketStore = {
    put: () => undefined,
    take: () => ({ ...ticket, maxEarlyDataBytes: 2 ** 20 }),
  }
  const { error } = visit({
    ...kept,
    tickets: boundless,
    early: [new Uint8Array(MAX_EARLY_BYTES), Uint8Array.of(1)],
  })
  assert.equal(error, 'TLS_EARLY_DATA_LIMIT')
})

test('TlsConnection as server skips only so much of what it declined', () => {
  const kept = memory()
  const ticket = kept.tickets.take(NOW_MS)!
  const boundless: ClientTicketStore = {
    put: () => undefined,
    take: () => ({ ...ticket, maxEarlyDataBytes: 2 ** 20 }),
  }
  const { error } = visit({
    ...kept,
    tickets: boundless,
    early: Array.from({ length: 3 }, () => new Uint8Array(16_384)),
    server: { nowMs: () => NOW_MS + 61_000 },
  })
  assert.equal(error, 'TLS_EARLY_DATA_LIMIT')
})

test('sendEarly sends nothing where early data is not wanted', () => {
  const { outcomes, received } = visit({ ...memory(), early: REQUEST, client: { earlyData: false } })
  assert.deepEqual(outcomes, ['disabled', 'disabled'])
  assert.deepEqual(received, ['data 4'])
})
