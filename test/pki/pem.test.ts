import assert from 'node:assert/strict'
import test from 'node:test'
import * as fc from 'fast-check'
import { CertificateError } from '../../src/pki/errors.ts'
import { decodePem, encodePem, readPem } from '../../src/pki/pem.ts'

const BLOCK = '-----BEGIN THING-----\nAQID\n-----END THING-----\n'

test('decodePem reads what encodePem writes, in lines of 64', () => {
  const label = fc.constantFrom('CERTIFICATE', 'EC PRIVATE KEY', 'X')
  fc.assert(
    fc.property(label, fc.uint8Array({ maxLength: 300 }), (label, der) => {
      const text = encodePem(label, der)
      assert.deepEqual(decodePem(text, label), [der])
      assert.ok(text.split('\n').every((line) => line.length <= 64))
    }),
  )
})

test('decodePem takes every block of its label, and text and other blocks between them', () => {
  const text = `# the roots\n${BLOCK}\nsubject=CN=x\r\n-----BEGIN OTHER-----\r\nBAUG\r\n-----END OTHER-----\r\n${BLOCK}bye`
  assert.deepEqual(decodePem(text, 'THING').map(String), ['1,2,3', '1,2,3'])
  assert.deepEqual(
    readPem(text).map(({ label }) => label),
    ['THING', 'OTHER', 'THING'],
  )
})

test('decodePem says what is there when its label is not', () => {
  assert.throws(() => decodePem(BLOCK, 'CERTIFICATE'), {
    code: 'PKI_PEM',
    message: /no PEM block CERTIFICATE; it holds THING/,
  })
  assert.throws(() => decodePem('', 'CERTIFICATE'), { code: 'PKI_PEM', message: /no PEM at all/ })
})

test('readPem refuses broken blocks, naming the line', () => {
  const wrong: readonly (readonly [string, RegExp])[] = [
    [
      BLOCK.replace('END THING', 'END OTHER'),
      /line 3 is "-----END OTHER-----", expected -----END THING-----/,
    ],
    [`${BLOCK}-----BEGIN THING-----\nAQID\n`, /line 4 begins THING, which never ends/],
    ['-----END THING-----\n', /line 1 is "-----END THING-----", expected a BEGIN line/],
    ['-----BEGIN THING----\nAQID\n-----END THING----\n', /line 1/],
    [BLOCK.replace('AQID', BLOCK), /line 2/],
    [BLOCK.replace('AQID', 'AQI'), /not base64/],
    [BLOCK.replace('AQID', 'AQ_D'), /not base64/],
    [BLOCK.replace('AQID', 'AQIDBA'), /not base64/],
    [BLOCK.replace('AQID', 'Comment: x\n\nAQID'), /headers/],
  ]
  for (const [text, message] of wrong) assert.throws(() => readPem(text), { code: 'PKI_PEM', message }, text)
  assert.throws(() => readPem('x'.repeat(5 * 1024 * 1024)), { code: 'PKI_PEM', message: /longer than/ })
})

test('readPem, given anything, reads it or throws a CertificateError', () => {
  const line = fc.constantFrom(
    '-----BEGIN THING-----',
    '-----END THING-----',
    'AQID',
    'AQ==',
    '----',
    '-----',
    ' ',
    'x:y',
  )
  fc.assert(
    fc.property(fc.array(fc.oneof(line, fc.string()), { maxLength: 8 }), (lines) => {
      try {
        readPem(lines.join('\n'))
      } catch (error) {
        assert.ok(error instanceof CertificateError)
      }
    }),
  )
})
