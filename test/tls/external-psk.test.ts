import assert from 'node:assert/strict'
import { createHash, createHmac } from 'node:crypto'
import test from 'node:test'
import { utf8 } from '../../src/bytes/bytes.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { portableCrypto } from '../../src/crypto/portable-provider.ts'
import { explainHandshake } from '../../src/diagnose/explain.ts'
import { makeEchConfig, encodeEchConfigList } from '../../src/tls/ech/config.ts'
import {
  decodeClientHello,
  encodeClientHello,
  type ClientHello,
} from '../../src/tls/messages/client-hello.ts'
import { Extensions } from '../../src/tls/messages/extensions.ts'
import { asMessage } from '../../src/tls/messages/handshake-message.ts'
import { decodeServerHello, encodeServerHello } from '../../src/tls/messages/server-hello.ts'
import type { ClientOptions, ServerOptions } from '../../src/tls/options.ts'
import { CIPHER_SUITES, ExtensionType, HandshakeType } from '../../src/tls/registry.ts'
import { clientTickets } from '../../src/tls/session/client-tickets.ts'
import { importPsk, type ExternalPsk } from '../../src/tls/session/external-psk.ts'
import { makeTicketKey, sealedTickets } from '../../src/tls/session/sealed-tickets.ts'
import { statefulTickets } from '../../src/tls/session/stateful-tickets.ts'
import { TlsPair, type TlsPairOptions } from '../support/tls-pair.ts'
import { mintWorkloads, SERVER_ID } from '../support/tls-workloads.ts'

const crypto = nativeCrypto()
const workloads = await mintWorkloads()

const FIRST: ExternalPsk = {
  identity: utf8('psk1'),
  context: utf8('context1'),
  key: new Uint8Array(32).fill(1),
  hash: 'sha256',
}
const SECOND: ExternalPsk = { identity: utf8('psk2'), key: new Uint8Array(48).fill(2), hash: 'sha384' }

/** A server that has nothing but keys. */
const KEYS_ONLY = { credential: undefined } as unknown as Partial<ServerOptions>

function pairOf(options: TlsPairOptions = {}): TlsPair {
  return new TlsPair(workloads, {
    ...options,
    client: { externalPsks: [FIRST], ...options.client },
    server: { externalPsks: [FIRST], ...KEYS_ONLY, ...options.server },
  })
}

function errors({ ends }: TlsPair): readonly (string | undefined)[] {
  return ends.map(({ error }) => error?.code)
}

function rests({ ends }: TlsPair, on: ExternalPsk | undefined): void {
  for (const { session, error } of ends) {
    assert.equal(error, undefined)
    assert.notEqual(session, undefined)
    assert.deepEqual(session!.externalPsk, on?.identity)
    assert.equal(session!.peer === undefined, on !== undefined)
  }
}

function messages({ client }: TlsPair): string[] {
  return client.trace.flatMap((event) => (event.kind === 'message' ? [event.type] : []))
}

/** Collects the hellos of a client, changed on their way if wished. */
function hellosInto(hellos: ClientHello[], change: (hello: ClientHello, index: number) => void = () => {}) {
  return (message: Uint8Array): Uint8Array => {
    const { type, body } = asMessage(message)
    if (type !== HandshakeType.client_hello) return message
    const hello = decodeClientHello(body)
    hellos.push(hello)
    change(hello, hellos.length - 1)
    return encodeClientHello(hello)
  }
}

function identities({ extensions }: ClientHello): string[] {
  return (extensions.value('pre_shared_key')?.identities ?? []).map(({ identity }) => identity.toHex())
}

/** RFC 9258 §5.1, written out with node:crypto. */
function imported(psk: ExternalPsk, target: 'sha256' | 'sha384'): { identity: Buffer; key: Buffer } {
  const vector = (bytes: Uint8Array): Buffer =>
    Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes])
  const identity = Buffer.concat([
    vector(psk.identity),
    vector(psk.context ?? new Uint8Array(0)),
    Buffer.from([0x03, 0x04, 0x00, target === 'sha256' ? 1 : 2]),
  ])
  const length = target === 'sha256' ? 32 : 48
  const hashed = createHash(psk.hash).update(identity).digest()
  const label = Buffer.from('tls13 derived psk', 'latin1')
  const info = Buffer.concat([
    Buffer.from([0, length, label.length]),
    label,
    Buffer.from([hashed.length]),
    hashed,
  ])
  const extracted = createHmac(psk.hash, Buffer.alloc(hashed.length)).update(psk.key).digest()
  const blocks: Buffer[] = []
  for (let i = 1; Buffer.concat(blocks).length < length; i++)
    blocks.push(
      createHmac(psk.hash, extracted)
        .update(Buffer.concat([blocks.at(-1) ?? Buffer.alloc(0), info, Buffer.from([i])]))
        .digest(),
    )
  return { identity, key: Buffer.concat(blocks).subarray(0, length) }
}

for (const provider of [crypto, portableCrypto()]) {
  test(`importPsk derives what RFC 9258 says, for every pair of hashes (${provider.name})`, () => {
    for (const psk of [FIRST, SECOND]) {
      for (const target of ['sha256', 'sha384'] as const) {
        const expected = imported(psk, target)
        const { identity, key } = importPsk(provider, psk, target)
        assert.equal(identity.toHex(), expected.identity.toString('hex'))
        assert.equal(key.toHex(), expected.key.toString('hex'))
      }
    }
  })
}

for (const psk of [FIRST, SECOND]) {
  for (const { name: suite } of CIPHER_SUITES) {
    test(`TlsConnection rests on a ${psk.hash} key under ${suite}, and nobody shows a certificate`, () => {
      const hellos: ClientHello[] = []
      const pair = pairOf({
        client: { externalPsks: [psk] },
        server: { externalPsks: [psk], suites: [suite] },
        rewriteClient: hellosInto(hellos),
      }).run()
      rests(pair, psk)
      assert.equal(pair.client.session?.cipherSuite, suite)
      assert.deepEqual(messages(pair), [
        'client_hello',
        'server_hello',
        'encrypted_extensions',
        'finished',
        'finished',
      ])
      assert.deepEqual(
        identities(hellos[0]!),
        (['sha256', 'sha384'] as const).map((target) => imported(psk, target).identity.toString('hex')),
      )
      assert.equal(hellos[0]!.extensions.has(ExtensionType.signature_algorithms), false)
      assert.deepEqual(pair.client.keyLog, pair.server.keyLog)
      pair.client.connection.send(utf8('ping'))
      pair.pump()
      assert.deepEqual(pair.server.received, utf8('ping'))
    })
  }
}

test('explainHandshake names the key that a connection rests on, and claims no name of the peer', () => {
  const pair = pairOf().run()
  for (const [role, { trace }] of [
    ['client', pair.client],
    ['server', pair.server],
  ] as const) {
    const explanation = explainHandshake(trace, role)
    assert.equal(explanation.outcome, 'established')
    assert.match(explanation.stages[2]!.answer!, /^not by name: both hold the pre-shared key "psk1"/)
    assert.match(JSON.stringify(explanation.stages[1]), /mix the pre-shared key \\"psk1\\"/)
  }
})

test('a client offers, after a HelloRetryRequest, the keys under its hash only, bound anew', () => {
  for (const { name: suite, hash } of CIPHER_SUITES) {
    const hellos: ClientHello[] = []
    const pair = pairOf({
      client: { externalPsks: [FIRST, SECOND], groups: ['x25519', 'secp256r1'] },
      server: { externalPsks: [SECOND], groups: ['secp256r1'], suites: [suite] },
      rewriteClient: hellosInto(hellos),
    }).run()
    rests(pair, SECOND)
    assert.equal(hellos.length, 2)
    assert.equal(identities(hellos[0]!).length, 4)
    assert.deepEqual(
      identities(hellos[1]!),
      [FIRST, SECOND].map((psk) => imported(psk, hash).identity.toString('hex')),
    )
    const binders = hellos.flatMap(({ extensions }) =>
      extensions.value('pre_shared_key')!.binders.map((binder) => binder.toHex()),
    )
    assert.equal(new Set(binders).size, binders.length)
  }
})

test('a server refuses a second ClientHello that leaves out its key, or all of them', () => {
  for (const [code, change] of [
    [
      'TLS_ILLEGAL_PARAMETER',
      ({ extensions }: ClientHello) => {
        const { identities: all, binders } = extensions.value('pre_shared_key')!
        extensions.add('pre_shared_key', { identities: all.slice(1), binders: binders.slice(1) })
      },
    ],
    [
      'TLS_MISSING_EXTENSION',
      ({ extensions }: ClientHello) => void extensions.remove(ExtensionType.pre_shared_key),
    ],
  ] as const) {
    const pair = pairOf({
      client: { externalPsks: [FIRST, SECOND], groups: ['x25519', 'secp256r1'] },
      server: { groups: ['secp256r1'] },
      rewriteClient: hellosInto([], (hello, index) => {
        if (index === 1) change(hello)
      }),
    }).run()
    assert.equal(pair.server.error?.code, code)
  }
})

test('a server answers a key that is not the same with decrypt_error', () => {
  for (const wrong of [
    { ...FIRST, key: new Uint8Array(32) },
    { ...FIRST, hash: 'sha384' },
  ] satisfies ExternalPsk[]) {
    const pair = pairOf({ client: { externalPsks: [wrong] } }).run()
    assert.deepEqual(errors(pair), ['TLS_PEER_ALERT', 'TLS_BAD_BINDER'])
    assert.equal(pair.client.error?.received, 'decrypt_error')
  }
})

test('a server takes no key whose identity or context differs, whatever the key is', () => {
  const { context: _, ...bare } = FIRST
  for (const wrong of [{ ...FIRST, context: utf8('context2') }, { ...FIRST, identity: utf8('psk') }, bare]) {
    const pair = pairOf({ client: { externalPsks: [wrong] } }).run()
    assert.deepEqual(errors(pair), ['TLS_PEER_ALERT', 'TLS_NO_COMMON_PSK'])
    assert.equal(pair.client.error?.received, 'handshake_failure')
  }
})

test('a server takes no key without a key agreement', () => {
  const rewriteClient = hellosInto([], ({ extensions }) => {
    const psks = extensions.value('pre_shared_key')!
    extensions.remove(ExtensionType.pre_shared_key)
    extensions.add('psk_key_exchange_modes', [0]).add('pre_shared_key', psks)
  })
  const pair = pairOf({ rewriteClient }).run()
  assert.equal(pair.server.error?.code, 'TLS_NO_COMMON_PSK')
  assert.match(pair.server.error.message, /psk_dhe_ke/)
})

test("the server's order decides between several keys", () => {
  for (const server of [
    [FIRST, SECOND],
    [SECOND, FIRST],
  ]) {
    const pair = pairOf({
      client: { externalPsks: [FIRST, SECOND] },
      server: { externalPsks: server },
    }).run()
    rests(pair, server[0])
  }
})

test('a server goes on by certificate where client and server allow it, and only there', () => {
  const credential = workloads.server
  const either: Partial<ClientOptions> = { externalPsks: [FIRST], orCertificate: true }
  const fallback = pairOf({ client: either, server: { credential, externalPsks: [SECOND] } }).run()
  rests(fallback, undefined)
  assert.equal(fallback.client.session?.peer?.name, SERVER_ID)
  rests(pairOf({ client: either, server: { credential } }).run(), FIRST)

  const strict = pairOf({ server: { credential, externalPsks: [SECOND] } }).run()
  assert.equal(strict.server.error?.code, 'TLS_NO_COMMON_PSK')
  const without = new TlsPair(workloads, { client: { externalPsks: [FIRST] } }).run()
  assert.equal(without.server.error?.code, 'TLS_MISSING_EXTENSION')
  const stranger = new TlsPair(workloads, { server: { ...KEYS_ONLY, externalPsks: [FIRST] } }).run()
  assert.deepEqual(errors(stranger), ['TLS_PEER_ALERT', 'TLS_NO_COMMON_PSK'])
})

test('a client with keys only refuses a server that takes none of them', () => {
  const rewriteServer = (message: Uint8Array): Uint8Array => {
    const { type, body } = asMessage(message)
    if (type !== HandshakeType.server_hello) return message
    const hello = decodeServerHello(body)
    if (hello.kind !== 'server_hello') return message
    const extensions = Extensions.from(hello.extensions).remove(ExtensionType.pre_shared_key)
    return encodeServerHello({ ...hello, extensions })
  }
  const pair = pairOf({ rewriteServer }).run()
  assert.equal(pair.client.error?.code, 'TLS_MISSING_EXTENSION')
  assert.match(pair.client.error.message, /must take one of ours/)
  assert.equal(pair.client.session, undefined)
})

test('a client refuses a key that it did not offer', () => {
  const rewriteServer = (message: Uint8Array): Uint8Array => {
    const { type, body } = asMessage(message)
    if (type !== HandshakeType.server_hello) return message
    const hello = decodeServerHello(body)
    if (hello.kind === 'server_hello') hello.extensions.add('pre_shared_key', 2)
    return encodeServerHello(hello)
  }
  const pair = pairOf({ rewriteServer }).run()
  assert.equal(pair.client.error?.code, 'TLS_ILLEGAL_PARAMETER')
  assert.match(pair.client.error.message, /pre-shared key 2, expected 0 to 1/)
})

for (const [name, makeStore] of [
  ['stateful', () => statefulTickets(crypto)],
  [
    'sealed',
    () => {
      const current = makeTicketKey(crypto)
      return sealedTickets(crypto, () => ({ current }))
    },
  ],
] as const) {
  test(`TlsConnection resumes with ${name} tickets a connection that rests on a key, while both have it`, () => {
    const tickets = clientTickets()
    const store = makeStore()
    const connect = (options: TlsPairOptions = {}): TlsPair =>
      pairOf({
        client: { tickets, ...options.client },
        server: { tickets: { store }, ...options.server },
      }).run()
    const resumed = ({ ends }: TlsPair): unknown => ends.map(({ session }) => session?.resumed)
    const first = connect()
    rests(first, FIRST)
    assert.deepEqual(resumed(first), [false, false])
    for (let i = 0; i < 2; i++) {
      const again = connect()
      rests(again, FIRST)
      assert.deepEqual(resumed(again), [true, true])
    }
    const both = { externalPsks: [SECOND] }
    const gone = connect({ client: { externalPsks: [FIRST, SECOND] }, server: both })
    rests(gone, SECOND)
    assert.deepEqual(resumed(gone), [false, false], 'the server no longer has the key')

    const hellos: ClientHello[] = []
    const dropped = pairOf({
      client: { tickets: drained(FIRST), externalPsks: [SECOND] },
      server: { tickets: { store }, externalPsks: [SECOND] },
      rewriteClient: hellosInto(hellos),
    }).run()
    rests(dropped, SECOND)
    assert.equal(identities(hellos[0]!).length, 2, 'the client no longer has the key')

    /** Tickets of a connection by `psk`, and no others. */
    function drained(psk: ExternalPsk): ReturnType<typeof clientTickets> {
      const own = clientTickets()
      const options = { externalPsks: [psk] }
      rests(
        pairOf({ client: { tickets: own, ...options }, server: { tickets: { store }, ...options } }).run(),
        psk,
      )
      return own
    }
  })
}

test('a client that insists on a key does not resume what rests on a certificate', () => {
  const [tickets, store] = [clientTickets(), statefulTickets(crypto)]
  new TlsPair(workloads, { client: { tickets }, server: { tickets: { store } } }).run()
  const pair = pairOf({ client: { tickets }, server: { tickets: { store } } }).run()
  rests(pair, FIRST)
  assert.equal(pair.client.session?.resumed, false)
})

test('no early data goes with a key: not in its first flight, and not in place of a ticket', () => {
  const [tickets, store] = [clientTickets(), statefulTickets(crypto)]
  const options = (taken = store): TlsPairOptions => ({
    client: { tickets, earlyData: true },
    server: { tickets: { store: taken }, earlyData: { maxBytes: 1000 } },
  })
  const outcomes = ({ ends }: TlsPair): unknown => ends.map(({ session }) => session?.earlyData)
  const early = (pair: TlsPair): number => {
    pair.start()
    const sent = pair.client.connection.sendEarly(utf8('early'))
    pair.pump()
    return sent
  }
  const first = pairOf(options())
  assert.equal(early(first), 0)
  rests(first, FIRST)
  assert.deepEqual(outcomes(first), ['no_session_offered', 'session_not_resumed'])
  const resumed = pairOf(options())
  assert.equal(early(resumed), 5)
  assert.deepEqual(outcomes(resumed), ['accepted', 'accepted'])
  const declined = pairOf(options(statefulTickets(crypto)))
  assert.equal(early(declined), 5)
  rests(declined, FIRST)
  assert.deepEqual(outcomes(declined), ['session_not_resumed', 'session_not_resumed'])
})

test('a key goes inside an encrypted ClientHello, and random bytes in its place outside', () => {
  const key = makeEchConfig(crypto, { publicName: 'public.example' })
  const configs = encodeEchConfigList([key.config])
  const hellos: ClientHello[] = []
  const offer = { serverName: 'orders.example', ech: { configs } }
  const pair = pairOf({
    client: offer,
    server: { ech: { keys: [key] } },
    rewriteClient: hellosInto(hellos),
  }).run()
  rests(pair, FIRST)
  assert.equal(pair.server.session?.echAccepted, true)
  const [outer] = identities(hellos[0]!)
  const inner = imported(FIRST, 'sha256').identity.toString('hex')
  assert.equal(outer!.length, inner.length)
  assert.notEqual(outer, inner)
})

test('a client with keys only refuses a certificate also where ECH made it ask for one', () => {
  const key = makeEchConfig(crypto, { publicName: 'public.example' })
  const configs = encodeEchConfigList([key.config])
  const pair = new TlsPair(workloads, {
    client: { externalPsks: [FIRST], serverName: 'orders.example', ech: { configs } },
    server: { ech: { keys: [key] } },
  }).run()
  assert.equal(pair.client.error?.code, 'TLS_MISSING_EXTENSION')
  assert.equal(pair.client.session, undefined)
})

test('TlsConnection refuses keys that cannot be used, and a server with neither keys nor credential', () => {
  for (const externalPsks of [
    [],
    [{ ...FIRST, identity: new Uint8Array(0) }],
    [{ ...FIRST, identity: new Uint8Array(4097) }],
    [{ ...FIRST, context: new Uint8Array(4097) }],
    [{ ...FIRST, key: new Uint8Array(0) }],
    [FIRST, { ...FIRST, key: SECOND.key }],
  ]) {
    for (const pair of [pairOf({ client: { externalPsks } }), pairOf({ server: { externalPsks } })])
      assert.throws(() => pair.run(), { code: 'TLS_BAD_OPTIONS' })
  }
  const nothing = new TlsPair(workloads, { server: KEYS_ONLY })
  assert.throws(() => nothing.run(), { code: 'TLS_BAD_OPTIONS' })
})

test('preferCertificate shows a certificate to clients that read it, and keeps keys for those that do not', () => {
  const both = { externalPsks: [FIRST], orCertificate: true }
  const server = { credential: workloads.server, preferCertificate: true }
  rests(pairOf({ client: both, server }).run(), undefined)
  rests(pairOf({ client: both, server: { credential: workloads.server } }).run(), FIRST)
  rests(pairOf({ server }).run(), FIRST)
  // Nothing that the client could verify.
  const picky = { ...both, signatureSchemes: ['ed25519'] } as const
  rests(pairOf({ client: picky, server }).run(), FIRST)
  const stranger = { ...picky, externalPsks: [SECOND] }
  assert.deepEqual(errors(pairOf({ client: stranger, server }).run()), [
    'TLS_PEER_ALERT',
    'TLS_NO_COMMON_SIGNATURE_SCHEME',
  ])
  // A ticket is neither, and comes first.
  const [tickets, store] = [clientTickets(), statefulTickets(crypto)]
  for (const resumed of [false, true]) {
    const pair = pairOf({ client: { ...both, tickets }, server: { ...server, tickets: { store } } }).run()
    assert.equal(pair.server.session!.resumed, resumed)
    rests(pair, undefined)
  }
})

test('a look-up of keys is asked for what clients offer, and its keys must match in full', () => {
  const asked: string[] = []
  const lookUp =
    (...found: readonly ExternalPsk[]) =>
    (identity: Uint8Array): readonly ExternalPsk[] => {
      asked.push(String(Buffer.from(identity)))
      return found.filter((psk) => String(psk.identity) === String(identity))
    }
  rests(
    pairOf({ server: { externalPsks: lookUp(SECOND, { ...FIRST, context: utf8('other') }, FIRST) } }).run(),
    FIRST,
  )
  assert.deepEqual(asked.splice(0), ['psk1'])
  const strange = pairOf({ server: { externalPsks: lookUp({ ...FIRST, context: utf8('other') }) } }).run()
  assert.deepEqual(errors(strange), ['TLS_PEER_ALERT', 'TLS_NO_COMMON_PSK'])
  assert.deepEqual(asked.splice(0), ['psk1'])
  const many = Array.from({ length: 9 }, (_, i) => ({ ...FIRST, identity: utf8(`psk ${i}`) }))
  pairOf({ client: { externalPsks: many }, server: { externalPsks: lookUp() } }).run()
  // Five identities, which are two keys under two hashes, and a third one.
  assert.deepEqual(asked, ['psk 0', 'psk 1', 'psk 2'])
})

test('a ticket dies with the key of its first connection, also when another takes its identity', () => {
  const current = makeTicketKey(crypto)
  const renewed = { ...FIRST, key: new Uint8Array(32).fill(9) }
  const elsewhere = { ...FIRST, context: utf8('elsewhere') }
  const cases: readonly [Partial<ClientOptions>, Partial<ServerOptions>, boolean][] = [
    [{}, {}, true],
    // Each side notices for itself.
    [{ externalPsks: [renewed] }, { externalPsks: [renewed] }, false],
    [{ externalPsks: [FIRST, elsewhere] }, { externalPsks: [elsewhere] }, false],
    [{}, { externalPsks: () => [renewed, FIRST] }, true],
  ]
  for (const [client, server, resumed] of cases) {
    const tickets = clientTickets()
    const store = sealedTickets(crypto, () => ({ current }))
    const common = { client: { tickets }, server: { tickets: { store } } }
    rests(pairOf(common).run(), FIRST)
    const pair = pairOf({
      client: { ...common.client, ...client },
      server: { ...common.server, ...server },
    }).run()
    assert.deepEqual(errors(pair), [undefined, undefined])
    assert.deepEqual([pair.client.session!.resumed, pair.server.session!.resumed], [resumed, resumed])
    if (!resumed) continue
    // A ticket of a resumed connection remembers the same key.
    const again = pairOf(common).run()
    assert.equal(again.server.session!.resumed, true)
    rests(again, FIRST)
  }
})
