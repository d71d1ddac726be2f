import assert from 'node:assert/strict'
import test from 'node:test'
import { UsageError } from '../../src/cmd/errors.ts'
import { parseDurationMs, parseFlags, parseHostPort, parseList, parseNames } from '../../src/cmd/flags.ts'

function refusal(act: () => unknown): string {
  try {
    act()
  } catch (thrown) {
    assert.ok(thrown instanceof UsageError)
    return thrown.message
  }
  return assert.fail('It was accepted')
}

test('parseFlags returns values and exactly the arguments that are wanted', () => {
  const rules = {
    options: { all: { type: 'boolean' }, name: { type: 'string' } },
    positionals: ['FILE'],
  } as const
  const { values, positionals } = parseFlags(['--name', 'x', 'a.pem'], rules)
  assert.deepEqual([{ ...values }, positionals], [{ name: 'x' }, ['a.pem']])
  assert.equal(
    refusal(() => parseFlags([], rules)),
    'Missing argument: expected FILE, got nothing',
  )
  assert.equal(
    refusal(() => parseFlags(['a', 'b'], rules)),
    'Unexpected argument "b": expected FILE',
  )
  assert.equal(
    refusal(() => parseFlags(['--nam', 'x'], rules)),
    '--nam: no such flag; did you mean --name?',
  )
  assert.equal(
    refusal(() => parseFlags(['a', '--all=1'], rules)),
    '--all: expected no value, got one',
  )
  assert.equal(
    refusal(() => parseFlags(['a', '-x'], rules)),
    '-x: no such flag',
  )
})

test('parseHostPort reads names, IPv4 and bracketed IPv6', () => {
  assert.deepEqual(parseHostPort('--listen', 'localhost:443'), { host: 'localhost', port: 443 })
  assert.deepEqual(parseHostPort('--listen', '127.0.0.1:0'), { host: '127.0.0.1', port: 0 })
  assert.deepEqual(parseHostPort('--listen', '[::1]:65535'), { host: '::1', port: 65_535 })
  for (const text of ['', ':1', 'a', 'a:', 'a:65536', 'a:-1', '[::1]', 'a b:1', 'http://a:1'])
    assert.equal(
      refusal(() => parseHostPort('--listen', text)),
      `--listen: expected HOST:PORT, got ${JSON.stringify(text)}`,
    )
})

test('parseDurationMs takes durations longer than none', () => {
  assert.equal(parseDurationMs('--timeout', '1m30s'), 90_000)
  for (const text of ['', '0s', '10', '-1s', '1y'])
    assert.match(
      refusal(() => parseDurationMs('--timeout', text)),
      /^--timeout: expected a duration such as 500ms, 10s or 2m, got "/,
    )
})

test('parseNames takes names of the list, in the given order, each once', () => {
  const known = ['x25519', 'secp256r1'] as const
  assert.deepEqual(parseNames('--groups', 'secp256r1, x25519', known), ['secp256r1', 'x25519'])
  assert.equal(
    refusal(() => parseNames('--groups', 'x25591', known)),
    '--groups: expected some of x25519, secp256r1, got "x25591"; did you mean x25519?',
  )
  assert.equal(
    refusal(() => parseList('--alpn', 'a,,b')),
    '--alpn: expected names separated by commas, got "a,,b"',
  )
  assert.equal(
    refusal(() => parseList('--alpn', 'a,b,a')),
    '--alpn: expected each name once, got "a" twice',
  )
})
