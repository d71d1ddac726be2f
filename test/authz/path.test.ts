import assert from 'node:assert/strict'
import test from 'node:test'
import * as fc from 'fast-check'
import { normalizePath, type PathRefusal } from '../../src/authz/path.ts'
import { policy, policySet } from './support.ts'

test('normalizePath keeps what is in its one spelling', () => {
  for (const path of [
    '/',
    '/a',
    '/a/',
    '/a/b.c/~d',
    '/.well-known/x',
    '/...',
    '/a..b',
    "/@x:1,2=(3)!$&'*+",
    '*',
  ])
    assert.deepEqual(normalizePath(path), { kind: 'path', path })
})

test('normalizePath reduces other spellings to the one', () => {
  const spellings = {
    '/a?b=/../c': '/a',
    '/a?': '/a',
    '/?x': '/',
    'http://shop:80/a/b?c': '/a/b',
    'HTTPS://[::1]/a': '/a',
    'http://shop': '/',
    'http://shop?x': '/',
    '/%61%2Db%7e': '/a-b~',
    '/%40admin': '/@admin',
    '/a%20b': '/a%20b',
    '/caf%c3%a9': '/caf%C3%A9',
    '/[id].js': '/%5Bid%5D.js',
    '/%5bid%5D.js': '/%5Bid%5D.js',
    '/A/b': '/A/b',
  }
  for (const [target, path] of Object.entries(spellings))
    assert.deepEqual(normalizePath(target), { kind: 'path', path }, target)
})

test('normalizePath refuses what servers read differently, and says why', () => {
  const refusals: Readonly<Record<PathRefusal, readonly string[]>> = {
    'too-long': [`/${'a'.repeat(16_384)}`],
    'not-a-path': [
      '',
      'a',
      '?a',
      'shop:443',
      'ftp://shop/a',
      'http:///a',
      'http://user@shop/a',
      'http://h\\/a',
    ],
    fragment: ['/a#b', '/a?b#c', '/a#/../admin'],
    'invalid-character': ['/a b', '/a\0', '/a\tb', '/a\x7f', '/é', '/%00', '/%0a', '/%7F'],
    'malformed-percent': ['/%', '/%4', '/%zz', '/a%2', '/%-1'],
    'encoded-delimiter': ['/a%2Fb', '/a%2fb', '/a%3fb', '/a%23'],
    'double-encoding': ['/%2561', '/100%25', '/%252e%252e/'],
    backslash: ['/a\\b', '/a%5cb', '/..%5C'],
    'path-parameter': ['/a;x=1', '/..;/admin', '/a%3Bx'],
    'empty-segment': ['//', '//a', '/a//b', '/a//', 'http://h//a'],
    'dot-segment': ['/.', '/..', '/./a', '/a/../b', '/a/.', '/a/..', '/%2e%2E/a', '/a/.%2e', '/a/%2e?x'],
    'invalid-utf8': ['/%ff', '/%c0%af', '/%c3', '/%ed%a0%80'],
  }
  for (const [reason, targets] of Object.entries(refusals))
    for (const target of targets)
      assert.deepEqual(normalizePath(target), { kind: 'refused', reason }, JSON.stringify(target))
})

/** What a server makes of a path that it decodes once. */
const decoded = (path: string): string => decodeURIComponent(path)

/** Printable characters, dangerous ones often, and any character now and then. */
const character = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...Array.from('abAB019-._~/@:=+[]{}|"<>^`\'()*!$&,; %\\?#é€\0')) },
  { weight: 1, arbitrary: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 1 }) },
)

const path = fc.array(character, { maxLength: 8 }).map((characters) => `/${characters.join('')}`)

/** Spells a path in one of the many ways, each character for itself or percent-encoded in either case. */
function respelled(text: string, choices: readonly number[]): string {
  const bytes = new TextEncoder().encode(text)
  return Array.from(bytes, (byte, index) => {
    const choice = choices[index % choices.length]!
    const hex = byte.toString(16).padStart(2, '0')
    const literal = choice === 0 && byte > 0x20 && byte < 0x7f && !'%?#'.includes(String.fromCharCode(byte))
    if (literal || index === 0) return String.fromCharCode(byte)
    return choice === 1 ? `%${hex}` : `%${hex.toUpperCase()}`
  }).join('')
}

const choices = fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 1, maxLength: 12 })

test('normalizePath gives all accepted spellings of a path one result, which it leaves alone', () => {
  fc.assert(
    fc.property(path, choices, choices, (text, someWay, anotherWay) => {
      const one = normalizePath(respelled(text, someWay))
      const other = normalizePath(respelled(text, anotherWay))
      if (one.kind === 'refused') return
      assert.deepEqual(normalizePath(one.path), one)
      assert.equal(decoded(one.path), text)
      if (other.kind === 'path') assert.equal(other.path, one.path)
    }),
    { numRuns: 3_000 },
  )
})

test('normalizePath gives paths that decode differently different results', () => {
  fc.assert(
    fc.property(path, path, choices, (some, another, way) => {
      const one = normalizePath(respelled(some, way))
      const other = normalizePath(respelled(another, way))
      if (one.kind === 'path' && other.kind === 'path')
        assert.equal(one.path === other.path, some === another)
    }),
    { numRuns: 2_000 },
  )
})

test('normalizePath accepts a target only as the path that WHATWG URL parsing resolves it to', () => {
  fc.assert(
    fc.property(fc.array(character, { maxLength: 10 }), (characters) => {
      const target = `/${characters.join('')}`
      const result = normalizePath(target)
      if (result.kind === 'path')
        assert.equal(decoded(new URL(target, 'http://shop').pathname), decoded(result.path))
    }),
    { numRuns: 3_000 },
  )
})

test('PolicySet lets no accepted spelling of a path past a DENY of it', () => {
  const set = policySet(
    policy('all', '{ action: ALLOW, rules: [{}] }'),
    policy(
      'no',
      '{ action: DENY, rules: [{ to: [{ paths: ["/admin", "/admin/*", "/@x/[y]*"] }] }] }'.replace(
        '[y]',
        '%5By%5D',
      ),
    ),
  )
  const evaluator = set.forWorkload({ namespace: 'shop', serviceAccount: 'catalog' })
  const denied = fc.oneof(
    fc.constantFrom('/admin', '/@x/[y]'),
    path.map((rest) => `/admin${rest}`),
    path.map((rest) => `/@x/[y]${rest}`),
  )
  fc.assert(
    fc.property(denied, choices, fc.constantFrom('', '?q', '?/../a'), (text, way, query) => {
      const http = { method: 'GET', path: respelled(text, way) + query }
      const decision = evaluator.decide({ principal: 'spiffe://td/a', port: 80, http })
      assert.equal(decision.kind, 'denial')
      assert.match(decision.cause, /^(?:denied-by-rule|ambiguous-path)$/)
    }),
    { numRuns: 2_000 },
  )
})
