import assert from 'node:assert/strict'
import test from 'node:test'
import * as fc from 'fast-check'
import { IdentityError } from '../../src/identity/errors.ts'
import { SpiffeId } from '../../src/identity/spiffe-id.ts'

const TRUST_DOMAIN_CHARACTERS = 'abcdefghijklmnopqrstuvwxyz0123456789.-_'
const PATH_CHARACTERS = `${TRUST_DOMAIN_CHARACTERS}ABCDEFGHIJKLMNOPQRSTUVWXYZ`

function refuses(text: string, message = /./): void {
  assert.throws(
    () => SpiffeId.parse(text),
    (error: unknown) =>
      error instanceof IdentityError && error.code === 'IDENTITY_MALFORMED' && message.test(error.message),
    JSON.stringify(text),
  )
}

test('SpiffeId.parse reads every well-formed ID, and toString gives it back', () => {
  const of = (characters: string, maxLength: number) =>
    fc.string({ unit: fc.constantFrom(...characters.split('')), minLength: 1, maxLength })
  const segment = of(PATH_CHARACTERS, 20).filter((text) => text !== '.' && text !== '..')
  fc.assert(
    fc.property(
      of(TRUST_DOMAIN_CHARACTERS, 255),
      fc.array(segment, { maxLength: 6 }),
      (trustDomain, segments) => {
        const text = ['spiffe://' + trustDomain, ...segments].join('/')
        const id = SpiffeId.parse(text)
        assert.equal(id.toString(), text)
        assert.equal(id.trustDomain, trustDomain)
        assert.equal(id.path, segments.map((part) => `/${part}`).join(''))
        assert.equal(id.isTrustDomain, segments.length === 0)
        assert.ok(id.equals(SpiffeId.of(trustDomain, ...segments)))
        assert.equal(JSON.stringify({ id }), JSON.stringify({ id: text }))
      },
    ),
  )
})

test('SpiffeId.parse refuses every other character, in the trust domain and in the path', () => {
  for (let code = 0; code < 0x180; code++) {
    const character = String.fromCodePoint(code)
    if (!TRUST_DOMAIN_CHARACTERS.includes(character) && character !== '/')
      refuses(`spiffe://sh${character}op/web`)
    if (!PATH_CHARACTERS.includes(character) && character !== '/') refuses(`spiffe://shop/w${character}eb`)
  }
  for (const character of ['\u2024', '\uff0e', '\u{1f600}', '\ud800']) {
    refuses(`spiffe://shop${character}/web`)
    refuses(`spiffe://shop/web${character}`)
  }
})

test('SpiffeId.parse refuses what has another form, saying why', () => {
  refuses('', /does not start with spiffe:/)
  refuses('SPIFFE://shop/web', /does not start/)
  refuses('https://shop/web', /does not start/)
  refuses('spiffe:/shop/web', /does not start/)
  refuses(' spiffe://shop/web', /does not start/)
  refuses('spiffe://', /no trust domain/)
  refuses('spiffe:///web', /no trust domain/)
  refuses('spiffe://Shop/web', /"S" in its trust domain/)
  refuses('spiffe://shop:443/web', /":" in its trust domain/)
  refuses('spiffe://user@shop/web', /"@" in its trust domain/)
  refuses('spiffe://shop/', /ends in a slash/)
  refuses('spiffe://shop/web/', /ends in a slash/)
  refuses('spiffe://shop//web', /empty path segment/)
  refuses('spiffe://shop/./web', /path segment \./)
  refuses('spiffe://shop/a/../web', /path segment \.\./)
  refuses('spiffe://shop/%77eb', /"%" in its path/)
  refuses('spiffe://shop/web?x', /"\?" in its path/)
  refuses('spiffe://shop/web#x', /"#" in its path/)
  refuses('spiffe://shop/web\n', /in its path/)
  assert.equal(SpiffeId.parse('spiffe://shop/...').path, '/...')
})

test('SpiffeId.parse bounds lengths, at the very byte', () => {
  const domain = 'd'.repeat(255)
  SpiffeId.parse(`spiffe://${domain}/web`)
  refuses(`spiffe://${domain}d/web`, /longer than 255/)
  const base = 'spiffe://shop/'
  SpiffeId.parse(base + 'p'.repeat(2048 - base.length))
  refuses(base + 'p'.repeat(2049 - base.length), /2049 characters/)
})

test('SpiffeId knows the Kubernetes convention', () => {
  const id = SpiffeId.forServiceAccount('shop.example', 'shop', 'web')
  assert.equal(id.toString(), 'spiffe://shop.example/ns/shop/sa/web')
  assert.deepEqual([id.namespace, id.serviceAccount], ['shop', 'web'])
  for (const path of [
    '',
    '/ns/shop',
    '/ns/shop/sa',
    '/ns/shop/sa/web/x',
    '/x/ns/shop/sa/web',
    '/NS/shop/SA/web',
  ]) {
    const other = SpiffeId.parse(`spiffe://shop.example${path}`)
    assert.deepEqual([other.namespace, other.serviceAccount], [undefined, undefined], path)
  }
})

test('SpiffeId.of does not let a part move the borders', () => {
  for (const parts of [['shop', 'a/b'], ['shop/a'], ['shop/a', 'b'], ['shop', ''], ['shop', '..'], ['']])
    assert.throws(
      () => SpiffeId.of(parts[0]!, ...parts.slice(1)),
      { code: 'IDENTITY_MALFORMED' },
      parts.join(),
    )
  assert.throws(() => SpiffeId.forServiceAccount('shop', 'a/sa/admin', 'web'), { code: 'IDENTITY_MALFORMED' })
  assert.equal(SpiffeId.ofTrustDomain('shop').toString(), 'spiffe://shop')
})

test('SpiffeId.equals compares both parts exactly', () => {
  const id = SpiffeId.parse('spiffe://shop/web')
  assert.ok(id.equals(SpiffeId.parse('spiffe://shop/web')))
  for (const other of ['spiffe://shop/Web', 'spiffe://shop', 'spiffe://shop2/web', 'spiffe://shop/web/a'])
    assert.ok(!id.equals(SpiffeId.parse(other)))
})
