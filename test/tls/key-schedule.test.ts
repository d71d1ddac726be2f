import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import test from 'node:test'
import { concat, toHex, utf8 } from '../../src/bytes/bytes.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { portableCrypto } from '../../src/crypto/portable-provider.ts'
import { HASH_BYTES } from '../../src/crypto/provider.ts'
import {
  earlyStage,
  exportKeyingMaterial,
  finishedMac,
  hkdfExpandLabel,
  updatedTrafficSecret,
} from '../../src/tls/key-schedule.ts'
import { Transcript } from '../../src/tls/transcript.ts'

const PROVIDERS = [nativeCrypto(), portableCrypto()]
const HASHES = ['sha256', 'sha384'] as const

/** HKDF-Expand by RFC 5869 §2.3, on HMAC alone: for outputs of one block. */
function expandOneBlock(hash: string, secret: Uint8Array, info: Uint8Array, length: number): string {
  const block = createHmac(hash, secret).update(info).update(Uint8Array.of(1)).digest()
  return block.toString('hex').slice(0, 2 * length)
}

/** HkdfLabel of RFC 8446 §7.1, put together by hand. */
function hkdfLabel(length: number, label: string, context: Uint8Array): Uint8Array {
  const text = utf8(`tls13 ${label}`)
  return concat(
    Uint8Array.of(length >>> 8, length, text.length),
    text,
    Uint8Array.of(context.length),
    context,
  )
}

for (const crypto of PROVIDERS) {
  test(`hkdfExpandLabel expands the label of RFC 8446 §7.1 (${crypto.name})`, () => {
    for (const hash of HASHES) {
      const secret = new Uint8Array(HASH_BYTES[hash]).fill(5)
      const context = new Uint8Array(HASH_BYTES[hash]).fill(6)
      const expanded = hkdfExpandLabel(crypto, hash, secret, 'key', context, 16)
      assert.equal(toHex(expanded), expandOneBlock(hash, secret, hkdfLabel(16, 'key', context), 16))
    }
  })

  test(`earlyStage leads to the secrets that a schedule written out step by step has (${crypto.name})`, () => {
    for (const hash of HASHES) {
      const bytes = HASH_BYTES[hash]
      const [transcript1, transcript2] = [new Uint8Array(bytes).fill(1), new Uint8Array(bytes).fill(2)]
      const stage = earlyStage(crypto, hash).handshake(new Uint8Array(32).fill(3))
      const handshake = stage.traffic(transcript1)
      const master = stage.master()
      const application = master.traffic(transcript2)
      const exporter = master.exporterSecret(transcript2)

      const expand = (secret: Uint8Array, label: string, context: Uint8Array): Uint8Array =>
        new Uint8Array(
          Buffer.from(expandOneBlock(hash, secret, hkdfLabel(bytes, label, context), bytes), 'hex'),
        )
      const extract = (salt: Uint8Array, input: Uint8Array): Uint8Array =>
        new Uint8Array(createHmac(hash, salt).update(input).digest())
      const none = crypto.digest(hash, new Uint8Array(0))
      const zeros = new Uint8Array(bytes)
      const early = extract(zeros, zeros)
      const middle = extract(expand(early, 'derived', none), new Uint8Array(32).fill(3))
      const last = extract(expand(middle, 'derived', none), zeros)
      assert.deepEqual(
        [handshake.client, handshake.server, application.client, application.server, exporter].map(toHex),
        [
          expand(middle, 'c hs traffic', transcript1),
          expand(middle, 's hs traffic', transcript1),
          expand(last, 'c ap traffic', transcript2),
          expand(last, 's ap traffic', transcript2),
          expand(last, 'exp master', transcript2),
        ].map(toHex),
      )
    }
  })

  test(`finishedMac is the HMAC under the finished key (${crypto.name})`, () => {
    const [secret, transcript] = [new Uint8Array(32).fill(7), new Uint8Array(32).fill(8)]
    const key = expandOneBlock('sha256', secret, hkdfLabel(32, 'finished', new Uint8Array(0)), 32)
    const expected = createHmac('sha256', Buffer.from(key, 'hex')).update(transcript).digest('hex')
    assert.equal(toHex(finishedMac(crypto, 'sha256', secret, transcript)), expected)
  })

  test(`updatedTrafficSecret goes one way and wipes the old secret (${crypto.name})`, () => {
    const secret = new Uint8Array(48).fill(9)
    const next = updatedTrafficSecret(crypto, 'sha384', secret)
    const label = hkdfLabel(48, 'traffic upd', new Uint8Array(0))
    assert.equal(toHex(next), expandOneBlock('sha384', new Uint8Array(48).fill(9), label, 48))
    assert.deepEqual(secret, new Uint8Array(48))
  })

  test(`exportKeyingMaterial exports more than one block, and hashes its context (${crypto.name})`, () => {
    const secret = new Uint8Array(32).fill(4)
    const request = { label: 'EXPORTER-test', context: utf8('context'), length: 100 }
    const none = crypto.digest('sha256', new Uint8Array(0))
    const derived = Buffer.from(
      expandOneBlock('sha256', secret, hkdfLabel(32, request.label, none), 32),
      'hex',
    )
    const info = hkdfLabel(100, 'exporter', crypto.digest('sha256', request.context))
    // HKDF-Expand alone, block by block.
    let expected = Buffer.alloc(0)
    let block = Buffer.alloc(0)
    for (let i = 1; expected.length < 100; i++) {
      block = createHmac('sha256', derived).update(block).update(info).update(Uint8Array.of(i)).digest()
      expected = Buffer.concat([expected, block])
    }
    const exported = exportKeyingMaterial(crypto, 'sha256', secret, request)
    assert.equal(toHex(exported), expected.toString('hex', 0, 100))
    assert.deepEqual(secret, new Uint8Array(32).fill(4))
  })
}

test('HandshakeStage wipes the shared secret it was made of', () => {
  const shared = new Uint8Array(32).fill(3)
  earlyStage(nativeCrypto(), 'sha256').handshake(shared)
  assert.deepEqual(shared, new Uint8Array(32))
})

test('Transcript hashes what was added before and after its hash was known', () => {
  for (const crypto of PROVIDERS) {
    const transcript = new Transcript(crypto)
    assert.throws(() => transcript.hash(), TypeError)
    transcript.add(utf8('one'))
    transcript.begin('sha384')
    transcript.add(utf8('two'))
    assert.equal(toHex(transcript.hash()), toHex(crypto.digest('sha384', utf8('onetwo'))))
    transcript.begin('sha256')
    transcript.add(utf8('three'))
    assert.equal(toHex(transcript.hash()), toHex(crypto.digest('sha384', utf8('onetwothree'))))
  }
})

test('Transcript puts a message_hash in the place of the first hello', () => {
  const crypto = nativeCrypto()
  const transcript = new Transcript(crypto)
  transcript.add(utf8('first hello'))
  transcript.collapse('sha256')
  transcript.add(utf8('retry'))
  const replaced = concat(
    Uint8Array.of(254, 0, 0, 32),
    crypto.digest('sha256', utf8('first hello')),
    utf8('retry'),
  )
  assert.equal(toHex(transcript.hash()), toHex(crypto.digest('sha256', replaced)))
})
