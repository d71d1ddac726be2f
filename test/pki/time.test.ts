import assert from 'node:assert/strict'
import test from 'node:test'
import * as fc from 'fast-check'
import { utf8 } from '../../src/bytes/bytes.ts'
import { encodeElement } from '../../src/crypto/der.ts'
import { DerReader, Tag } from '../../src/pki/der.ts'
import { CertificateError } from '../../src/pki/errors.ts'
import { readTime } from '../../src/pki/time.ts'

function read(tag: number, text: string): string {
  const der = encodeElement(tag, utf8(text))
  return new Date(DerReader.readAll(der, 'validity', (reader) => readTime(reader, 'notAfter'))).toISOString()
}

test('readTime reads both forms, with the century of RFC 5280', () => {
  assert.equal(read(Tag.utcTime, '491231235959Z'), '2049-12-31T23:59:59.000Z')
  assert.equal(read(Tag.utcTime, '500101000000Z'), '1950-01-01T00:00:00.000Z')
  assert.equal(read(Tag.generalizedTime, '20500101000000Z'), '2050-01-01T00:00:00.000Z')
  assert.equal(read(Tag.generalizedTime, '99991231235959Z'), '9999-12-31T23:59:59.000Z')
  assert.equal(read(Tag.utcTime, '240229120000Z'), '2024-02-29T12:00:00.000Z')
})

test('readTime refuses every other form and days that do not exist', () => {
  const wrong: readonly (readonly [number, string])[] = [
    [Tag.utcTime, '2401010000Z'],
    [Tag.utcTime, '240101000000'],
    [Tag.utcTime, '240101000000+0000'],
    [Tag.utcTime, '20240101000000Z'],
    [Tag.utcTime, '24010100000aZ'],
    [Tag.utcTime, '24010100000 Z'],
    [Tag.utcTime, '240230000000Z'],
    [Tag.utcTime, '230229000000Z'],
    [Tag.utcTime, '241301000000Z'],
    [Tag.utcTime, '240001000000Z'],
    [Tag.utcTime, '240100000000Z'],
    [Tag.utcTime, '240101240000Z'],
    [Tag.utcTime, '240101006000Z'],
    [Tag.utcTime, '240101000060Z'],
    [Tag.generalizedTime, '240101000000Z'],
    [Tag.generalizedTime, '20240101000000.5Z'],
    [Tag.generalizedTime, '00500101000000Z'],
    [Tag.generalizedTime, ''],
  ]
  for (const [tag, text] of wrong)
    assert.throws(() => read(tag, text), { code: 'PKI_MALFORMED' }, `${text} should be refused`)
})

test('readTime reads back every second of the calendar, and never fails but by CertificateError', () => {
  const second = fc.integer({ min: Date.UTC(1950, 0) / 1000, max: Date.UTC(9999, 11, 31) / 1000 })
  fc.assert(
    fc.property(second, (seconds) => {
      const iso = new Date(seconds * 1000).toISOString()
      const digits = iso.slice(0, 19).replaceAll(/[-T:]/g, '')
      assert.equal(read(Tag.generalizedTime, `${digits}Z`), iso)
      if (seconds * 1000 < Date.UTC(2050, 0)) assert.equal(read(Tag.utcTime, `${digits.slice(2)}Z`), iso)
    }),
  )
  fc.assert(
    fc.property(fc.string({ maxLength: 16 }), (text) => {
      try {
        read(Tag.utcTime, text)
      } catch (error) {
        assert.ok(error instanceof CertificateError)
      }
    }),
  )
})
