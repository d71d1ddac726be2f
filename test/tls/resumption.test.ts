import assert from 'node:assert/strict'
import test from 'node:test'
import { utf8 } from '../../src/bytes/bytes.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { portableCrypto } from '../../src/crypto/portable-provider.ts'
import { TrustBundles } from '../../src/identity/trust-bundle.ts'
import { svidVerifier } from '../../src/identity/svid-verifier.ts'
import { SpiffeId } from '../../src/identity/spiffe-id.ts'
import type { CertificateVerifier } from '../../src/pki/verifier.ts'
import type { ClientOptions, ServerOptions } from '../../src/tls/options.ts'
import { clientTickets } from '../../src/tls/session/client-tickets.ts'
import type { ClientTicketStore, ServerTicketStore } from '../../src/tls/session/resumption.ts'
import { makeTicketKey, sealedTickets } from '../../src/tls/session/sealed-tickets.ts'
import { statefulTickets } from '../../src/tls/session/stateful-tickets.ts'
import { mintTrustDomain } from '../support/certificates.ts'
import { identityAeads } from '../support/identity-aead.ts'
import { TlsPair, type TlsPairOptions } from '../support/tls-pair.ts'
import { CLIENT_ID, mintWorkloads, NOW_MS, SERVER_ID } from '../support/tls-workloads.ts'

const crypto = nativeCrypto()
const workloads = await mintWorkloads()

interface Memory {
  readonly tickets: ClientTicketStore
  readonly store: ServerTicketStore
}

function memory(store: ServerTicketStore = statefulTickets(crypto)): Memory {
  return { tickets: clientTickets(), store }
}

/** Connects, exchanges a word and closes. */
function connect({ tickets, store }: Memory, options: TlsPairOptions = {}): TlsPair {
  const pair = new TlsPair(workloads, {
    ...options,
    client: { tickets, ...options.client },
    server: { tickets: { store }, ...options.server },
  }).run()
  if (pair.client.session === undefined || pair.client.error !== undefined || pair.server.error !== undefined)
    return pair
  pair.client.connection.send(utf8('ping'))
  pair.pump()
  for (const { connection } of pair.ends) connection.close()
  pair.pump()
  return pair
}

function resumed(pair: TlsPair): readonly (boolean | undefined)[] {
  return pair.ends.map(({ session }) => session?.resumed)
}

const both = [true, true]
const neither = [false, false]

for (const [name, store] of [
  ['stateful', () => statefulTickets(crypto)],
  ['sealed', () => sealedTickets(crypto, sharedKeys())],
] as const) {
  test(`TlsConnection resumes with ${name} tickets, and takes over whom the certificates proved`, () => {
    const kept = memory(store())
    assert.deepEqual(resumed(connect(kept)), neither)
    const second = connect(kept)
    assert.deepEqual(resumed(second), both)
    assert.deepEqual(
      second.ends.map(({ session }) => session?.peer?.name),
      [SERVER_ID, CLIENT_ID],
    )
    assert.deepEqual(second.client.keyLog, second.server.keyLog)
    assert.equal(
      second.client.trace.some((event) => event.kind === 'message' && event.type === 'certificate'),
      false,
    )
    assert.deepEqual(resumed(connect(kept)), both, 'a resumed connection hands out tickets in its turn')
  })
}

function sharedKeys(): () => { readonly current: ReturnType<typeof makeTicketKey> } {
  const keys = { current: makeTicketKey(crypto) }
  return () => keys
}

test('TlsConnection resumes between providers, and after a HelloRetryRequest', () => {
  const kept = memory()
  const portable = portableCrypto()
  connect(kept, { client: { crypto: portable } })
  assert.deepEqual(resumed(connect(kept, { client: { crypto: portable } })), both)
  const retried = connect(kept, {
    client: { groups: ['x25519', 'secp256r1'] },
    server: { groups: ['secp256r1'] },
  })
  assert.deepEqual(resumed(retried), both)
  assert.equal(retried.client.session?.group, 'secp256r1')
})

test('TlsConnection resumes under each hash, and makes a full handshake when the hash changes', () => {
  const kept = memory()
  const sha384: Partial<ClientOptions & ServerOptions> = { suites: ['TLS_AES_256_GCM_SHA384'] }
  connect(kept, { server: sha384 })
  assert.deepEqual(resumed(connect(kept, { server: sha384 })), both)
  const changed = connect(kept, { server: { suites: ['TLS_CHACHA20_POLY1305_SHA256'] } })
  assert.deepEqual(resumed(changed), neither)
  assert.equal(changed.client.calls[0], 'established')
})

test('a stateful ticket that is used twice leads to a full handshake', () => {
  const kept = memory()
  connect(kept)
  const ticket = kept.tickets.take(NOW_MS)!
  const twice: ClientTicketStore = {
    put: () => undefined,
    take: () => ({ ...ticket, preSharedKey: ticket.preSharedKey.slice() }),
  }
  let offers = 0
  const once: ClientTicketStore = {
    ...twice,
    take: (nowMs) => (offers++ % 2 === 0 ? twice.take(nowMs) : undefined),
  }
  assert.deepEqual(resumed(connect({ ...kept, tickets: once })), both)
  offers = 0
  assert.deepEqual(resumed(connect({ ...kept, tickets: once })), neither)
})

test('sealedTickets takes tickets of the previous key and of replicas, and refuses others and altered ones', () => {
  const [first, second, third] = [makeTicketKey(crypto), makeTicketKey(crypto), makeTicketKey(crypto)]
  const kept = memory(sealedTickets(crypto, () => ({ current: first })))
  connect(kept)
  const rotated = sealedTickets(crypto, () => ({ current: second, previous: first }))
  assert.deepEqual(resumed(connect({ ...kept, store: rotated })), both)
  assert.deepEqual(
    resumed(connect({ ...kept, store: sealedTickets(crypto, () => ({ current: third })) })),
    neither,
  )

  const store = sealedTickets(crypto, () => ({ current: first }))
  connect({ ...kept, store })
  const { ticket } = kept.tickets.take(NOW_MS)!
  assert.notEqual(store.redeem(ticket, NOW_MS), undefined)
  for (let at = 0; at < ticket.length; at++) {
    const altered = ticket.slice()
    altered[at]! ^= 1
    assert.equal(store.redeem(altered, NOW_MS), undefined)
    assert.equal(store.redeem(ticket.subarray(0, at), NOW_MS), undefined)
  }
})

test('sealedTickets redeems nothing from a ticket that another version sealed under the same keys', () => {
  const unencrypted = identityAeads(crypto)
  const store = sealedTickets(unencrypted, sharedKeys())
  const kept = memory(store)
  connect(kept)
  const { ticket } = kept.tickets.take(NOW_MS)!
  assert.notEqual(store.redeem(ticket, NOW_MS), undefined)
  // Behind the name of the key and the nonce: the layout, the cipher suite and the length of the secret.
  const contents = 28
  for (const at of [contents, contents + 1, contents + 2, contents + 3]) {
    const other = ticket.slice()
    other[at]! ^= 0x80
    assert.equal(store.redeem(other, NOW_MS), undefined, `byte ${at}`)
  }
  assert.equal(store.redeem(new Uint8Array([...ticket, 0]), NOW_MS), undefined, 'a field more')
  for (let length = contents; length < ticket.length; length++)
    assert.equal(store.redeem(ticket.subarray(0, length), NOW_MS), undefined, `${length} bytes`)
})

test('a ticket outlives neither its lifetime nor the certificate of the peer', () => {
  for (const store of [statefulTickets(crypto), sealedTickets(crypto, sharedKeys())]) {
    const kept = memory(store)
    const short = (nowMs: number): TlsPairOptions => ({
      client: { nowMs: () => nowMs },
      server: { nowMs: () => nowMs, tickets: { store, lifetimeSeconds: 60 } },
    })
    connect(kept, short(NOW_MS))
    assert.deepEqual(resumed(connect(kept, short(NOW_MS + 59_000))), both)
    connect(kept, short(NOW_MS))
    assert.deepEqual(resumed(connect(kept, short(NOW_MS + 61_000 + 60_000))), neither)
  }
  const long = { server: { tickets: { store: statefulTickets(crypto), lifetimeSeconds: 10 * 86_400 } } }
  const pair = connect(memory(), long)
  const expiresAtMs = pair.server.session!.peer!.expiresAtMs
  const kept = memory(long.server.tickets.store)
  connect(kept, long)
  const ticket = kept.tickets.take(NOW_MS)!
  assert.ok(ticket.expiresAtMs <= expiresAtMs)
})

test('a server resumes nobody whose trust bundle has gone or whom it no longer expects', async () => {
  const other = await mintTrustDomain('other.example', { nowMs: NOW_MS })
  const gone = svidVerifier({ bundles: () => other.bundles, crypto })
  const stranger = svidVerifier({
    bundles: () => workloads.domain.bundles,
    crypto,
    expected: SpiffeId.parse('spiffe://shop.example/ns/default/sa/other'),
  })
  for (const clientVerifier of [gone, stranger]) {
    const kept = memory()
    connect(kept)
    const pair = connect(kept, { server: { clientVerifier } })
    assert.equal(
      pair.server.error?.code,
      'TLS_CERTIFICATE_REJECTED',
      'the full handshake refuses the certificate',
    )
    assert.equal(pair.server.session, undefined)
  }
})

test('a client offers no ticket to a server whose trust bundle has gone, or whom it no longer expects', () => {
  for (const verifier of [
    svidVerifier({ bundles: () => new TrustBundles([]), crypto }),
    svidVerifier({
      bundles: () => workloads.domain.bundles,
      crypto,
      expected: SpiffeId.parse('spiffe://shop.example/ns/default/sa/other'),
    }),
  ]) {
    const kept = memory()
    connect(kept)
    const pair = connect(kept, { client: { verifier } })
    assert.equal(pair.client.error?.code, 'TLS_CERTIFICATE_REJECTED')
    assert.equal(pair.client.session, undefined)
  }
})

test('a client without a verifier that can judge again, and one for another name, resumes nothing', () => {
  const kept = memory()
  connect(kept)
  const whole = svidVerifier({ bundles: () => workloads.domain.bundles, crypto })
  const verifier: CertificateVerifier = { verify: (chain, context) => whole.verify(chain, context) }
  assert.deepEqual(resumed(connect(kept, { client: { verifier } })), neither)
  connect(kept)
  assert.deepEqual(resumed(connect(kept, { client: { serverName: 'orders.example' } })), neither)
})

test('a server refuses a ticket whose binder does not prove the key', () => {
  const kept = memory()
  connect(kept)
  const ticket = kept.tickets.take(NOW_MS)!
  const thief: ClientTicketStore = {
    put: () => undefined,
    take: () => ({ ...ticket, preSharedKey: new Uint8Array(ticket.preSharedKey.length) }),
  }
  const pair = connect({ ...kept, tickets: thief })
  assert.equal(pair.server.error?.code, 'TLS_BAD_BINDER')
  assert.equal(pair.client.error?.received, 'decrypt_error')
})

test('a server that issues no tickets, and a client that keeps none, go on with full handshakes', () => {
  const kept = memory()
  connect(kept, { server: { tickets: { store: kept.store, count: 0 } } })
  assert.equal(kept.tickets.take(NOW_MS), undefined)
  const silent = new TlsPair(workloads, { server: { tickets: { store: kept.store } } }).run()
  assert.equal(
    silent.server.trace.some((event) => event.kind === 'message' && event.type === 'new_session_ticket'),
    false,
    'a client that offers no psk_key_exchange_modes gets no tickets',
  )
})

test('a client holds as many tickets after a resumption as before: the one that it used is replaced', () => {
  const kept = memory()
  connect(kept)
  for (let connection = 0; connection < 3; connection++) {
    const { client } = connect(kept)
    assert.equal(client.session?.resumed, true)
  }
  assert.notEqual(kept.tickets.take(NOW_MS), undefined)
  assert.notEqual(kept.tickets.take(NOW_MS), undefined)
  assert.equal(kept.tickets.take(NOW_MS), undefined)
})

test('statefulTickets forgets the oldest beyond its capacity', () => {
  const store = statefulTickets(crypto, 2)
  const kept = memory(store)
  connect(kept, { server: { tickets: { store, count: 3 } } })
  const all = [kept.tickets.take(NOW_MS)!, kept.tickets.take(NOW_MS)!, kept.tickets.take(NOW_MS)!]
  assert.deepEqual(
    all.map(({ ticket }) => store.redeem(ticket, NOW_MS) !== undefined),
    [true, true, false],
  )
})
