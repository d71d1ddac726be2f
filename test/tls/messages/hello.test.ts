import assert from 'node:assert/strict'
import test from 'node:test'
import * as fc from 'fast-check'
import {
  checkClientHello,
  checkSecondClientHello,
  decodeClientHello,
  encodeClientHello,
  type ClientHello,
} from '../../../src/tls/messages/client-hello.ts'
import { Extensions } from '../../../src/tls/messages/extensions.ts'
import { asMessage } from '../../../src/tls/messages/handshake-message.ts'
import {
  decodeServerHello,
  encodeServerHello,
  HELLO_RETRY_RANDOM,
  selectedVersion,
  type HelloRetryRequest,
  type ServerHello,
} from '../../../src/tls/messages/server-hello.ts'
import { decodeEncryptedExtensions } from '../../../src/tls/messages/encrypted-extensions.ts'
import { CIPHER_SUITES, type CipherSuiteParameters } from '../../../src/tls/registry.ts'
import {
  bytes,
  checkExactness,
  checkHostility,
  checkRoundTrip,
  clientHelloExtensions,
  retryExtensions,
  serverHelloExtensions,
  uint16,
  uint8,
  type CodecUnderTest,
} from '../../support/tls-arbitraries.ts'

const clientHellos: CodecUnderTest<ClientHello> = {
  arbitrary: fc.record({
    legacyVersion: uint16,
    random: bytes(32, 32),
    sessionId: bytes(0, 32),
    cipherSuites: fc.array(uint16, { minLength: 1, maxLength: 30 }),
    compressionMethods: bytes(1, 4),
    extensions: clientHelloExtensions,
  }),
  encode: encodeClientHello,
  decode: decodeClientHello,
  // A hello older than extensions ends in front of them.
  wholePrefixes: ({ sessionId, cipherSuites, compressionMethods }) => [
    2 + 32 + 1 + sessionId.length + 2 + 2 * cipherSuites.length + 1 + compressionMethods.length,
  ],
}

const common = {
  legacyVersion: uint16,
  random: bytes(32, 32),
  sessionId: bytes(0, 32),
  cipherSuite: uint16,
  compressionMethod: uint8,
}

const serverHellos: CodecUnderTest<ServerHello | HelloRetryRequest> = {
  arbitrary: fc.record({ kind: fc.constant('server_hello'), ...common, extensions: serverHelloExtensions }),
  encode: encodeServerHello,
  decode: decodeServerHello,
  wholePrefixes: ({ sessionId }) => [2 + 32 + 1 + sessionId.length + 2 + 1],
}

const retries: CodecUnderTest<ServerHello | HelloRetryRequest> = {
  arbitrary: fc.record({
    kind: fc.constant('hello_retry_request'),
    ...common,
    random: fc.constant(HELLO_RETRY_RANDOM),
    extensions: retryExtensions,
  }),
  encode: encodeServerHello,
  decode: decodeServerHello,
}

test('encodeClientHello is undone by decodeClientHello', () => checkRoundTrip(clientHellos))
test('decodeClientHello takes exactly its bytes', () => checkExactness(clientHellos))
test('decodeClientHello refuses whatever else in words', () => checkHostility(clientHellos))
test('encodeServerHello is undone by decodeServerHello', () => checkRoundTrip(serverHellos))
test('decodeServerHello takes exactly its bytes', () => checkExactness(serverHellos))
test('decodeServerHello refuses whatever else in words', () => checkHostility(serverHellos))
test('decodeServerHello tells a HelloRetryRequest by its random and decodes it', () =>
  checkRoundTrip(retries))
test('decodeServerHello takes exactly the bytes of a HelloRetryRequest', () => checkExactness(retries))

const hello: ClientHello = {
  legacyVersion: 0x0303,
  random: new Uint8Array(32).fill(1),
  sessionId: new Uint8Array(32).fill(2),
  cipherSuites: [0x1301, 0x1302],
  compressionMethods: Uint8Array.of(0),
  extensions: new Extensions('client_hello')
    .add('supported_groups', [0x1d, 0x17])
    .add('signature_algorithms', [0x0403])
    .add('supported_versions', [0x0304])
    .add('key_share', [{ group: 0x1d, share: new Uint8Array(32) }]),
}

function having(change: (extensions: Extensions<'client_hello'>) => unknown): ClientHello {
  const extensions = Extensions.from(hello.extensions)
  change(extensions)
  return { ...hello, extensions }
}

function without(name: 'supported_groups' | 'key_share'): ClientHello {
  const extensions = new Extensions('client_hello')
  const { extensions: all } = hello
  if (name !== 'supported_groups') extensions.add('supported_groups', all.value('supported_groups')!)
  extensions.add('signature_algorithms', all.value('signature_algorithms')!)
  if (name !== 'key_share') extensions.add('key_share', all.value('key_share')!)
  return { ...hello, extensions: extensions.add('supported_versions', [0x0304]) }
}

test('checkClientHello accepts a hello of TLS 1.3, also with GREASE and older versions beside it', () => {
  checkClientHello(hello)
  checkClientHello(having((set) => set.add('supported_versions', [0x7a7a, 0x0304, 0x0303])))
  checkClientHello(having((set) => set.add('supported_groups', [0x0a0a, 0x1d, 0x17])))
})

test('checkClientHello refuses a hello without TLS 1.3 and says what it offers', () => {
  const old: ClientHello = { ...hello, legacyVersion: 0x0302, extensions: new Extensions('client_hello') }
  assert.throws(() => checkClientHello(old), { code: 'TLS_NO_COMMON_VERSION', message: /0x302/ })
  const listed = having((set) => set.add('supported_versions', [0x0303]))
  assert.throws(() => checkClientHello(listed), { code: 'TLS_NO_COMMON_VERSION' })
})

test('checkClientHello names the mandatory extension that is missing', () => {
  for (const name of ['supported_groups', 'key_share'] as const) {
    assert.throws(() => checkClientHello(without(name)), {
      code: 'TLS_MISSING_EXTENSION',
      message: new RegExp(name),
    })
  }
})

test('checkClientHello ignores legacy_version beside supported_versions (RFC 8446 §4.2.1)', () => {
  for (const legacyVersion of [0x0301, 0x0304, 0x0400]) checkClientHello({ ...hello, legacyVersion })
})

test('checkClientHello refuses fields that contradict TLS 1.3 or each other', () => {
  const share = { group: 0x1d, share: Uint8Array.of(1) }
  const cases: readonly [ClientHello, RegExp][] = [
    [{ ...hello, compressionMethods: Uint8Array.of(0, 1) }, /compression/],
    [{ ...hello, compressionMethods: Uint8Array.of(1) }, /compression/],
    [having((set) => set.add('key_share', [share, share])), /two shares/],
    [having((set) => set.add('key_share', [{ ...share, group: 0x18 }])), /supported_groups does not list/],
  ]
  for (const [bad, message] of cases)
    assert.throws(() => checkClientHello(bad), { code: 'TLS_ILLEGAL_PARAMETER', message })
})

test('checkSecondClientHello allows another share and a cookie, and nothing else', () => {
  const suite = CIPHER_SUITES[0]!
  checkSecondClientHello(hello, hello, suite)
  checkSecondClientHello(
    hello,
    having((set) =>
      set.add('key_share', [{ group: 0x17, share: Uint8Array.of(4) }]).add('cookie', Uint8Array.of(1)),
    ),
    suite,
  )
  assert.throws(() => checkSecondClientHello(hello, { ...hello, cipherSuites: [0x1301] }, suite), {
    code: 'TLS_ILLEGAL_PARAMETER',
    message: /cipher_suites/,
  })
})

test('checkSecondClientHello lets go of pre-shared keys only when none belongs to the hash of the suite', () => {
  const offering = (length: number): ClientHello =>
    having((set) =>
      set.add('pre_shared_key', {
        identities: [{ identity: Uint8Array.of(1), obfuscatedAge: 0 }],
        binders: [new Uint8Array(length)],
      }),
    )
  const [sha256, sha384] = CIPHER_SUITES as unknown as [CipherSuiteParameters, CipherSuiteParameters]
  checkSecondClientHello(offering(32), offering(32), sha256)
  checkSecondClientHello(offering(32), hello, sha384)
  checkSecondClientHello(offering(48), hello, sha256)
  for (const [length, suite] of [
    [32, sha256],
    [48, sha384],
  ] as const)
    assert.throws(() => checkSecondClientHello(offering(length), hello, suite), {
      code: 'TLS_MISSING_EXTENSION',
    })
})

test('Extensions refuses what only older versions answer, wherever a server could put it', () => {
  for (const type of ['000b', '0016', '0017', '0023', 'ff01'])
    assert.throws(() => decodeEncryptedExtensions(Uint8Array.fromHex(`0004${type}0000`)), {
      code: 'TLS_ILLEGAL_PARAMETER',
      message: /belongs to older versions/,
    })
})

test('decodeServerHello reads what a server of TLS 1.2 answers, so that its version can be told', () => {
  // With the extensions that such servers send: they stand elsewhere in TLS 1.3, or nowhere.
  const extensions = [
    'ff01000100', // renegotiation_info
    '00000000', // server_name
    '000b000403000102', // ec_point_formats
    '00230000', // session_ticket
    '00170000', // extended_main_secret
    '0010000500030268' + '32', // application_layer_protocol_negotiation: h2
  ].join('')
  const body = Uint8Array.fromHex(
    `0303${'07'.repeat(32)}00c02f00${(extensions.length / 2).toString(16).padStart(4, '0')}${extensions}`,
  )
  const decoded = decodeServerHello(body)
  assert.equal(selectedVersion(decoded), undefined)
  assert.equal(decoded.legacyVersion, 0x0303)
  assert.equal(decoded.cipherSuite, 0xc02f)
})

test('decodeServerHello copies what it returns from its input', () => {
  const encoded = encodeServerHello({
    kind: 'server_hello',
    legacyVersion: 0x0303,
    random: new Uint8Array(32).fill(7),
    sessionId: new Uint8Array(32).fill(8),
    cipherSuite: 0x1301,
    compressionMethod: 0,
    extensions: new Extensions('server_hello'),
  })
  const { random, sessionId } = decodeServerHello(asMessage(encoded).body)
  encoded.fill(0)
  assert.deepEqual([random[0], sessionId[0]], [7, 8])
})
