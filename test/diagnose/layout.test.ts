import assert from 'node:assert/strict'
import test from 'node:test'
import * as fc from 'fast-check'
import { labelled, painter, wrap } from '../../src/diagnose/layout.ts'
import { printable } from '../../src/diagnose/printable.ts'
import { durationText, millisecondsText, momentText, validityText } from '../../src/diagnose/time-text.ts'

test('wrap keeps every character and no line is too long', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 200 }), fc.integer({ min: 1, max: 40 }), (text, width) => {
      const lines = wrap(text, width)
      assert.ok(lines.every((line) => line.length <= width))
      assert.equal(lines.join('').replaceAll(' ', ''), text.replaceAll(' ', ''))
    }),
  )
})

test('wrap breaks at spaces, and in a word only when it is alone too long', () => {
  assert.deepEqual(wrap('one two three', 7), ['one two', 'three'])
  assert.deepEqual(wrap('a abcdefgh b', 3), ['a', 'abc', 'def', 'gh', 'b'])
  assert.deepEqual(wrap('', 10), [''])
})

test('labelled shows a repeated label once and keeps texts in their column', () => {
  const rows = [
    ['name', 'web'],
    ['name', 'one two three'],
    ['id', 'x'],
  ] as const
  const lines = labelled(rows, { indent: 1, label: 5, width: 13 }, (text) => text)
  assert.deepEqual(lines, [' name web', '      one two', '      three', ' id   x'])
})

test('painter adds escapes only where there is colour', () => {
  assert.equal(painter(false)('red', 'x'), 'x')
  assert.equal(painter(true)('red', 'x'), '\u001b[31mx\u001b[39m')
})

test('printable leaves no invisible character, and says which there were', () => {
  assert.equal(printable('Grüße, 世界'), 'Grüße, 世界')
  assert.equal(printable('a\u001b[31m\u200b\u2028'), 'a\\u{1b}[31m\\u{200b}\\u{2028}')
  assert.ok(printable('x'.repeat(10_000)).length <= 301)
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      assert.doesNotMatch(printable(text), /[\p{C}\p{Zl}\p{Zp}]/u)
    }),
  )
})

test('durationText names the two largest units', () => {
  assert.equal(durationText(0), '0 ms')
  assert.equal(durationText(999.9), '999 ms')
  assert.equal(durationText(1_000), '1 s')
  assert.equal(durationText(61_000), '1 min 1 s')
  assert.equal(durationText(3_600_000), '1 h')
  assert.equal(durationText(26 * 3_600_000 + 59_000), '1 d 2 h')
  assert.equal(durationText(-5), '0 ms')
})

test('momentText is in UTC, whatever a certificate claims', () => {
  assert.equal(momentText(0), '1970-01-01 00:00:00 UTC')
  assert.equal(momentText(9e15), 'a time beyond all calendars')
  assert.equal(millisecondsText(4.06), '4.1 ms')
})

test('validityText counts the last second of validity as valid', () => {
  const validity = { notBeforeMs: 10_000, notAfterMs: 20_000 }
  assert.match(validityText(validity, 9_999), /^not valid until 1970-01-01 00:00:10 UTC, in 1 ms$/)
  assert.match(validityText(validity, 10_000), /^until 1970-01-01 00:00:20 UTC, 10 s left$/)
  assert.match(validityText(validity, 20_999), /^until .* 0 ms left$/)
  assert.match(validityText(validity, 21_000), /^expired .* 1 s ago$/)
})
