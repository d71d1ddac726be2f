import assert from 'node:assert/strict'
import test from 'node:test'
import * as fc from 'fast-check'
import { concat, equalBytes, toHex } from '../../src/bytes/bytes.ts'
import { readAll, Reader } from '../../src/bytes/reader.ts'
import { Writer } from '../../src/bytes/writer.ts'

test('Writer patches nested length prefixes of every width', () => {
  const bytes = new Writer()
    .vector24((outer) => outer.uint8(1).vector16((inner) => inner.bytes8(new Uint8Array(3))))
    .finish()
  assert.equal(toHex(bytes), '000007' + '01' + '0004' + '03' + '000000')
})

test('Writer puts the length before bytes, in as many bytes as asked for', () => {
  const bytes = Uint8Array.of(1, 2)
  assert.equal(
    toHex(new Writer().bytes8(bytes).bytes16(bytes).bytes24(bytes).finish()),
    '020102' + '00020102' + '0000020102',
  )
})

test('Writer refuses contents that do not fit their prefix', () => {
  const tooLong = new Uint8Array(2 ** 24)
  assert.throws(() => new Writer().bytes24(tooLong), RangeError)
  assert.throws(() => new Writer().vector8((contents) => contents.bytes(new Uint8Array(256))), RangeError)
  assert.throws(() => new Writer().bytes8(new Uint8Array(256)), RangeError)
  assert.throws(() => new Writer().bytes16(new Uint8Array(65_536)), RangeError)
})

test('Reader reads what Writer wrote, and every truncation is a DecodeError', () => {
  const sample = fc.record(
    {
      small: fc.integer({ min: 0, max: 0xff }),
      medium: fc.integer({ min: 0, max: 0xffff }),
      large: fc.integer({ min: 0, max: 0xff_ffff }),
      huge: fc.integer({ min: 0, max: 0xffff_ffff }),
      items: fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 10 }),
    },
    { noNullPrototype: true },
  )
  const read = (reader: Reader): unknown => ({
    small: reader.uint8('small'),
    medium: reader.uint16('medium'),
    large: reader.uint24('large'),
    huge: reader.uint32('huge'),
    items: reader.vector16('items', (list) => list.each((item) => item.bytes8('item').slice())),
  })
  fc.assert(
    fc.property(sample, (value) => {
      const bytes = new Writer(1)
        .uint8(value.small)
        .uint16(value.medium)
        .uint24(value.large)
        .uint32(value.huge)
        .vector16((list) => value.items.forEach((item) => list.bytes8(item)))
        .finish()
      assert.deepEqual(readAll(bytes, 'sample', read), value)
      for (let length = 0; length < bytes.length; length++) {
        assert.throws(() => readAll(bytes.subarray(0, length), 'sample', read), { name: 'DecodeError' })
      }
      assert.throws(() => readAll(concat(bytes, new Uint8Array(1)), 'sample', read), {
        code: 'BYTES_TRAILING',
      })
    }),
  )
})

test('Reader gives a vector its bytes and no others', () => {
  const bytes = Uint8Array.of(0, 2, 8, 9, 7)
  const reader = new Reader(bytes)
  reader.vector16('outer', (contents) => {
    assert.equal(contents.remaining, 2)
    assert.throws(() => contents.bytes(3, 'too much'), { code: 'BYTES_TRUNCATED' })
    contents.rest()
  })
  assert.equal(reader.uint8('after'), 7)
  assert.throws(() => new Reader(bytes).vector16('outer', (contents) => contents.uint8('first')), {
    code: 'BYTES_TRAILING',
  })
  const tooLong = Uint8Array.of(0, 3, 1, 2)
  assert.throws(() => new Reader(tooLong).vector16('outer', () => undefined), { code: 'BYTES_TRUNCATED' })
})

test('Reader names the field whose length is out of bounds', () => {
  const reader = new Reader(Uint8Array.of(1, 9))
  assert.throws(() => reader.bytes8('cookie', { min: 2 }), {
    code: 'BYTES_LENGTH',
    message: 'cookie has a length of 1, expected 2 to Infinity',
  })
})

test('equalBytes agrees with byte-by-byte comparison', () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array(), (a, b) => {
      assert.equal(equalBytes(a, b), Buffer.compare(a, b) === 0)
      assert.ok(equalBytes(a, a.slice()))
    }),
  )
})
