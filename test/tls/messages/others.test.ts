import assert from 'node:assert/strict'
import test from 'node:test'
import * as fc from 'fast-check'
import {
  decodeCertificate,
  decodeCertificateRequest,
  decodeCertificateVerify,
  encodeCertificate,
  encodeCertificateRequest,
  encodeCertificateVerify,
  type CertificateMessage,
} from '../../../src/tls/messages/authentication.ts'
import {
  decodeEncryptedExtensions,
  encodeEncryptedExtensions,
} from '../../../src/tls/messages/encrypted-extensions.ts'
import { Extensions } from '../../../src/tls/messages/extensions.ts'
import { asMessage, encodeMessage } from '../../../src/tls/messages/handshake-message.ts'
import {
  decodeKeyUpdate,
  decodeNewSessionTicket,
  encodeKeyUpdate,
  type NewSessionTicket,
} from '../../../src/tls/messages/post-handshake.ts'
import { HandshakeType } from '../../../src/tls/registry.ts'
import {
  bytes,
  certificateExtensions,
  checkExactness,
  checkHostility,
  checkRoundTrip,
  encryptedExtensions,
  requestExtensions,
  ticketExtensions,
  uint16,
  uint32,
  type CodecUnderTest,
} from '../../support/tls-arbitraries.ts'

const CODECS: Readonly<Record<string, CodecUnderTest<never>>> = {
  EncryptedExtensions: codec({
    arbitrary: encryptedExtensions,
    encode: encodeEncryptedExtensions,
    decode: decodeEncryptedExtensions,
  }),
  CertificateRequest: codec({
    arbitrary: fc.record({ context: bytes(0, 255), extensions: requestExtensions }),
    encode: encodeCertificateRequest,
    decode: decodeCertificateRequest,
  }),
  Certificate: codec<CertificateMessage>({
    arbitrary: fc.record({
      context: bytes(0, 20),
      entries: fc.array(fc.record({ certificate: bytes(1, 80), extensions: certificateExtensions }), {
        maxLength: 4,
      }),
    }),
    encode: encodeCertificate,
    decode: decodeCertificate,
  }),
  CertificateVerify: codec({
    arbitrary: fc.record({ scheme: uint16, signature: bytes(0, 300) }),
    encode: encodeCertificateVerify,
    decode: decodeCertificateVerify,
  }),
  NewSessionTicket: codec<NewSessionTicket>({
    arbitrary: fc.record({
      lifetimeSeconds: uint32,
      ageAdd: uint32,
      nonce: bytes(0, 255),
      ticket: bytes(1, 200),
      extensions: ticketExtensions,
    }),
    // By hand, so that this says what RFC 8446 §4.6.1 says, and no more.
    encode: (ticket) =>
      encodeMessage(HandshakeType.new_session_ticket, (body) => {
        body.uint32(ticket.lifetimeSeconds).uint32(ticket.ageAdd)
        body.bytes8(ticket.nonce)
        body.bytes16(ticket.ticket)
        ticket.extensions.write(body)
      }),
    decode: decodeNewSessionTicket,
  }),
  KeyUpdate: codec({
    arbitrary: fc.record({ updateRequested: fc.boolean() }),
    encode: encodeKeyUpdate,
    decode: decodeKeyUpdate,
  }),
}

/** Forgets the type of the values, which only the codec itself handles. */
function codec<T>(whole: CodecUnderTest<T>): CodecUnderTest<never> {
  return whole as unknown as CodecUnderTest<never>
}

for (const [name, each] of Object.entries(CODECS)) {
  test(`encode${name} is undone by decode${name}`, () => checkRoundTrip(each))
  test(`decode${name} takes exactly its bytes`, () => checkExactness(each))
  test(`decode${name} refuses whatever else in words`, () => checkHostility(each))
}

test('decodeCertificate accepts ten certificates and refuses eleven before it reads on', () => {
  const entry = { certificate: Uint8Array.of(1), extensions: new Extensions('certificate') }
  const chain = (length: number): Uint8Array =>
    asMessage(encodeCertificate({ context: new Uint8Array(0), entries: Array.from({ length }, () => entry) }))
      .body
  assert.equal(decodeCertificate(chain(10)).entries.length, 10)
  assert.throws(() => decodeCertificate(chain(11)), { code: 'TLS_DECODE_ERROR', message: /more than 10/ })
})

test('decodeCertificate refuses an empty certificate', () => {
  const body = Uint8Array.fromHex('00000005' + '000000' + '0000')
  assert.throws(() => decodeCertificate(body), { code: 'BYTES_LENGTH', message: /^cert_data/ })
})

test('decodeNewSessionTicket refuses an empty ticket', () => {
  const body = Uint8Array.fromHex('00000e10' + '00000000' + '00' + '0000' + '0000')
  assert.throws(() => decodeNewSessionTicket(body), { code: 'BYTES_LENGTH', message: /^ticket/ })
})

test('decodeKeyUpdate refuses a request that is neither 0 nor 1', () => {
  for (let request = 2; request < 256; request++)
    assert.throws(() => decodeKeyUpdate(Uint8Array.of(request)), { code: 'TLS_ILLEGAL_PARAMETER' })
})
