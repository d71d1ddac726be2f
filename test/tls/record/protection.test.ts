import assert from 'node:assert/strict'
import test from 'node:test'
import { concat, toHex, utf8 } from '../../../src/bytes/bytes.ts'
import { nativeCrypto } from '../../../src/crypto/native-provider.ts'
import { portableCrypto } from '../../../src/crypto/portable-provider.ts'
import { AEAD_KEY_BYTES, HASH_BYTES } from '../../../src/crypto/provider.ts'
import { hkdfExpandLabel } from '../../../src/tls/key-schedule.ts'
import {
  MAX_PLAINTEXT_BYTES,
  RECORD_HEADER_BYTES,
  RECORD_OVERHEAD_BYTES,
  RecordOpener,
  RecordSealer,
} from '../../../src/tls/record/protection.ts'
import {
  CIPHER_SUITES,
  ContentType,
  type CipherSuiteParameters,
  type ContentType as Type,
} from '../../../src/tls/registry.ts'
import { recordingNonces } from '../../support/recording-nonces.ts'

const NATIVE = nativeCrypto()
const SUITE = CIPHER_SUITES[0]!
const SECRET = new Uint8Array(48).fill(0x42)

function secretFor({ hash }: CipherSuiteParameters): Uint8Array {
  return SECRET.slice(0, HASH_BYTES[hash])
}

function seal(sealer: RecordSealer, type: number, plaintext: Uint8Array): Uint8Array<ArrayBuffer> {
  const output = new Uint8Array(plaintext.length + RECORD_OVERHEAD_BYTES)
  return output.slice(0, sealer.seal(type as Type, plaintext, output))
}

/** Seals an inner plaintext as it is, with no content type of ours behind it. */
function sealInner(inner: Uint8Array, suite = SUITE): Uint8Array<ArrayBuffer> {
  const secret = secretFor(suite)
  const none = new Uint8Array(0)
  const key = hkdfExpandLabel(NATIVE, suite.hash, secret, 'key', none, AEAD_KEY_BYTES[suite.aead])
  const iv = hkdfExpandLabel(NATIVE, suite.hash, secret, 'iv', none, 12)
  using sealer = NATIVE.sealer(suite.aead, key)
  const length = inner.length + 16
  const header = Uint8Array.of(23, 3, 3, length >>> 8, length)
  const sealed = new Uint8Array(length)
  sealer.seal(iv, header, inner, sealed)
  return concat(header, sealed)
}

/** Opens in place. */
function open(opener: RecordOpener, record: Uint8Array): Uint8Array {
  const fragment = record.subarray(RECORD_HEADER_BYTES)
  return fragment.subarray(0, opener.open(record, fragment, fragment))
}

function opened(record: Uint8Array, suite = SUITE): { type: number; text: string } {
  using opener = new RecordOpener(NATIVE, suite, secretFor(suite))
  const plaintext = open(opener, record)
  return { type: opener.contentType, text: new TextDecoder().decode(plaintext) }
}

for (const [sealing, opening] of [
  [nativeCrypto(), portableCrypto()],
  [portableCrypto(), nativeCrypto()],
] as const) {
  test(`RecordOpener opens what RecordSealer sealed, record by record (${sealing.name} to ${opening.name})`, () => {
    for (const suite of CIPHER_SUITES) {
      using sealer = new RecordSealer(sealing, suite, secretFor(suite))
      using opener = new RecordOpener(opening, suite, secretFor(suite))
      for (const size of [0, 1, 15, 16, 17, 1000, MAX_PLAINTEXT_BYTES]) {
        const plaintext = new Uint8Array(size).map((_, i) => i)
        const back = open(opener, seal(sealer, ContentType.application_data, plaintext))
        assert.equal(opener.contentType, ContentType.application_data)
        assert.equal(toHex(back), toHex(plaintext))
      }
    }
  })
}

test('RecordSealer never uses a nonce twice: each is the IV with the sequence number over it', () => {
  for (const suite of CIPHER_SUITES) {
    const crypto = recordingNonces(NATIVE)
    using sealer = new RecordSealer(crypto, suite, secretFor(suite))
    const iv = hkdfExpandLabel(NATIVE, suite.hash, secretFor(suite), 'iv', new Uint8Array(0), 12)
    const output = new Uint8Array(RECORD_OVERHEAD_BYTES)
    for (let sequence = 0; sequence < 70_000; sequence++)
      sealer.seal(ContentType.application_data, new Uint8Array(0), output)
    const base = BigInt(`0x${toHex(iv)}`)
    for (const [sequence, nonce] of crypto.nonces.entries())
      assert.equal(BigInt(`0x${nonce}`), base ^ BigInt(sequence))
    assert.equal(crypto.nonces.length, 70_000)
  }
})

test('RecordOpener refuses a record whose any byte was changed', () => {
  using sealer = new RecordSealer(NATIVE, SUITE, secretFor(SUITE))
  const record = seal(sealer, ContentType.handshake, utf8('hello'))
  assert.deepEqual(opened(record.slice()), { type: ContentType.handshake, text: 'hello' })
  for (let at = 0; at < record.length; at++) {
    for (const mask of [1, 0x80]) {
      const changed = record.slice()
      changed[at]! ^= mask
      assert.throws(() => opened(changed), { code: 'TLS_BAD_RECORD_MAC' }, `byte ${at}`)
    }
  }
})

test('RecordOpener refuses records that are replayed, reordered, dropped or too short', () => {
  using sealer = new RecordSealer(NATIVE, SUITE, secretFor(SUITE))
  const [first, second] = [1, 2].map((i) => seal(sealer, ContentType.application_data, Uint8Array.of(i)))
  using opener = new RecordOpener(NATIVE, SUITE, secretFor(SUITE))
  open(opener, first!.slice())
  assert.throws(() => open(opener, first!.slice()), { code: 'TLS_BAD_RECORD_MAC', message: /^Record 1 / })
  assert.throws(() => opened(second!.slice()), { code: 'TLS_BAD_RECORD_MAC', message: /^Record 0 / })
  for (let length = 0; length <= 16; length++)
    assert.throws(() => opened(concat(Uint8Array.of(23, 3, 3, 0, length), new Uint8Array(length))), {
      code: 'TLS_BAD_RECORD_MAC',
    })
})

test('RecordOpener tolerates padding of any length', () => {
  for (const padding of [0, 1, 255, 5000]) {
    const inner = concat(utf8('padded'), Uint8Array.of(ContentType.application_data), new Uint8Array(padding))
    assert.deepEqual(opened(sealInner(inner)), { type: ContentType.application_data, text: 'padded' })
  }
  const full = concat(new Uint8Array(MAX_PLAINTEXT_BYTES), Uint8Array.of(ContentType.application_data))
  assert.equal(opened(sealInner(full)).text.length, MAX_PLAINTEXT_BYTES)
})

test('RecordOpener refuses a record of padding alone, and one whose plaintext is too long', () => {
  for (const padding of [1, 2, 100])
    assert.throws(() => opened(sealInner(new Uint8Array(padding))), {
      code: 'TLS_UNEXPECTED_MESSAGE',
      message: /no content type/,
    })
  const long = concat(new Uint8Array(MAX_PLAINTEXT_BYTES + 1), Uint8Array.of(ContentType.application_data))
  assert.throws(() => opened(sealInner(long)), { code: 'TLS_RECORD_OVERFLOW' })
  // RFC 8446 §5.4: the padding counts too.
  const padded = concat(Uint8Array.of(1, ContentType.application_data), new Uint8Array(MAX_PLAINTEXT_BYTES))
  assert.throws(() => opened(sealInner(padded)), { code: 'TLS_RECORD_OVERFLOW' })
})

test('RecordSealer asks for another key at half of its limit, and refuses at the limit', () => {
  const suite: CipherSuiteParameters = { ...SUITE, recordLimit: 6 }
  using sealer = new RecordSealer(NATIVE, suite, secretFor(suite))
  using opener = new RecordOpener(NATIVE, suite, secretFor(suite))
  const left: number[] = []
  for (let i = 0; i < 6; i++) {
    left.push(sealer.recordsLeft)
    open(opener, seal(sealer, ContentType.application_data, utf8('x')))
  }
  assert.deepEqual(left, [3, 2, 1, 0, 0, 0])
  assert.throws(() => seal(sealer, ContentType.application_data, utf8('x')), { code: 'TLS_KEY_LIMIT' })
  using beyond = new RecordSealer(NATIVE, SUITE, secretFor(SUITE))
  let seventh = new Uint8Array(0)
  for (let i = 0; i < 7; i++) seventh = seal(beyond, ContentType.application_data, utf8('x'))
  assert.throws(() => open(opener, seventh), { code: 'TLS_KEY_LIMIT', message: /The peer has sealed 6/ })
})

test('RecordSealer leaves its secret to the owner, and works no more once disposed', () => {
  const secret = secretFor(SUITE)
  const sealer = new RecordSealer(NATIVE, SUITE, secret)
  assert.deepEqual(secret, secretFor(SUITE))
  sealer[Symbol.dispose]()
  assert.throws(() => seal(sealer, ContentType.alert, utf8('x')), ReferenceError)
})

test('CIPHER_SUITES limit AES-GCM to the 2^24.5 records of RFC 8446 §5.5', () => {
  const limits = CIPHER_SUITES.map(({ recordLimit }) => recordLimit)
  assert.deepEqual(limits, [23_726_566, 23_726_566, Number.MAX_SAFE_INTEGER])
})
