import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import test from 'node:test'
import { terminalOf } from '../../src/cmd/terminal.ts'

const pipe = new PassThrough()
const tty = Object.assign(new PassThrough(), { isTTY: true, columns: 97 })

test('terminalOf colours terminals only, unless the environment says otherwise', () => {
  const colour = (stream: PassThrough, env: Record<string, string>): boolean => terminalOf(stream, env).colour
  assert.equal(colour(tty, {}), true)
  assert.equal(colour(pipe, {}), false)
  assert.equal(colour(tty, { NO_COLOR: '1' }), false)
  assert.equal(colour(tty, { NO_COLOR: '' }), true)
  assert.equal(colour(tty, { TERM: 'dumb' }), false)
  assert.equal(colour(pipe, { FORCE_COLOR: '1' }), true)
  assert.equal(colour(tty, { FORCE_COLOR: '0' }), false)
  assert.equal(colour(pipe, { FORCE_COLOR: '1', NO_COLOR: '1' }), false)
})

test('terminalOf takes the width of the terminal or COLUMNS, between 80 and 110', () => {
  assert.equal(terminalOf(tty, {}).width, 97)
  assert.equal(terminalOf(pipe, {}).width, 100)
  assert.equal(terminalOf(tty, { COLUMNS: '90' }).width, 90)
  assert.equal(terminalOf(tty, { COLUMNS: '20' }).width, 80)
  assert.equal(terminalOf(tty, { COLUMNS: '400' }).width, 110)
  assert.equal(terminalOf(tty, { COLUMNS: 'wide' }).width, 97)
})
