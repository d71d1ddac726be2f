import assert from 'node:assert/strict'
import test from 'node:test'
import * as fc from 'fast-check'
import { encodeElement } from '../../src/crypto/der.ts'
import { DerReader, Tag } from '../../src/pki/der.ts'
import { CertificateError } from '../../src/pki/errors.ts'

function read<T>(hex: string, reading: (reader: DerReader) => T): T {
  return DerReader.readAll(Uint8Array.fromHex(hex), 'input', reading)
}

function refuses(hex: string, reading: (reader: DerReader) => unknown, message: RegExp): void {
  assert.throws(
    () => read(hex, reading),
    (error: unknown) =>
      error instanceof CertificateError && error.code === 'PKI_MALFORMED' && message.test(error.message),
    `${hex} should be refused with ${message}`,
  )
}

test('DerReader refuses lengths that are not definite and minimal', () => {
  const octets = (reader: DerReader): Uint8Array => reader.octetString('field')
  assert.equal(read('0403010203', octets).length, 3)
  refuses('0480000000', octets, /indefinite/)
  refuses('048103010203', octets, /shortest form/)
  refuses('04820003010203', octets, /shortest form/)
  refuses('0484000000030102', octets, /more than three bytes/)
  refuses('0404010203', octets, /announces 4 bytes, but 3 are left/)
  refuses('0482', octets, /ends before its length/)
  refuses('04', octets, /ends before its length/)
  refuses('', octets, /is missing/)
})

test('DerReader refuses bytes that are left over, inside and outside', () => {
  refuses(
    '04010100',
    (reader) => reader.octetString('field'),
    /input has 1 bytes after its last field, at byte 3/,
  )
  refuses(
    '30040401010500',
    (reader) => reader.sequence('outer', (inner) => inner.octetString('field')),
    /after/,
  )
})

test('DerReader names the field by its path, and its offset in the whole input', () => {
  const nested = (reader: DerReader): boolean =>
    reader.sequence('outer', (outer) => outer.sequence('middle', (middle) => middle.boolean('flag')))
  refuses('300530030101aa', nested, /^input\.outer\.middle\.flag at byte 7 is not a BOOLEAN/)
})

test('DerReader.boolean takes 00 and FF only, and no default in its encoding', () => {
  assert.equal(
    read('0101ff', (reader) => reader.boolean('flag')),
    true,
  )
  assert.equal(
    read('010100', (reader) => reader.boolean('flag')),
    false,
  )
  refuses('010101', (reader) => reader.boolean('flag'), /00 or FF/)
  refuses('0102ffff', (reader) => reader.boolean('flag'), /00 or FF/)
  refuses('010100', (reader) => reader.booleanDefaultFalse('flag'), /default value/)
})

test('DerReader.integer takes the fewest bytes only', () => {
  assert.deepEqual(
    read('02020080', (reader) => reader.integer('n')),
    Uint8Array.of(0, 0x80),
  )
  refuses('0200', (reader) => reader.integer('n'), /no bytes/)
  refuses('0202007f', (reader) => reader.integer('n'), /needless/)
  refuses('0202ff80', (reader) => reader.integer('n'), /needless/)
  assert.equal(
    read('02020100', (reader) => reader.smallInteger('n', 256)),
    256,
  )
  refuses('02020101', (reader) => reader.smallInteger('n', 256), /outside 0 to 256/)
  refuses('0201ff', (reader) => reader.smallInteger('n', 256), /outside 0 to 256/)
  refuses('02050100000000', (reader) => reader.smallInteger('n', 2 ** 30), /outside/)
})

test('DerReader.bitString wants its unused bits few and zero', () => {
  assert.equal(read('03020780', (reader) => reader.bitString('bits')).unusedBits, 7)
  refuses('0300', (reader) => reader.bitString('bits'), /is not a BIT STRING/)
  refuses('03020880', (reader) => reader.bitString('bits'), /is not a BIT STRING/)
  refuses('030101', (reader) => reader.bitString('bits'), /empty/)
  refuses('03020781', (reader) => reader.bitString('bits'), /not zero/)
  refuses('03020780', (reader) => reader.bitStringBytes('bits'), /whole bytes/)
})

test('DerReader.oid gives dotted decimals of any size, and refuses padding and truncation', () => {
  const oid = (reader: DerReader): string => reader.oid('type')
  assert.equal(read('06032a0304', oid), '1.2.3.4')
  assert.equal(read('0603883703', oid), '2.999.3')
  assert.equal(read('0601' + '27', oid), '0.39')
  assert.equal(read('06092b06010401828c3d01', oid), '1.3.6.1.4.1.34365.1')
  // 2.25 with a UUID of 128 bits, all ones
  assert.equal(read('0614' + '69' + '83ffffffffffffffffffffffffffffffffff7f', oid), `2.25.${2n ** 128n - 1n}`)
  refuses('0600', oid, /not a whole/)
  refuses('06022a80', oid, /not a whole/)
  refuses('06032a8001', oid, /needless/)
})

test('DerReader.oid reads back any object identifier', () => {
  const arc = fc.bigInt({ min: 0n, max: 2n ** 120n })
  const arbitrary = fc.tuple(
    fc.integer({ min: 0, max: 1 }),
    fc.bigInt({ min: 0n, max: 39n }),
    fc.array(arc, { maxLength: 3 }),
  )
  fc.assert(
    fc.property(arbitrary, ([first, second, rest]) => {
      const contents = [BigInt(first) * 40n + second, ...rest].flatMap(base128)
      const der = encodeElement(Tag.oid, Uint8Array.from(contents))
      const text = DerReader.readAll(der, 'oid', (reader) => reader.oid('type'))
      assert.equal(text, [first, second, ...rest].join('.'))
    }),
  )
})

test('DerReader.ia5String and null take nothing but their own', () => {
  assert.equal(
    read('16026869', (reader) => reader.ia5String('text')),
    'hi',
  )
  refuses('160268e9', (reader) => reader.ia5String('text'), /not ASCII/)
  refuses('16026800', (reader) => reader.ia5String('text'), /not ASCII/)
  refuses('050100', (reader) => reader.null('nothing'), /NULL with contents/)
  refuses('1f1f00', (reader) => reader.any('value'), /tag number above 30/)
  refuses('0500', (reader) => reader.boolean('flag'), /has tag 0x05, expected 0x01/)
  refuses('3000', (reader) => reader.list(Tag.sequence, 'items', (list) => list.any('item')), /empty list/)
})

test('DerReader bounds nesting', () => {
  let der = encodeElement(Tag.null)
  for (let i = 0; i < 40; i++) der = encodeElement(Tag.sequence, der)
  const descend = (reader: DerReader): void => {
    if (reader.next(Tag.sequence)) reader.sequence('deeper', descend)
    else reader.null('end')
  }
  assert.throws(() => DerReader.readAll(der, 'input', descend), /nested deeper than 24 levels/)
})

function base128(arc: bigint): number[] {
  const bytes = [Number(arc & 0x7fn)]
  for (let rest = arc >> 7n; rest > 0n; rest >>= 7n) bytes.unshift(Number(rest & 0x7fn) | 0x80)
  return bytes
}
