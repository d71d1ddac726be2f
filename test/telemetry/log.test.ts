import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import test from 'node:test'
import { HandfastError } from '../../src/errors.ts'
import { createLogger, type LogFields, type Logger } from '../../src/telemetry/log.ts'
import { MemoryLog } from '../support/memory-log.ts'

function capture(level?: 'debug' | 'info' | 'silent'): {
  log: Logger
  lines: () => Record<string, unknown>[]
} {
  let text = ''
  const destination = new Writable({
    write(chunk, _encoding, done) {
      text += String(chunk)
      done()
    },
  })
  return {
    log: createLogger({ ...(level !== undefined && { level }), destination, component: 'proxy' }),
    lines: () =>
      text
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as Record<string, unknown>),
  }
}

function written(fields: LogFields): Record<string, unknown> {
  const { log, lines } = capture()
  log.info('Something happened', fields)
  return lines()[0]!
}

test('createLogger writes one JSON object a line with time, level, component and message', () => {
  const { log, lines } = capture()
  log.warn('The peer went away', { peer: 'spiffe://mesh.test/ns/shop/sa/web' })
  const [line] = lines()
  assert.equal(line!['level'], 'warn')
  assert.equal(line!['component'], 'proxy')
  assert.equal(line!['message'], 'The peer went away')
  assert.equal(line!['peer'], 'spiffe://mesh.test/ns/shop/sa/web')
  assert.match(String(line!['time']), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
})

test('createLogger drops lines below its level', () => {
  const { log, lines } = capture()
  log.debug('quiet')
  log.info('heard')
  assert.deepEqual(
    lines().map((line) => line['message']),
    ['heard'],
  )
  const silent = capture('silent')
  silent.log.error('nothing')
  assert.equal(silent.lines().length, 0)
})

test('createLogger redacts credentials by field name at any depth, and keeps what is only about them', () => {
  const line = written({
    joinToken: 'abc',
    nested: { private_key: 'abc', headers: { Authorization: 'Bearer abc', accept: 'x' } },
    list: [{ password: 'abc' }],
    key: new Uint8Array([1, 2, 3]),
    tokenPath: '/run/token',
    keyId: 'k1',
    tokens: 3,
  })
  assert.equal(line['joinToken'], '[redacted]')
  assert.deepEqual(line['nested'], {
    private_key: '[redacted]',
    headers: { Authorization: '[redacted]', accept: 'x' },
  })
  assert.deepEqual(line['list'], [{ password: '[redacted]' }])
  assert.equal(line['key'], '[redacted]')
  assert.equal(line['tokenPath'], '/run/token')
  assert.equal(line['keyId'], 'k1')
  assert.equal(line['tokens'], 3)
})

test('createLogger redacts a private key inside any text, even a truncated one', () => {
  const pem = '-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----'
  assert.equal(written({ text: `before ${pem} after` })['text'], 'before [redacted] after')
  assert.equal(written({ text: '-----BEGIN PRIVATE KEY-----\nMHcC' })['text'], '[redacted]')
  const failed = written({ error: new HandfastError('X', `Cannot read ${pem}`) })['error'] as LogFields
  assert.equal(failed['message'], 'Cannot read [redacted]')
})

test('createLogger writes errors with code and causes, and the stack only of those that are not ours', () => {
  const error = new HandfastError('NET_TIMEOUT', 'No answer', { cause: new TypeError('broken') })
  const { cause, ...own } = written({ error })['error'] as Record<string, LogFields>
  assert.deepEqual(own, { name: 'HandfastError', code: 'NET_TIMEOUT', message: 'No answer' })
  assert.equal(cause!['message'], 'broken')
  assert.match(String(cause!['stack']), /TypeError: broken/)
})

test('createLogger survives cycles, bytes and big integers', () => {
  const cycle: Record<string, unknown> = { name: 'loop' }
  cycle['self'] = cycle
  const line = written({ cycle, serial: new Uint8Array([0xab, 1]), big: 10n, blob: new Uint8Array(1000) })
  assert.match(JSON.stringify(line['cycle']), /\[deeper\]/)
  assert.equal(line['serial'], 'ab01')
  assert.equal(line['big'], '10')
  assert.equal(line['blob'], '1000 bytes')
})

test('createLogger gives children their fields, redacted as well', () => {
  const { log, lines } = capture()
  log.child({ connection: 7, token: 'abc' }).info('hello')
  assert.equal(lines()[0]!['connection'], 7)
  assert.equal(lines()[0]!['token'], '[redacted]')
})

test('MemoryLog keeps the lines of itself and its children', () => {
  const log = new MemoryLog()
  log.child({ a: 1 }).warn('w', { b: 2 })
  assert.deepEqual(log.named('w'), [{ level: 'warn', message: 'w', fields: { a: 1, b: 2 } }])
})
