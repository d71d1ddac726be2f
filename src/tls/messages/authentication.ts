/** The messages that say and prove who somebody is (RFC 8446 §4.3.2, §4.4). */
import { readAll } from '../../bytes/reader.ts'
import { TlsError } from '../errors.ts'
import { HandshakeType } from '../registry.ts'
import { Extensions } from './extensions.ts'
import { encodeMessage } from './handshake-message.ts'

/** Mesh chains have two or three certificates; ten is what other engines accept at most. */
const DEFAULT_MAX_CERTIFICATES = 10

export interface CertificateRequest {
  /** Empty in the handshake. */
  readonly context: Uint8Array
  readonly extensions: Extensions<'certificate_request'>
}

/** @throws DecodeError, TlsError */
export function decodeCertificateRequest(body: Uint8Array): CertificateRequest {
  return readAll(body, 'certificate_request', (reader) => ({
    context: reader.bytes8('certificate_request_context').slice(),
    extensions: Extensions.read(reader, 'certificate_request'),
  }))
}

export function encodeCertificateRequest({ context, extensions }: CertificateRequest): Uint8Array {
  return encodeMessage(HandshakeType.certificate_request, (body) => {
    body.bytes8(context)
    extensions.write(body)
  })
}

export interface CertificateEntry {
  /** DER; of a SubjectPublicKeyInfo where raw public keys were agreed (RFC 8446 §4.4.2). */
  readonly certificate: Uint8Array
  readonly extensions: Extensions<'certificate'>
}

export interface CertificateMessage {
  readonly context: Uint8Array
  /** Leaf first; empty when there is none to show. */
  readonly entries: readonly CertificateEntry[]
}

export interface CertificateReading {
  /** What the entries are called, for an error. @default cert_data */
  readonly field?: 'cert_data' | 'ASN1_subjectPublicKeyInfo'
  /** @default 10 */
  readonly maxCertificates?: number | undefined
}

/** @throws DecodeError; TlsError TLS_DECODE_ERROR for a longer chain than is accepted */
export function decodeCertificate(
  body: Uint8Array,
  { field = 'cert_data', maxCertificates = DEFAULT_MAX_CERTIFICATES }: CertificateReading = {},
): CertificateMessage {
  return readAll(body, 'certificate', (reader) => ({
    context: reader.bytes8('certificate_request_context').slice(),
    entries: reader.vector24('certificate_list', (list) => {
      const entries: CertificateEntry[] = []
      while (list.remaining > 0) {
        if (entries.length === maxCertificates) {
          throw new TlsError('TLS_DECODE_ERROR', `The chain has more than ${maxCertificates} certificates`)
        }
        const certificate = list.bytes24(field, { min: 1 }).slice()
        entries.push({ certificate, extensions: Extensions.read(list, 'certificate') })
      }
      return entries
    }),
  }))
}

export function encodeCertificate({ context, entries }: CertificateMessage): Uint8Array {
  return encodeMessage(HandshakeType.certificate, (body) => {
    body.bytes8(context)
    body.vector24((list) => {
      for (const { certificate, extensions } of entries) {
        list.bytes24(certificate)
        extensions.write(list)
      }
    })
  })
}

export interface CertificateVerify {
  readonly scheme: number
  readonly signature: Uint8Array
}

/** @throws DecodeError */
export function decodeCertificateVerify(body: Uint8Array): CertificateVerify {
  return readAll(body, 'certificate_verify', (reader) => ({
    scheme: reader.uint16('algorithm'),
    signature: reader.bytes16('signature').slice(),
  }))
}

export function encodeCertificateVerify({ scheme, signature }: CertificateVerify): Uint8Array {
  return encodeMessage(HandshakeType.certificate_verify, (body) => body.uint16(scheme).bytes16(signature))
}
