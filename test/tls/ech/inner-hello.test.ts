import assert from 'node:assert/strict'
import test from 'node:test'
import * as fc from 'fast-check'
import { concat } from '../../../src/bytes/bytes.ts'
import { DecodeError } from '../../../src/bytes/errors.ts'
import { Writer } from '../../../src/bytes/writer.ts'
import {
  ECH_CONFIRMATION_BYTES,
  echClientHello,
  echConfirmation,
  type EchClientHello,
} from '../../../src/tls/ech/extension.ts'
import { decodeInnerHello, encodeInnerHello } from '../../../src/tls/ech/inner-hello.ts'
import { TlsError } from '../../../src/tls/errors.ts'
import { encodeClientHello, type ClientHello } from '../../../src/tls/messages/client-hello.ts'
import { Extensions } from '../../../src/tls/messages/extensions.ts'
import { asMessage } from '../../../src/tls/messages/handshake-message.ts'
import { written } from '../../support/codecs.ts'

const ECH_OUTER_EXTENSIONS = 0xfd00
const KEY_SHARE = 51
const GROUPS = 10
const ECH = 0xfe0d

/** What both hellos of the tests have in common. */
function shared(): Extensions<'client_hello'> {
  return new Extensions('client_hello')
    .add('supported_groups', [29])
    .add('supported_versions', [0x7a7a, 0x0304])
    .add('key_share', [{ group: 29, share: new Uint8Array(32).fill(7) }])
    .addUnknown(0x1234, Uint8Array.of(1, 2, 3))
}

function hello(extensions: Extensions<'client_hello'>, fill: number): ClientHello {
  return {
    legacyVersion: 0x0303,
    random: new Uint8Array(32).fill(fill),
    sessionId: new Uint8Array(32).fill(5),
    cipherSuites: [0x1301],
    compressionMethods: Uint8Array.of(0),
    extensions,
  }
}

const outer = hello(
  shared()
    .add('server_name', 'edge.example')
    .add('encrypted_client_hello', {
      kind: 'outer',
      kdf: 1,
      aead: 1,
      configId: 0,
      enc: new Uint8Array(32),
      payload: new Uint8Array(100),
    }),
  1,
)

function innerNaming(name: string | undefined): ClientHello {
  const extensions = shared()
  if (name !== undefined) extensions.add('server_name', name)
  return hello(extensions.add('encrypted_client_hello', { kind: 'inner' }), 2)
}

function isIllegal(error: unknown): boolean {
  return error instanceof TlsError && error.code === 'TLS_ILLEGAL_PARAMETER'
}

test('decodeInnerHello restores what encodeInnerHello compressed, byte for byte', () => {
  const name = fc.stringMatching(/^[a-z]{1,200}$/)
  fc.assert(
    fc.property(fc.option(name, { nil: undefined }), fc.nat(255), (serverName, maximumNameLength) => {
      const inner = innerNaming(serverName)
      const encoded = encodeInnerHello(inner, outer, maximumNameLength)
      const restored = decodeInnerHello(encoded, outer)
      assert.deepEqual(restored.message.bytes, encodeClientHello(inner))
      assert.equal(restored.hello.extensions.value('server_name'), serverName)
    }),
  )
})

test('encodeInnerHello repeats nothing that the outer hello has, and names no server by its length', () => {
  const short = encodeInnerHello(innerNaming('a.example'), outer, 64)
  const long = encodeInnerHello(innerNaming('a-name-of-some-length.example'), outer, 64)
  const none = encodeInnerHello(innerNaming(undefined), outer, 64)
  assert.equal(short.length % 32, 0)
  assert.equal(short.length, long.length)
  assert.equal(short.length, none.length)
  assert.equal(Buffer.from(short).includes(new Uint8Array(32).fill(7)), false, 'the key share')
  assert.equal(Buffer.from(short).includes(new Uint8Array(32).fill(5)), false, 'the session id')
})

test('encodeInnerHello never takes the server name from outside, even where it is the same', () => {
  const encoded = encodeInnerHello(innerNaming('edge.example'), outer, 0)
  assert.equal(Buffer.from(encoded).includes('edge.example'), true)
})

test('decodeInnerHello refuses a hello cut anywhere before its padding', () => {
  const inner = innerNaming('a.example')
  const encoded = encodeInnerHello(inner, outer, 0)
  const end = encoded.findLastIndex((byte) => byte !== 0) + 1
  for (let length = 0; length < end; length++)
    assert.throws(() => decodeInnerHello(encoded.subarray(0, length), outer), isIllegal)
})

test("decodeInnerHello either restores a mutated hello or refuses it as the peer's fault", () => {
  const encoded = encodeInnerHello(innerNaming('a.example'), outer, 0)
  const flips = fc.array(fc.tuple(fc.nat(encoded.length - 1), fc.integer({ min: 1, max: 255 })), {
    minLength: 1,
    maxLength: 4,
  })
  fc.assert(
    fc.property(flips, (changes) => {
      const mutated = encoded.slice()
      for (const [place, mask] of changes) mutated[place]! ^= mask
      try {
        assert.ok(decodeInnerHello(mutated, outer).message.bytes.length > 0)
      } catch (thrown) {
        assert.ok(thrown instanceof TlsError, String(thrown))
        assert.equal(thrown.blame, 'peer')
      }
    }),
    { numRuns: 500 },
  )
})

test('decodeInnerHello refuses padding that is not all zeros', () => {
  const encoded = concat(encodeInnerHello(innerNaming('a.example'), outer, 0), Uint8Array.of(0, 1, 0))
  assert.throws(() => decodeInnerHello(encoded, outer), isIllegal)
})

/** An encoded hello with the given references, and the mark of an inner one. */
function referring(
  write: (list: Writer) => void,
  extensions: Extensions<'client_hello'> = new Extensions('client_hello'),
): Uint8Array {
  const references = new Writer().vector8(write).finish()
  extensions.addUnknown(ECH_OUTER_EXTENSIONS, references).add('encrypted_client_hello', { kind: 'inner' })
  const inner = { ...hello(extensions, 2), sessionId: new Uint8Array(0) }
  return asMessage(encodeClientHello(inner)).body.slice()
}

test('decodeInnerHello takes references in the order of the outer hello, with gaps', () => {
  const versions = new Extensions('client_hello').add('supported_versions', [0x0304])
  const encoded = referring((list) => list.uint16(GROUPS).uint16(KEY_SHARE).uint16(0x1234), versions)
  const { hello: restored } = decodeInnerHello(encoded, outer)
  assert.deepEqual(restored.extensions.types, [43, GROUPS, KEY_SHARE, 0x1234, ECH])
})

for (const [what, write] of [
  ['in another order', (list: Writer) => list.uint16(KEY_SHARE).uint16(GROUPS)],
  ['twice', (list: Writer) => list.uint16(GROUPS).uint16(GROUPS)],
  ['that are not there', (list: Writer) => list.uint16(0x4321)],
  ['to the encrypted hello itself', (list: Writer) => list.uint16(ECH)],
  ['to references', (list: Writer) => list.uint16(ECH_OUTER_EXTENSIONS)],
  ['to nothing', () => undefined],
  ['of half a number', (list: Writer) => list.uint16(GROUPS).uint8(0)],
] as const) {
  test(`decodeInnerHello refuses references ${what}`, () => {
    const versions = new Extensions('client_hello').add('supported_versions', [0x0304])
    const encoded = referring((list) => void write(list), versions)
    const outside =
      what === 'to references'
        ? {
            ...outer,
            extensions: Extensions.from(outer.extensions).addUnknown(ECH_OUTER_EXTENSIONS, new Uint8Array(1)),
          }
        : outer
    assert.throws(() => decodeInnerHello(encoded, outside), isIllegal)
  })
}

test('decodeInnerHello refuses an extension that is both referred to and repeated', () => {
  const twice = new Extensions('client_hello')
    .add('supported_versions', [0x0304])
    .add('supported_groups', [29])
  const encoded = referring((list) => void list.uint16(GROUPS), twice)
  assert.throws(() => decodeInnerHello(encoded, outer), isIllegal)
})

test('decodeInnerHello refuses a hello without the mark of an inner one, with a session id, or for older versions', () => {
  const encode = (changed: ClientHello): Uint8Array => asMessage(encodeClientHello(changed)).body.slice()
  const whole = { ...innerNaming('a.example'), sessionId: new Uint8Array(0) }
  assert.ok(decodeInnerHello(encode(whole), outer))
  const changes: readonly ClientHello[] = [
    { ...whole, sessionId: Uint8Array.of(1) },
    { ...whole, extensions: Extensions.from(whole.extensions).remove(ECH) },
    {
      ...whole,
      extensions: Extensions.from(whole.extensions).add(
        'encrypted_client_hello',
        outer.extensions.value('encrypted_client_hello')!,
      ),
    },
    { ...whole, extensions: Extensions.from(whole.extensions).add('supported_versions', [0x0304, 0x0303]) },
    { ...whole, extensions: Extensions.from(whole.extensions).add('supported_versions', [0x7a7a]) },
    { ...whole, extensions: Extensions.from(whole.extensions).remove(43) },
  ]
  for (const changed of changes) assert.throws(() => decodeInnerHello(encode(changed), outer), isIllegal)
})

const anyExtension: fc.Arbitrary<EchClientHello> = fc.oneof(
  fc.constant({ kind: 'inner' } as const),
  fc.record(
    {
      kind: fc.constant('outer' as const),
      kdf: fc.nat(0xffff),
      aead: fc.nat(0xffff),
      configId: fc.nat(0xff),
      enc: fc.uint8Array(),
      payload: fc.uint8Array({ minLength: 1 }),
    },
    { noNullPrototype: true },
  ),
)

test('echClientHello reads what it writes, and refuses it cut anywhere or with more behind it', () => {
  fc.assert(
    fc.property(anyExtension, (extension) => {
      const contents = written(echClientHello, extension)
      assert.deepEqual(echClientHello.read(contents), extension)
      for (let length = 0; length < contents.length; length++)
        assert.throws(() => echClientHello.read(contents.subarray(0, length)), DecodeError)
      assert.throws(() => echClientHello.read(concat(contents, Uint8Array.of(0))), DecodeError)
    }),
  )
})

test('echClientHello refuses types that do not exist', () => {
  assert.throws(() => echClientHello.read(Uint8Array.of(2)), isIllegal)
})

test('echConfirmation has eight bytes', () => {
  const confirmation = new Uint8Array(ECH_CONFIRMATION_BYTES).fill(3)
  assert.deepEqual(echConfirmation.read(written(echConfirmation, confirmation)), confirmation)
  assert.throws(() => echConfirmation.read(confirmation.subarray(1)), DecodeError)
  assert.throws(() => echConfirmation.read(concat(confirmation, Uint8Array.of(0))), DecodeError)
})
