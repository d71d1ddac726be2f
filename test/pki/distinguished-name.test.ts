import assert from 'node:assert/strict'
import test from 'node:test'
import { concat, utf8 } from '../../src/bytes/bytes.ts'
import { encodeElement } from '../../src/crypto/der.ts'
import { Tag } from '../../src/pki/der.ts'
import { DistinguishedName } from '../../src/pki/distinguished-name.ts'

const CN = '0603550403'
const O = '060355040a'
const UNKNOWN = '06032a0304'

type Attribute = readonly [oid: string, value: string | Uint8Array, tag?: number]

function name(...rdns: readonly (readonly Attribute[])[]): DistinguishedName {
  const sets = rdns.map((attributes) =>
    encodeElement(
      Tag.set,
      ...attributes.map(([oid, value, tag = Tag.utf8String]) =>
        encodeElement(
          Tag.sequence,
          Uint8Array.fromHex(oid),
          encodeElement(tag, typeof value === 'string' ? utf8(value) : value),
        ),
      ),
    ),
  )
  return DistinguishedName.parse(encodeElement(Tag.sequence, ...sets))
}

test('DistinguishedName.text shows names most specific first, escaped for terminals', () => {
  assert.equal(name([[O, 'Shop']], [[CN, 'web']]).text, 'CN=web,O=Shop')
  assert.equal(
    name([
      [CN, 'web'],
      [O, 'Shop'],
    ]).text,
    'CN=web+O=Shop',
  )
  assert.equal(name().text, '')
  assert.equal(name([[CN, 'a,b+c"d\\e<f>g;h']]).text, 'CN=a\\,b\\+c\\"d\\\\e\\<f\\>g\\;h')
  assert.equal(name([[CN, '#a']]).text, 'CN=\\#a')
  assert.equal(name([[CN, ' a ']]).text, 'CN=\\ a\\ ')
  assert.equal(name([[CN, ' ']]).text, 'CN=\\ ')
  assert.equal(name([[CN, 'a\u001b[31m\n\u202e']]).text, 'CN=a\\1b[31m\\0a\\e2\\80\\ae')
  assert.equal(name([[CN, 'bücher']]).text, 'CN=bücher')
  assert.equal(name([[UNKNOWN, 'x']]).text, '1.2.3.4=x')
  assert.equal(name([[CN, Uint8Array.of(1, 2), Tag.bmpString]]).text, 'CN=#0102')
})

test('DistinguishedName.equals compares bytes, as issuers must repeat them', () => {
  assert.ok(name([[CN, 'web']]).equals(name([[CN, 'web']])))
  assert.ok(!name([[CN, 'web']]).equals(name([[CN, 'Web']])))
  assert.ok(!name([[CN, 'web']]).equals(name([[CN, 'web', Tag.printableString]])))
})

test('DistinguishedName.isWithin compares values as people mean them', () => {
  const base = name([[O, 'The  Shop']])
  assert.ok(name([[O, 'the shop', Tag.printableString]], [[CN, 'web']]).isWithin(base))
  assert.ok(name([[O, 'The  Shop']]).isWithin(base))
  assert.ok(base.isWithin(name()))
  assert.ok(!name([[O, 'The Shopping']]).isWithin(base))
  assert.ok(!name([[CN, 'web']], [[O, 'The Shop']]).isWithin(base))
  assert.ok(!name().isWithin(base))
  // A value that holds what looks like another attribute is still one value.
  assert.ok(
    !name([[CN, 'a+2.5.4.10="b"']]).isWithin(
      name([
        [CN, 'a'],
        [O, 'b'],
      ]),
    ),
  )
})

test('DistinguishedName.parse refuses empty sets and anything left over', () => {
  const empty = encodeElement(Tag.sequence, encodeElement(Tag.set))
  assert.throws(() => DistinguishedName.parse(empty), { code: 'PKI_MALFORMED' })
  assert.throws(() => DistinguishedName.parse(concat(name().der, Uint8Array.of(0))), {
    code: 'PKI_MALFORMED',
  })
})
