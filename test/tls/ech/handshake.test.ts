import assert from 'node:assert/strict'
import test from 'node:test'
import { utf8 } from '../../../src/bytes/bytes.ts'
import { HpkeKem } from '../../../src/crypto/hpke.ts'
import { nativeCrypto } from '../../../src/crypto/native-provider.ts'
import { portableCrypto } from '../../../src/crypto/portable-provider.ts'
import { explainHandshake } from '../../../src/diagnose/explain.ts'
import { TrustBundles } from '../../../src/identity/trust-bundle.ts'
import type { CertificateVerifier, VerificationContext } from '../../../src/pki/verifier.ts'
import {
  decodeEchConfigList,
  encodeEchConfigList,
  makeEchConfig,
  type EchKey,
} from '../../../src/tls/ech/config.ts'
import {
  decodeClientHello,
  encodeClientHello,
  type ClientHello,
} from '../../../src/tls/messages/client-hello.ts'
import { TlsError } from '../../../src/tls/errors.ts'
import { Extensions } from '../../../src/tls/messages/extensions.ts'
import { asMessage } from '../../../src/tls/messages/handshake-message.ts'
import { decodeServerHello, encodeServerHello } from '../../../src/tls/messages/server-hello.ts'
import type { ClientEch } from '../../../src/tls/options.ts'
import { ExtensionType, HandshakeType } from '../../../src/tls/registry.ts'
import { clientTickets } from '../../../src/tls/session/client-tickets.ts'
import { statefulTickets } from '../../../src/tls/session/stateful-tickets.ts'
import { TlsPair, type TlsEnd, type TlsPairOptions } from '../../support/tls-pair.ts'
import { mintWorkloads, verifierFor } from '../../support/tls-workloads.ts'

const crypto = nativeCrypto()
const workloads = await mintWorkloads()
const SECRET = 'ledger.internal.example'
const PUBLIC = 'edge.example'

const current = makeEchConfig(crypto, { publicName: PUBLIC, configId: 1, maximumNameLength: 32 })
const other = makeEchConfig(crypto, { publicName: PUBLIC, configId: 2 })

function listOf(...keys: readonly EchKey[]): Uint8Array {
  return encodeEchConfigList(keys.map(({ config }) => config))
}

interface Setting extends TlsPairOptions {
  readonly ech?: ClientEch
  readonly keys?: readonly EchKey[]
}

/** A pair that offers ECH under `current` to a server that has that key, unless told otherwise. */
function pairOf({ ech = { configs: listOf(current) }, keys = [current], ...options }: Setting = {}): TlsPair {
  return new TlsPair(workloads, {
    ...options,
    client: { serverName: SECRET, ech, ...options.client },
    server: { ech: { keys }, ...options.server },
  })
}

function accepted(pair: TlsPair): readonly (boolean | undefined)[] {
  return pair.ends.map(({ session }) => session?.echAccepted)
}

function failures(pair: TlsPair): readonly (string | undefined)[] {
  return pair.ends.map(({ error }) => error?.code)
}

function echOutcomes({ trace }: TlsEnd): readonly string[] {
  return trace.filter((event) => event.kind === 'ech').map(({ outcome }) => outcome)
}

/** Runs a pair and yields what went over the wire both ways. */
function overheard(pair: TlsPair): Buffer {
  const wire: Uint8Array[] = []
  pair.run((_from, bytes) => {
    wire.push(bytes.slice())
    return [bytes]
  })
  return Buffer.concat(wire)
}

/** Only x25519 from the client, only secp256r1 at the server at first: one round trip more. */
const RETRYING = {
  client: { groups: ['x25519', 'secp256r1'] },
  server: { groups: ['secp256r1'] },
} as const satisfies TlsPairOptions

for (const kem of [HpkeKem.x25519, HpkeKem.p256]) {
  for (const provider of [crypto, portableCrypto()]) {
    test(`TlsConnection hides the server name behind the public one (KEM ${kem}, ${provider.name})`, () => {
      const key = makeEchConfig(provider, { publicName: PUBLIC, kem })
      const pair = pairOf({ crypto: provider, ech: { configs: listOf(key) }, keys: [key] })
      const wire = overheard(pair)
      assert.deepEqual(failures(pair), [undefined, undefined])
      assert.deepEqual(accepted(pair), [true, true])
      assert.deepEqual(
        pair.ends.map(({ session }) => session?.serverName),
        [SECRET, SECRET],
      )
      assert.equal(wire.includes(SECRET), false)
      assert.equal(wire.includes(PUBLIC), true)
      assert.deepEqual(echOutcomes(pair.client), ['offered', 'accepted'])
      assert.deepEqual(echOutcomes(pair.server), ['accepted'])
      assert.deepEqual(pair.client.keyLog, pair.server.keyLog)
      pair.client.connection.send(utf8('ping'))
      pair.pump()
      assert.deepEqual(pair.server.received, utf8('ping'))
    })
  }
}

test('TlsConnection goes on with encrypted hellos after a HelloRetryRequest', () => {
  const pair = pairOf(RETRYING)
  const wire = overheard(pair)
  assert.deepEqual(failures(pair), [undefined, undefined])
  assert.deepEqual(accepted(pair), [true, true])
  assert.equal(wire.includes(SECRET), false)
  assert.equal(pair.client.trace.filter(({ kind }) => kind === 'inner_hello').length, 2)
  assert.equal(pair.server.trace.filter(({ kind }) => kind === 'inner_hello').length, 2)
  assert.equal(pair.server.session?.group, 'secp256r1')
})

test('TlsConnection goes on with encrypted hellos after a HelloRetryRequest with a cookie', () => {
  const cookieKey = new Uint8Array(32).fill(3)
  const pair = pairOf({
    ...RETRYING,
    server: { ...RETRYING.server, cookieKey, ech: { keys: [current] } },
  }).run()
  assert.deepEqual(failures(pair), [undefined, undefined])
  assert.deepEqual(accepted(pair), [true, true])
})

test('TlsConnection tries each key that has the id of the config', () => {
  const twin = makeEchConfig(crypto, { publicName: PUBLIC, configId: 1 })
  assert.deepEqual(accepted(pairOf({ keys: [twin, other, current] }).run()), [true, true])
})

test('TlsConnection.server answers as the public name where the name inside is not to be served', () => {
  const asked: (string | undefined)[] = []
  const accepts = (serverName: string | undefined): boolean => asked.push(serverName) === 0
  const pair = pairOf({ server: { ech: { keys: [current], accepts }, allowAnonymousClient: true } }).run()
  assert.deepEqual(asked, [SECRET])
  assert.deepEqual(failures(pair), ['TLS_ECH_REJECTED', 'TLS_PEER_ALERT'])
  assert.equal(pair.client.error?.retryConfigs, undefined)
  assert.equal(pair.server.session?.serverName, PUBLIC)
})

test('TlsConnection asks for no server inside when the client names none', () => {
  const pair = new TlsPair(workloads, {
    client: { ech: { configs: listOf(current) } },
    server: { ech: { keys: [current] } },
  }).run()
  assert.deepEqual(accepted(pair), [true, true])
  assert.equal(pair.server.session?.serverName, undefined)
})

test('TlsConnection resumes inside only: what is seen of tickets outside is random', () => {
  const tickets = clientTickets()
  const store = statefulTickets(crypto)
  const options = { client: { tickets }, server: { tickets: { store } } }
  const first = pairOf(options).run()
  assert.equal(first.client.session?.resumed, false)
  const outer: ClientHello[] = []
  const second = pairOf({
    ...options,
    rewriteClient(message) {
      if (message[0] === HandshakeType.client_hello) outer.push(decodeClientHello(asMessage(message).body))
      return message
    },
  }).run()
  assert.deepEqual(failures(second), [undefined, undefined])
  assert.deepEqual(accepted(second), [true, true])
  assert.deepEqual(
    second.ends.map(({ session }) => session?.resumed),
    [true, true],
  )
  const { extensions } = outer[0]!
  assert.equal(extensions.types.at(-1), ExtensionType.pre_shared_key)
  const { identities } = extensions.value('pre_shared_key')!
  assert.equal(identities.length, 1)
  assert.equal(store.redeem(identities[0]!.identity, 0), undefined)
})

for (const [name, options] of [
  ['', {}],
  [' after a HelloRetryRequest', RETRYING],
] as const) {
  test(`TlsConnection ends in TLS_ECH_REJECTED with configs that the next attempt is accepted with${name}`, () => {
    const seen: VerificationContext[] = []
    const inner = verifierFor(workloads)
    const verifier: CertificateVerifier = {
      verify(chain, context) {
        seen.push(context)
        return inner.verify(chain, context)
      },
    }
    const rejected = pairOf({
      ...options,
      client: {
        serverName: SECRET,
        ech: { configs: listOf(other), publicNameVerifier: verifier },
        ...options.client,
      },
      server: { ech: { keys: [current] }, allowAnonymousClient: true, ...options.server },
    })
    const wire = overheard(rejected)
    assert.deepEqual(failures(rejected), ['TLS_ECH_REJECTED', 'TLS_PEER_ALERT'])
    assert.equal(rejected.client.error?.alert, 'ech_required')
    assert.equal(rejected.server.error?.received, 'ech_required')
    assert.equal(rejected.client.session, undefined)
    assert.equal(rejected.server.session?.echAccepted, false)
    assert.equal(rejected.server.session?.serverName, PUBLIC)
    assert.equal(rejected.server.session?.peer, undefined, 'the client shows no certificate')
    assert.deepEqual(
      seen.map(({ serverName }) => serverName),
      [PUBLIC],
    )
    assert.equal(wire.includes(SECRET), false)
    assert.deepEqual(echOutcomes(rejected.client), ['offered', 'rejected'])
    assert.deepEqual(echOutcomes(rejected.server), ['rejected'])

    const configs = rejected.client.error.retryConfigs!
    assert.deepEqual(configs, listOf(current))
    assert.deepEqual(accepted(pairOf({ ...options, ech: { configs } }).run()), [true, true])
  })
}

test('TlsConnection has no configs to try again with from a server that speaks no ECH', () => {
  const pair = new TlsPair(workloads, {
    client: { serverName: SECRET, ech: { configs: listOf(current) } },
    server: { allowAnonymousClient: true },
  }).run()
  assert.deepEqual(failures(pair), ['TLS_ECH_REJECTED', 'TLS_PEER_ALERT'])
  assert.equal(pair.client.error?.retryConfigs, undefined)
})

test('TlsConnection believes no rejection of a server that cannot prove the public name', () => {
  const stranger = verifierFor({ domain: { ...workloads.domain, bundles: new TrustBundles([]) } })
  const pair = pairOf({
    ech: { configs: listOf(other), publicNameVerifier: stranger },
    server: { ech: { keys: [current] }, allowAnonymousClient: true },
  }).run()
  assert.equal(pair.client.error?.code, 'TLS_CERTIFICATE_REJECTED')
  assert.equal(pair.client.error?.retryConfigs, undefined)
})

test('TlsConnection drops early data of a hello that is rejected, and takes that of one that is not', () => {
  const tickets = clientTickets()
  const store = statefulTickets(crypto)
  const options = {
    client: { serverName: SECRET, tickets, earlyData: true, ech: { configs: listOf(current) } },
    server: { tickets: { store }, earlyData: { maxBytes: 1000 }, allowAnonymousClient: true },
  }
  pairOf(options).run()

  const taken = pairOf({ ...options, server: { ...options.server, ech: { keys: [current] } } }).start()
  assert.equal(taken.client.connection.sendEarly(utf8('early')), 5)
  taken.pump()
  assert.deepEqual(failures(taken), [undefined, undefined])
  assert.equal(taken.server.session?.earlyData, 'accepted')
  assert.equal(taken.client.session?.earlyData, 'accepted')

  const dropped = pairOf({ ...options, server: { ...options.server, ech: { keys: [other] } } }).start()
  assert.equal(dropped.client.connection.sendEarly(utf8('early')), 5)
  dropped.pump()
  assert.deepEqual(failures(dropped), ['TLS_ECH_REJECTED', 'TLS_PEER_ALERT'])
  assert.equal(dropped.client.error?.alert, 'ech_required')
})

for (const [name, options] of [
  ['', {}],
  [' after a HelloRetryRequest', RETRYING],
] as const) {
  test(`TlsConnection pretends to encrypt where it cannot, and goes on in the clear${name}`, () => {
    for (const keys of [[], [current]]) {
      const pair = pairOf({ ...options, ech: { grease: true }, keys })
      const wire = overheard(pair)
      assert.deepEqual(failures(pair), [undefined, undefined])
      assert.deepEqual(accepted(pair), [false, false])
      assert.deepEqual(echOutcomes(pair.client), ['greased'])
      assert.equal(wire.includes(SECRET), true)
    }
  })
}

test('TlsConnection pretends with as many bytes as the real thing has', () => {
  const lengthOf = (ech: ClientEch): number => {
    let length = 0
    pairOf({
      ech,
      client: { serverName: PUBLIC, ech },
      rewriteClient(message) {
        length ||= message.length
        return message
      },
    }).run()
    return length
  }
  const silent = makeEchConfig(crypto, { publicName: PUBLIC })
  assert.equal(lengthOf({ grease: true }), lengthOf({ configs: listOf(silent) }))
})

function isBadOptions(error: unknown): boolean {
  return error instanceof TlsError && error.code === 'TLS_BAD_OPTIONS'
}

test('TlsConnection.client refuses to name the server in the clear when no config can be used', () => {
  for (const configs of [new Uint8Array(0), Uint8Array.of(0, 6, 0xba, 0xdd, 0, 2, 1, 2)]) {
    assert.throws(() => pairOf({ ech: { configs } }).run(), isBadOptions)
    const cleartext = pairOf({ ech: { configs, required: false } }).run()
    assert.deepEqual(accepted(cleartext), [false, false])
  }
  const cut = listOf(current).subarray(0, -1)
  assert.throws(() => pairOf({ ech: { configs: cut } }).run(), isBadOptions)
})

/** Changes the n-th ClientHello that goes out. */
function rewritingHello(
  n: number,
  change: (hello: ClientHello) => Extensions<'client_hello'>,
): Pick<TlsPairOptions, 'rewriteClient'> {
  let count = 0
  return {
    rewriteClient(message) {
      if (message[0] !== HandshakeType.client_hello || ++count !== n) return message
      const hello = decodeClientHello(asMessage(message).body)
      return encodeClientHello({ ...hello, extensions: change(hello) })
    },
  }
}

function outerExtension({
  extensions,
}: ClientHello): Extract<
  NonNullable<ReturnType<typeof extensions.value<'encrypted_client_hello'>>>,
  { kind: 'outer' }
> {
  const extension = extensions.value('encrypted_client_hello')
  assert.ok(extension?.kind === 'outer')
  return extension
}

test('TlsConnection.server takes any change of the outer hello for a hello that it cannot read', () => {
  const changes: ((hello: ClientHello) => Extensions<'client_hello'>)[] = [
    (hello) => {
      const extension = outerExtension(hello)
      const payload = extension.payload.with(0, extension.payload[0]! ^ 1)
      return Extensions.from(hello.extensions).add('encrypted_client_hello', { ...extension, payload })
    },
    (hello) => {
      const extension = { ...outerExtension(hello), enc: new Uint8Array(3) }
      return Extensions.from(hello.extensions).add('encrypted_client_hello', extension)
    },
    (hello) => {
      const extension = { ...outerExtension(hello), aead: 0x7777 }
      return Extensions.from(hello.extensions).add('encrypted_client_hello', extension)
    },
    (hello) => Extensions.from(hello.extensions).addUnknown(0x7777, Uint8Array.of(1)),
  ]
  for (const change of changes) {
    const pair = pairOf({
      ...rewritingHello(1, change),
      server: { allowAnonymousClient: true, ech: { keys: [current] } },
    }).run()
    assert.deepEqual(failures(pair), ['TLS_ECH_REJECTED', 'TLS_PEER_ALERT'])
  }
})

for (const [what, change, code, alert] of [
  [
    'not encrypted',
    (hello: ClientHello) => Extensions.from(hello.extensions).remove(ExtensionType.encrypted_client_hello),
    'TLS_MISSING_EXTENSION',
    'missing_extension',
  ],
  [
    'under another config',
    (hello: ClientHello) =>
      Extensions.from(hello.extensions).add('encrypted_client_hello', {
        ...outerExtension(hello),
        configId: 9,
      }),
    'TLS_ILLEGAL_PARAMETER',
    'illegal_parameter',
  ],
  [
    'under another encapsulated key',
    (hello: ClientHello) =>
      Extensions.from(hello.extensions).add('encrypted_client_hello', {
        ...outerExtension(hello),
        enc: current.config.publicKey,
      }),
    'TLS_ILLEGAL_PARAMETER',
    'illegal_parameter',
  ],
  [
    'altered',
    (hello: ClientHello) => Extensions.from(hello.extensions).addUnknown(0x7777, Uint8Array.of(1)),
    'TLS_ECH_UNREADABLE',
    'decrypt_error',
  ],
] as const) {
  test(`TlsConnection.server refuses a second hello that is ${what}`, () => {
    const pair = pairOf({ ...RETRYING, ...rewritingHello(2, change) }).run()
    assert.equal(pair.server.error?.code, code)
    assert.equal(pair.server.error?.alert, alert)
  })
}

/** The headers of a record and a handshake message. */
const HEADERS_BYTES = 9

test('TlsConnection accepts no encrypted hello of which any byte was altered on the wire', () => {
  const options = { client: { groups: ['x25519'] }, server: { groups: ['x25519'] } } as const
  let length = HEADERS_BYTES + 1
  for (let place = HEADERS_BYTES; place < length; place += 5) {
    let altered = false
    using pair = pairOf({
      client: { serverName: SECRET, ech: { configs: listOf(current) }, ...options.client },
      server: { ech: { keys: [current] }, allowAnonymousClient: true, ...options.server },
    })
    pair.run((from, bytes) => {
      if (from === 'server' || altered) return [bytes]
      altered = true
      length = bytes.length
      bytes[place]! ^= 1
      return [bytes]
    })
    assert.equal(pair.client.session, undefined, `byte ${place}`)
    assert.equal(pair.client.error?.retryConfigs, undefined, `byte ${place}`)
    assert.equal(failures(pair).includes('TLS_INTERNAL'), false, `byte ${place}`)
    assert.notEqual(pair.server.session?.echAccepted, true, `byte ${place}`)
  }
  assert.ok(length > 300, `the hello has ${length} bytes`)
})

test('TlsConnection.server with keys refuses a hello that is meant for the inside', () => {
  const pair = pairOf({
    ech: { grease: true },
    ...rewritingHello(1, ({ extensions }) =>
      Extensions.from(extensions).add('encrypted_client_hello', { kind: 'inner' }),
    ),
  }).run()
  assert.equal(pair.server.error?.code, 'TLS_ILLEGAL_PARAMETER')
})

test('TlsConnection.client refuses a server that accepts in HelloRetryRequest only', () => {
  const pair = pairOf({
    ...RETRYING,
    rewriteServer(message) {
      if (message[0] !== HandshakeType.server_hello) return message
      const hello = decodeServerHello(asMessage(message).body)
      if (hello.kind === 'hello_retry_request') return message
      return encodeServerHello({ ...hello, random: hello.random.with(31, hello.random[31]! ^ 1) })
    },
  }).run()
  assert.equal(pair.client.error?.code, 'TLS_ILLEGAL_PARAMETER')
})

test('TlsConnection.client takes a lost confirmation for a rejection, and Finished shows that it was none', () => {
  const pair = pairOf({
    rewriteServer(message) {
      if (message[0] !== HandshakeType.server_hello) return message
      const hello = decodeServerHello(asMessage(message).body)
      return encodeServerHello({
        ...hello,
        random: hello.random.with(31, hello.random[31]! ^ 1),
      })
    },
  }).run()
  assert.equal(pair.client.error?.code, 'TLS_BAD_RECORD_MAC')
  assert.equal(pair.client.session, undefined)
})

test('TlsConnection.client refuses retry configs that are malformed, or come with an acceptance', () => {
  const answer = (contents: Uint8Array): Pick<TlsPairOptions, 'rewriteServer'> => ({
    rewriteServer(message) {
      if (message[0] !== HandshakeType.encrypted_extensions) return message
      const extension = Buffer.concat([Buffer.from([0xfe, 0x0d, 0, contents.length]), contents])
      const length = Buffer.from([0, extension.length])
      return Buffer.concat([Buffer.from([8, 0, 0, 2 + extension.length]), length, extension])
    },
  })
  const malformed = Uint8Array.of(0xba, 0xdd, 0xec, 0xcc)
  assert.equal(pairOf({ ...answer(malformed), keys: [other] }).run().client.error?.code, 'TLS_DECODE_ERROR')
  const pretended = pairOf({ ...answer(malformed), ech: { grease: true }, keys: [] }).run()
  assert.equal(pretended.client.error?.code, 'TLS_DECODE_ERROR')
  const unasked = pairOf(answer(listOf(other))).run()
  assert.equal(unasked.client.error?.code, 'TLS_UNSOLICITED_EXTENSION')
  assert.equal(decodeEchConfigList(listOf(other)).length, 1)
})

test('explainHandshake tells the name that was meant from the one that was seen', () => {
  const pair = pairOf().run()
  for (const [side, end] of [
    ['client', pair.client],
    ['server', pair.server],
  ] as const) {
    const explained = explainHandshake(end.trace, side)
    assert.equal(explained.settled.serverName, SECRET)
    assert.equal(explained.settled.ech, 'accepted')
    const seen = JSON.stringify(explained.observer.saw)
    assert.equal(seen.includes(PUBLIC), true)
    assert.equal(seen.includes(SECRET), false)
    assert.equal(JSON.stringify(explained.observer.hidden).includes(SECRET), true)
  }
  const greased = pairOf({ ech: { grease: true } }).run()
  const seen = JSON.stringify(explainHandshake(greased.client.trace, 'client').observer.saw)
  assert.equal(seen.includes(SECRET), true, 'pretending hides nothing')
})
