import assert from 'node:assert/strict'
import test from 'node:test'
import { utf8 } from '../../../src/bytes/bytes.ts'
import { HpkeKem } from '../../../src/crypto/hpke.ts'
import { portableCrypto } from '../../../src/crypto/portable-provider.ts'
import { explainHandshake } from '../../../src/diagnose/explain.ts'
import { TrustBundles } from '../../../src/identity/trust-bundle.ts'
import type { CertificateVerifier, VerificationContext } from '../../../src/pki/verifier.ts'
import { makeEchConfig } from '../../../src/tls/ech/config.ts'
import { decodeClientHello, type ClientHello } from '../../../src/tls/messages/client-hello.ts'
import { TlsError } from '../../../src/tls/errors.ts'
import { asMessage } from '../../../src/tls/messages/handshake-message.ts'
import type { ClientEch } from '../../../src/tls/options.ts'
import { ContentType, ExtensionType, HandshakeType } from '../../../src/tls/registry.ts'
import { clientTickets } from '../../../src/tls/session/client-tickets.ts'
import { statefulTickets } from '../../../src/tls/session/stateful-tickets.ts'
import { TlsPair, type TlsEnd } from '../../support/tls-pair.ts'
import { splitRecords } from '../../support/tls-records.ts'
import { verifierFor } from '../../support/tls-workloads.ts'
import {
  accepted,
  crypto,
  current,
  echOutcomes,
  failures,
  listOf,
  other,
  overheard,
  pairOf,
  PUBLIC,
  RETRYING,
  SECRET,
  workloads,
} from '../../support/ech-pair.ts'

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

test('the key log has what reads the encrypted hello, by the random that observers see', () => {
  for (const group of ['x25519', 'secp384r1'] as const) {
    const hellos: Uint8Array[] = []
    using pair = pairOf({
      server: { ech: { keys: [other, current] }, groups: [group] },
      rewriteClient: (message) => {
        if (message[0] === HandshakeType.client_hello)
          hellos.push(decodeClientHello(asMessage(message).body).random)
        return message
      },
    }).run()
    assert.deepEqual(accepted(pair), [true, true])
    const lines = pair.ends.map(({ keyLog }) => keyLog.filter((line) => line.startsWith('ECH_')))
    assert.deepEqual(lines[0], lines[1])
    const [secret, config, ...more] = lines[0]!
    assert.match(secret!, new RegExp(`^ECH_SECRET ${hellos[0]!.toHex()} [0-9a-f]{64}$`))
    assert.equal(config, `ECH_CONFIG ${hellos[0]!.toHex()} ${current.config.encoded.toHex()}`)
    assert.deepEqual(more, [])
    const others = pair.client.keyLog.filter((line) => !line.startsWith('ECH_'))
    assert.ok(others.length > 0 && others.every((line) => line.split(' ')[1] !== hellos[0]!.toHex()))
  }
})

test('the key log goes by the outer random throughout where nobody could read the inner hello', () => {
  using pair = pairOf({ keys: [other] }).run()
  const randoms = (end: TlsEnd): Set<string> => new Set(end.keyLog.map((line) => line.split(' ')[1]!))
  assert.equal(randoms(pair.client).size, 1)
  assert.deepEqual(randoms(pair.server), randoms(pair.client))
  assert.ok(!pair.server.keyLog.some((line) => line.startsWith('ECH_')))
})

test('TlsConnection pads its flights where the hello inside counts, so that they tell nothing of the name', () => {
  const sizes = (setting: Parameters<typeof pairOf>[0]): number[] => {
    const lengths: number[] = []
    using pair = pairOf(setting)
    pair.run((from, bytes) => {
      for (const record of splitRecords(bytes))
        // What is protected, without its content type and tag.
        if (record[0] === ContentType.application_data) lengths.push(record.length - 22)
      return [bytes]
    })
    assert.deepEqual(failures(pair), [undefined, undefined])
    return lengths
  }
  const tickets = { tickets: { store: statefulTickets(crypto) } }
  for (const options of [{}, { client: { tickets: clientTickets() }, server: tickets }, RETRYING]) {
    const lengths = sizes({ ...options, client: { serverName: SECRET, ...options.client } })
    assert.ok(lengths.length >= 2)
    for (const length of lengths) assert.equal(length % 1024, 0)
  }
  assert.ok(sizes({ ech: { grease: true } }).every((length) => length % 1024 !== 0))
})
