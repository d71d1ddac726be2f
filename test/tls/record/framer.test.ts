import assert from 'node:assert/strict'
import test from 'node:test'
import { concat, toHex, utf8 } from '../../../src/bytes/bytes.ts'
import { RecordFramer } from '../../../src/tls/record/framer.ts'
import { ContentType } from '../../../src/tls/registry.ts'
import { plainRecord } from '../../support/tls-records.ts'

function framed(...pieces: readonly Uint8Array[]): string[] {
  const framer = new RecordFramer()
  const records: string[] = []
  for (const piece of pieces) {
    framer.push(piece, (record) => {
      records.push(toHex(record))
      // What the layer above does: it decrypts in place.
      record.fill(0)
      return true
    })
  }
  return records
}

const RECORDS = [
  plainRecord(ContentType.handshake, utf8('one'), 0x0301),
  plainRecord(ContentType.change_cipher_spec, Uint8Array.of(1)),
  plainRecord(ContentType.application_data, new Uint8Array(300).fill(9)),
  plainRecord(ContentType.alert, Uint8Array.of(1, 0)),
  plainRecord(ContentType.application_data, new Uint8Array(0)),
]

test('RecordFramer gives the same records however the stream is cut', () => {
  const stream = concat(...RECORDS)
  const expected = RECORDS.map(toHex)
  assert.deepEqual(framed(stream.slice()), expected)
  assert.deepEqual(framed(...Array.from(stream, (byte) => Uint8Array.of(byte))), expected)
  for (let first = 0; first <= stream.length; first++) {
    assert.deepEqual(framed(stream.slice(0, first), stream.slice(first)), expected)
    const second = Math.min(first + 7, stream.length)
    assert.deepEqual(
      framed(stream.slice(0, first), stream.slice(first, second), stream.slice(second)),
      expected,
    )
  }
})

test('RecordFramer copies no record that arrives whole', () => {
  const stream = concat(...RECORDS)
  new RecordFramer().push(stream, (record) => {
    assert.equal(record.buffer, stream.buffer)
    return true
  })
})

test('RecordFramer keeps a part of a record when the giver reuses its memory', () => {
  const framer = new RecordFramer()
  const record = RECORDS[2]!
  const part = record.slice(0, 100)
  framer.push(part, () => assert.fail())
  assert.ok(!framer.isAtBoundary)
  part.fill(0)
  const taken: string[] = []
  framer.push(record.slice(100), (whole) => {
    taken.push(toHex(whole))
    return true
  })
  assert.deepEqual(taken, [toHex(record)])
  assert.ok(framer.isAtBoundary)
})

test('RecordFramer stops when told to, in the middle of what it was given', () => {
  let taken = 0
  new RecordFramer().push(concat(...RECORDS), () => ++taken < 2)
  assert.equal(taken, 2)
  const framer = new RecordFramer()
  framer.push(RECORDS[0]!.slice(0, 3), () => assert.fail())
  taken = 0
  framer.push(concat(RECORDS[0]!.slice(3), RECORDS[1]!), () => {
    taken++
    return false
  })
  assert.equal(taken, 1)
})

test('RecordFramer takes the longest record of each kind, and refuses a longer one by its header', () => {
  const longest: readonly [number, number][] = [
    [ContentType.handshake, 16_384],
    [ContentType.alert, 16_384],
    [ContentType.application_data, 16_384 + 256],
  ]
  for (const [type, length] of longest) {
    assert.equal(framed(plainRecord(type, new Uint8Array(length))).length, 1)
    const header = Uint8Array.of(type, 3, 3, (length + 1) >>> 8, length + 1)
    assert.throws(() => framed(header), {
      code: 'TLS_RECORD_OVERFLOW',
      message: new RegExp(`announces ${length + 1} bytes, at most ${length}`),
    })
    for (let at = 1; at < 5; at++)
      assert.throws(() => framed(header.slice(0, at), header.slice(at)), { code: 'TLS_RECORD_OVERFLOW' })
  }
})

test('RecordFramer holds no more memory than a header announces', () => {
  // 16 MB of bytes that never complete a record cannot exist: a record is refused at 16 KB. What is left is one part.
  const framer = new RecordFramer()
  const header = Uint8Array.of(ContentType.application_data, 3, 3, 0x41, 0)
  framer.push(header, () => assert.fail())
  for (let i = 0; i < 0x4100 - 1; i++) framer.push(Uint8Array.of(0), () => assert.fail())
  let length = 0
  framer.push(Uint8Array.of(0), (record) => {
    length = record.length
    return true
  })
  assert.equal(length, 5 + 0x4100)
})

test('RecordFramer accepts any minor version and refuses another major one', () => {
  for (const minor of [0, 1, 2, 3, 4, 255])
    assert.equal(framed(plainRecord(ContentType.handshake, utf8('x'), 0x0300 | minor)).length, 1)
  for (const version of [0x0002, 0x0203, 0x0403, 0x7f12, 0xfeff]) {
    assert.throws(() => framed(plainRecord(ContentType.handshake, utf8('x'), version)), {
      code: 'TLS_NOT_TLS',
    })
    const later = plainRecord(ContentType.handshake, utf8('x'), version)
    assert.throws(() => framed(RECORDS[0]!.slice(), later), { code: 'TLS_DECODE_ERROR' })
  }
})

test('RecordFramer refuses unknown content types, at their first byte when the stream begins with it', () => {
  for (let type = 0; type < 256; type++) {
    if (type >= ContentType.change_cipher_spec && type <= ContentType.application_data) continue
    for (let length = 1; length <= 5; length++)
      assert.throws(() => framed(new Uint8Array(length).fill(type)), { code: 'TLS_NOT_TLS' })
    assert.throws(() => framed(RECORDS[0]!.slice(), plainRecord(type, utf8('x'))), {
      code: 'TLS_UNEXPECTED_MESSAGE',
      message: new RegExp(`unknown content type ${type}$`),
    })
  }
})

test('RecordFramer names what the peer speaks instead, with its first bytes as evidence', () => {
  const peers: readonly [string, RegExp][] = [
    [
      'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
      /plaintext HTTP: its first bytes are "GET \/ HTTP\/1\.1\.\.Host: a/,
    ],
    ['POST /x HTTP/1.1\r\n', /plaintext HTTP:/],
    ['PRI * HTTP/2.0\r\n', /plaintext HTTP:/],
    ['HTTP/1.1 400 Bad Request\r\n', /a plaintext HTTP response/],
    ['SSH-2.0-OpenSSH_9.9\r\n', /SSH: its first bytes are "SSH-2\.0-OpenSSH_9\.9/],
    ['220 mail.example ESMTP\r\n', /something that is not TLS: .*220 mail/],
    ['\x80\x2e\x01\x00\x02', /something that is not TLS: .*802e010002/],
  ]
  for (const [text, message] of peers)
    assert.throws(() => framed(Buffer.from(text, 'latin1')), { code: 'TLS_NOT_TLS', message })
})
