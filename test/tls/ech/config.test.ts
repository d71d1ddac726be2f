import assert from 'node:assert/strict'
import test from 'node:test'
import * as fc from 'fast-check'
import { concat } from '../../../src/bytes/bytes.ts'
import { DecodeError } from '../../../src/bytes/errors.ts'
import { Writer } from '../../../src/bytes/writer.ts'
import { HpkeKem } from '../../../src/crypto/hpke.ts'
import { nativeCrypto } from '../../../src/crypto/native-provider.ts'
import {
  chooseEchConfig,
  decodeEchConfig,
  decodeEchConfigList,
  encodeEchConfigList,
  importEchKey,
  makeEchConfig,
  type EchConfig,
} from '../../../src/tls/ech/config.ts'
import { isPublicName } from '../../../src/tls/ech/public-name.ts'
import { TlsError } from '../../../src/tls/errors.ts'

const crypto = nativeCrypto()
const made = makeEchConfig(crypto, {
  publicName: 'edge.example',
  configId: 7,
  maximumNameLength: 40,
  suites: [
    { kdf: 1, aead: 3 },
    { kdf: 2, aead: 2 },
  ],
})

interface Contents {
  readonly version?: number
  readonly kem?: number
  readonly suites?: readonly (readonly [kdf: number, aead: number])[]
  readonly publicName?: string
  readonly extensions?: readonly number[]
}

/** A config that no maker of ours would make. */
function config({
  version = 0xfe0d,
  kem = HpkeKem.x25519,
  suites = [[1, 1]],
  publicName = 'edge.example',
  extensions = [],
}: Contents): EchConfig {
  const contents = new Writer()
    .uint8(1)
    .uint16(kem)
    .bytes16(made.config.publicKey)
    .vector16((list) => suites.forEach(([kdf, aead]) => list.uint16(kdf).uint16(aead)))
    .uint8(0)
    .bytes8(Buffer.from(publicName, 'latin1'))
    .vector16((list) => extensions.forEach((type) => list.uint16(type).vector16((body) => body.uint8(1))))
    .finish()
  return decodeEchConfig(new Writer().uint16(version).bytes16(contents).finish())
}

test('makeEchConfig makes what decodeEchConfig reads, with a key that importEchKey takes', () => {
  const { configId, kem, suites, publicKey, maximumNameLength, publicName, extensionTypes } = decodeEchConfig(
    made.config.encoded,
  )
  assert.deepEqual(
    { configId, kem, suites, maximumNameLength, publicName, extensionTypes },
    {
      configId: 7,
      kem: 0x20,
      suites: [
        { kdf: 1, aead: 3 },
        { kdf: 2, aead: 2 },
      ],
      maximumNameLength: 40,
      publicName: 'edge.example',
      extensionTypes: [],
    },
  )
  assert.deepEqual(publicKey, made.key.share)
  assert.deepEqual(importEchKey(crypto, { config: made.config, scalar: made.scalar }).key.share, publicKey)
})

test('makeEchConfig refuses names that cannot stand in public', () => {
  for (const publicName of ['', '192.0.2.1', 'under_score.example', 'edge.example.']) {
    assert.throws(() => makeEchConfig(crypto, { publicName }), isBadOptions, publicName)
  }
})

test('importEchKey refuses a scalar that is not of the config', () => {
  const { scalar } = makeEchConfig(crypto, { publicName: 'edge.example' })
  assert.throws(() => importEchKey(crypto, { config: made.config, scalar }), isBadOptions)
  assert.throws(() => importEchKey(crypto, { config: config({ kem: 0x99 }), scalar }), isBadOptions)
})

function isBadOptions(error: unknown): boolean {
  return error instanceof TlsError && error.code === 'TLS_BAD_OPTIONS'
}

test('decodeEchConfigList reads any list of configs again, and leaves out other versions', () => {
  const foreign = Uint8Array.of(0xba, 0xdd, 0, 2, 5, 4)
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          kem: fc.constantFrom(0x10, 0x20, 0x6666),
          suites: fc.array(fc.tuple(fc.nat(0xffff), fc.nat(0xffff)), { minLength: 1, maxLength: 4 }),
          publicName: fc.string({ minLength: 1, maxLength: 40, unit: 'grapheme-ascii' }),
          extensions: fc.array(fc.nat(0xffff), { maxLength: 3 }),
        }),
        { minLength: 1, maxLength: 4 },
      ),
      (contents) => {
        const configs = contents.map(config)
        assert.deepEqual(decodeEchConfigList(encodeEchConfigList(configs)), configs)
        const mixed = encodeEchConfigList([{ encoded: foreign }, ...configs, { encoded: foreign }])
        assert.deepEqual(decodeEchConfigList(mixed), configs)
      },
    ),
  )
})

test('decodeEchConfigList refuses a list cut anywhere, or with more behind it', () => {
  const list = encodeEchConfigList([made.config, config({ extensions: [5] })])
  for (let length = 0; length < list.length; length++)
    assert.throws(() => decodeEchConfigList(list.subarray(0, length)), DecodeError)
  assert.throws(() => decodeEchConfigList(concat(list, Uint8Array.of(0))), DecodeError)
  // Cut inside, under lengths that agree.
  const { encoded } = made.config
  for (let length = 0; length < encoded.length - 4; length++) {
    const cut = new Writer()
      .vector16((whole) => whole.uint16(0xfe0d).bytes16(encoded.subarray(4, 4 + length)))
      .finish()
    assert.throws(() => decodeEchConfigList(cut), DecodeError)
  }
})

test('chooseEchConfig takes the first config that can be used, and its first suite that can', () => {
  const unusable = [
    config({ kem: 0x6666 }),
    config({ suites: [[0x1111, 0x2222]] }),
    config({ extensions: [0xaaaa] }),
    config({ publicName: 'under_score.example' }),
  ]
  assert.equal(chooseEchConfig(unusable), undefined)
  assert.equal(chooseEchConfig([]), undefined)
  const usable = config({
    suites: [
      [1, 0x2222],
      [0x1111, 1],
      [2, 3],
    ],
    extensions: [0x1111],
  })
  const chosen = chooseEchConfig([...unusable, usable, made.config])
  assert.equal(chosen?.config, usable)
  assert.deepEqual(chosen?.suite, { kem: 0x20, kdf: 2, aead: 3 })
})

test('isPublicName knows DNS names from what could be taken for an address', () => {
  for (const name of ['edge.example', 'a', 'xn--bcher-kva.example', '1.2.3.4a', '0.example', 'x0'])
    assert.equal(isPublicName(name), true, name)
  for (const name of [
    '',
    '.',
    'edge.example.',
    '.example',
    'a..b',
    '-a.example',
    'a-.example',
    'a_b.example',
    'bücher.example',
    '192.0.2.1',
    'edge.0x',
    'edge.0XfF',
    '1',
    `${'a'.repeat(64)}.example`,
    `${'a.'.repeat(127)}aa`,
  ]) {
    assert.equal(isPublicName(name), false, name)
  }
})
