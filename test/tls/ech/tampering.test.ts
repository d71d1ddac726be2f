import assert from 'node:assert/strict'
import test from 'node:test'
import { decodeEchConfigList } from '../../../src/tls/ech/config.ts'
import {
  decodeClientHello,
  encodeClientHello,
  type ClientHello,
} from '../../../src/tls/messages/client-hello.ts'
import { Extensions } from '../../../src/tls/messages/extensions.ts'
import { asMessage } from '../../../src/tls/messages/handshake-message.ts'
import { decodeServerHello, encodeServerHello } from '../../../src/tls/messages/server-hello.ts'
import { ExtensionType, HandshakeType } from '../../../src/tls/registry.ts'
import { type TlsPairOptions } from '../../support/tls-pair.ts'
import { current, failures, listOf, other, pairOf, RETRYING, SECRET } from '../../support/ech-pair.ts'

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
