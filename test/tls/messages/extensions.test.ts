import assert from 'node:assert/strict'
import test from 'node:test'
import { concat, toHex } from '../../../src/bytes/bytes.ts'
import { Writer } from '../../../src/bytes/writer.ts'
import { Extensions, type ExtendedMessage } from '../../../src/tls/messages/extensions.ts'
import { ExtensionType } from '../../../src/tls/registry.ts'
import { readExtensionBytes, readExtensions, refusesInWords } from '../../support/tls-arbitraries.ts'

const NOTHING = new Uint8Array(0)

/** RFC 8446 §4.2's table, for the extensions that the engine knows: where each may stand, and what it may hold. */
const PLACES: readonly [keyof typeof ExtensionType, Partial<Record<ExtendedMessage, string>>][] = [
  ['server_name', { client_hello: '0004000001' + '61', encrypted_extensions: '' }],
  ['supported_groups', { client_hello: '0002001d', encrypted_extensions: '0002001d' }],
  ['signature_algorithms', { client_hello: '00020403', certificate_request: '00020403' }],
  ['signature_algorithms_cert', { client_hello: '00020403', certificate_request: '00020403' }],
  [
    'application_layer_protocol_negotiation',
    { client_hello: '0003026832', encrypted_extensions: '0003026832' },
  ],
  ['record_size_limit', { client_hello: '4001', encrypted_extensions: '4001' }],
  ['supported_versions', { client_hello: '020304', server_hello: '0304', hello_retry_request: '0304' }],
  ['cookie', { client_hello: '000101', hello_retry_request: '000101' }],
  ['psk_key_exchange_modes', { client_hello: '0101' }],
  ['certificate_authorities', { client_hello: '0003000130', certificate_request: '0003000130' }],
  ['post_handshake_auth', { client_hello: '' }],
  ['status_request', { client_hello: '0100000000', certificate_request: '', certificate: '0100000130' }],
  ['signed_certificate_timestamp', { client_hello: '', certificate_request: '', certificate: '0003000161' }],
  ['server_certificate_type', { client_hello: '020200', encrypted_extensions: '02' }],
  ['client_certificate_type', { client_hello: '0102', encrypted_extensions: '00' }],
  ['compress_certificate', { client_hello: '0400020001', certificate_request: '020002' }],
  ['key_share', { client_hello: '0005001d000101', server_hello: '001d000101', hello_retry_request: '001d' }],
]

const MESSAGES: readonly ExtendedMessage[] = [
  'client_hello',
  'server_hello',
  'hello_retry_request',
  'encrypted_extensions',
  'certificate_request',
  'certificate',
  'new_session_ticket',
]

function readOne(message: ExtendedMessage, type: number, contents: Uint8Array): unknown {
  return readExtensions(message, [{ type, contents }])
}

test('Extensions reads each known extension where it may stand, and refuses it elsewhere by name', () => {
  for (const [name, places] of PLACES) {
    for (const message of MESSAGES) {
      const hex = places[message]
      if (hex !== undefined) {
        const read = readExtensions(message, [
          { type: ExtensionType[name], contents: Uint8Array.fromHex(hex) },
        ])
        assert.deepEqual(read.names, [name])
        continue
      }
      assert.throws(() => readOne(message, ExtensionType[name], NOTHING), {
        code: 'TLS_UNSOLICITED_EXTENSION',
        message: new RegExp(`${name} may not stand in ${message}`),
      })
    }
  }
})

test('Extensions refuses known extensions that are cut short or go on', () => {
  for (const [name, places] of PLACES) {
    for (const [message, hex] of Object.entries(places) as [ExtendedMessage, string][]) {
      const contents = Uint8Array.fromHex(hex)
      for (let length = 0; length < contents.length; length++)
        refusesInWords(() => readOne(message, ExtensionType[name], contents.slice(0, length)))
      refusesInWords(() => readOne(message, ExtensionType[name], concat(contents, Uint8Array.of(0))))
    }
  }
})

test('Extensions refuses lists that are empty or split an item, where RFC 8446 wants at least one', () => {
  const bad: readonly [keyof typeof ExtensionType, string][] = [
    ['supported_groups', '0000'],
    ['supported_groups', '000300' + '1d00'],
    ['signature_algorithms', '0000'],
    ['supported_versions', '00'],
    ['supported_versions', '0103'],
    ['psk_key_exchange_modes', '00'],
    ['cookie', '0000'],
    ['application_layer_protocol_negotiation', '0000'],
    ['application_layer_protocol_negotiation', '000100'],
    ['certificate_authorities', '0000'],
    ['certificate_authorities', '00020000'],
    ['key_share', '0004001d0000'],
    ['server_name', '0000'],
    ['server_name', '0003000000'],
    ['server_name', '000401000161'],
    ['server_name', '0004000001' + '00'],
    ['server_name', '0004000001' + '20'],
    ['server_name', '0004000001' + 'ff'],
    ['server_name', '000800000161' + '00000162'],
  ]
  for (const [name, hex] of bad)
    refusesInWords(() => readOne('client_hello', ExtensionType[name], Uint8Array.fromHex(hex)))
})

test('Extensions refuses a duplicate, known or unknown, in every message', () => {
  for (const message of MESSAGES) {
    for (const type of [0x1234, 0x0a0a]) {
      const twice = [
        { type, contents: NOTHING },
        { type, contents: Uint8Array.of(1) },
      ]
      assert.throws(() => readExtensions(message, twice), {
        code: /^(client_hello|encrypted_extensions)$/.test(message)
          ? 'TLS_DECODE_ERROR'
          : 'TLS_ILLEGAL_PARAMETER',
        message: new RegExp(`^${message} carries .* twice$`),
      })
    }
  }
  const share = { type: ExtensionType.key_share, contents: Uint8Array.fromHex('0000') }
  assert.throws(() => readExtensions('client_hello', [share, share]), { message: /key_share twice/ })
})

test('Extensions accepts 64 extensions and refuses 65', () => {
  const many = (count: number): { type: number; contents: Uint8Array }[] =>
    Array.from({ length: count }, (_, i) => ({ type: 0x4000 + i, contents: NOTHING }))
  assert.equal(readExtensions('client_hello', many(64)).types.length, 64)
  assert.throws(() => readExtensions('client_hello', many(65)), {
    code: 'TLS_DECODE_ERROR',
    message: /more than 64/,
  })
})

test('Extensions keeps unknown ones in their place and as they came', () => {
  const list = [
    { type: 0x0a0a, contents: NOTHING },
    { type: ExtensionType.supported_versions, contents: Uint8Array.fromHex('020304') },
    { type: 0x9999, contents: Uint8Array.of(1, 2, 3) },
  ]
  const read = readExtensions('client_hello', list)
  assert.deepEqual(read.names, ['GREASE (0xa0a)', 'supported_versions', '0x9999'])
  assert.equal(toHex(read.contents(0x9999)!), '010203')
  const writer = new Writer()
  read.write(writer)
  assert.deepEqual(readExtensionBytes('client_hello', writer.finish()).types, read.types)
})

test('Extensions copied from others change on their own', () => {
  const original = readExtensions('client_hello', [{ type: 0x9999, contents: NOTHING }])
  const copy = Extensions.from(original).add('server_name', 'a.example')
  assert.deepEqual([original.names, copy.names], [['0x9999'], ['0x9999', 'server_name']])
})

test('Extensions replaces an extension in its place', () => {
  const read = readExtensions('client_hello', [
    { type: ExtensionType.record_size_limit, contents: Uint8Array.fromHex('4001') },
    { type: 0x9999, contents: NOTHING },
  ])
  read.add('record_size_limit', 64)
  assert.deepEqual(read.names, ['record_size_limit', '0x9999'])
  assert.equal(read.value('record_size_limit'), 64)
})
