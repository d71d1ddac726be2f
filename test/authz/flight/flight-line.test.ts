import assert from 'node:assert/strict'
import test from 'node:test'
import * as fc from 'fast-check'
import { decodeFlightLine } from '../../../src/authz/flight/decode.ts'
import { encodeFlightLine } from '../../../src/authz/flight/encode.ts'
import { flightLines } from '../../support/flight-lines.ts'

test('decodeFlightLine reads what encodeFlightLine wrote', () => {
  fc.assert(
    fc.property(flightLines(), (line) => {
      const text = encodeFlightLine(line)
      assert.equal(text.indexOf('\n'), text.length - 1)
      assert.deepEqual(decodeFlightLine(text), line)
    }),
  )
})

test('decodeFlightLine refuses every part of a line', () => {
  fc.assert(
    fc.property(flightLines(), fc.nat(), (line, place) => {
      const text = encodeFlightLine(line).trimEnd()
      assert.throws(() => decodeFlightLine(text.slice(0, place % text.length)), { code: 'AUTHZ_FLIGHT_LOG' })
    }),
  )
})

test('decodeFlightLine passes over fields that a newer proxy may write', () => {
  assert.deepEqual(decodeFlightLine('{"v":1,"kind":"lost","count":3,"why":{"a":[]}}'), {
    kind: 'lost',
    count: 3,
  })
})

test('decodeFlightLine names the field, what was expected and what came', () => {
  for (const [text, message] of [
    ['', 'The line is not JSON'],
    ['[]', 'the line: expected an object, got []'],
    ['{"v":2,"kind":"lost","count":1}', 'v: expected 1, got 2'],
    ['{"v":1,"kind":"found"}', 'kind: expected decision, proxy, policy or lost, got "found"'],
    ['{"v":1,"kind":"lost","count":-1}', 'count: expected a whole number, got -1'],
    [
      '{"v":1,"kind":"policy","at":"yesterday"}',
      'at: expected a time such as 2026-01-31T12:00:00.000Z, got "yesterday"',
    ],
  ] as const)
    assert.throws(() => decodeFlightLine(text), { code: 'AUTHZ_FLIGHT_LOG', message })
})
