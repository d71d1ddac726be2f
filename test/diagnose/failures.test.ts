import assert from 'node:assert/strict'
import test from 'node:test'
import { alertMeaning } from '../../src/diagnose/alerts.ts'
import { failureOf } from '../../src/diagnose/failures.ts'
import { IDENTITY_ERROR_CODES } from '../../src/identity/errors.ts'
import { NET_ERROR_CODES } from '../../src/net/errors.ts'
import { PKI_ERROR_CODES } from '../../src/pki/errors.ts'
import { AlertDescription } from '../../src/tls/alerts.ts'
import { TLS_ERROR_CODES } from '../../src/tls/errors.ts'

const CODES = [TLS_ERROR_CODES, PKI_ERROR_CODES, IDENTITY_ERROR_CODES].flatMap((table) => Object.keys(table))

test('failureOf knows every code of tls, pki and identity', () => {
  assert.deepEqual(
    CODES.filter((code) => failureOf(code) === undefined),
    [],
  )
})

test('failureOf says what each code means and what to do, in whole sentences', () => {
  for (const code of CODES) {
    const { title, explanation, remedy } = failureOf(code)!
    assert.match(title, /^[A-Z].*[^.]$/, `title of ${code}`)
    assert.match(explanation, /^[A-Z].*\.$/, `explanation of ${code}`)
    assert.match(remedy, /^[A-Z]/, `remedy of ${code}`)
  }
})

test('failureOf gives no two codes of one layer the same title', () => {
  const titles = CODES.map((code) => failureOf(code)!.title)
  assert.equal(new Set(titles).size, titles.length)
})

test('failureOf only speaks of network codes that exist', () => {
  const known = Object.keys(NET_ERROR_CODES).filter((code) => failureOf(code) !== undefined)
  assert.deepEqual(known.toSorted(), [
    'NET_CONNECTION_REFUSED',
    'NET_NAME_NOT_RESOLVED',
    'NET_RESET',
    'NET_TIMEOUT',
    'NET_UNREACHABLE',
  ])
})

test('failureOf is undefined for what is no code, whatever its name', () => {
  for (const name of ['', 'NOPE', 'toString', '__proto__']) assert.equal(failureOf(name), undefined)
})

test('alertMeaning has a meaning of its own for every alert that ends a handshake', () => {
  // close_notify is no refusal; the other answers an extension that the engine never sends.
  const silent = new Set(['close_notify', 'bad_certificate_status_response'])
  const meanings = Object.keys(AlertDescription)
    .filter((name) => !silent.has(name))
    .map((name) => alertMeaning(name).meaning)
  assert.ok(meanings.every((meaning) => !meaning.includes('with the alert')))
  assert.equal(new Set(meanings).size, meanings.length)
})

test('alertMeaning names an alert that it does not know', () => {
  assert.match(alertMeaning('0x00ff').meaning, /with the alert 0x00ff$/)
  assert.match(alertMeaning('constructor').meaning, /with the alert constructor$/)
})
