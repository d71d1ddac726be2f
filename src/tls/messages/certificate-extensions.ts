/** The contents of extensions about certificates: their types, their compression, and what is stapled to them. */
import { readAll } from '../../bytes/reader.ts'
import { TlsError } from '../errors.ts'
import { CertificateType } from '../registry.ts'
import { codec, type Codec } from './extension-codecs.ts'

/** CertificateStatusType (RFC 6066 §8). */
const OCSP = 1

/** What a client wants to know of the server's certificate (RFC 6066 §8). */
export interface StatusRequest {
  /** `other` is not to be answered. */
  readonly statusType: 'ocsp' | 'other'
}

/** Asked for without naming responders: whoever answers for the certificate will do. */
export const statusRequest: Codec<StatusRequest> = codec(
  'status_request',
  (reader) => {
    if (reader.uint8('status_type') !== OCSP) {
      reader.rest()
      return { statusType: 'other' }
    }
    reader.vector16('responder_id_list', (list) =>
      list.each((item) => item.bytes16('responder_id', { min: 1 })),
    )
    reader.bytes16('request_extensions')
    return { statusType: 'ocsp' }
  },
  (writer) =>
    writer
      .uint8(OCSP)
      .vector16(() => undefined)
      .vector16(() => undefined),
)

/** A stapled OCSP response, as DER (RFC 8446 §4.4.2.1). */
export const ocspStatus: Codec<Uint8Array> = codec(
  'status_request',
  (reader) => {
    const type = reader.uint8('status_type')
    if (type !== OCSP)
      throw new TlsError(
        'TLS_DECODE_ERROR',
        `status_request has the status_type ${type}, expected ${OCSP} (OCSP)`,
      )
    return reader.bytes24('ocsp_response', { min: 1 }).slice()
  },
  (writer, response) => writer.uint8(OCSP).bytes24(response),
)

/** A SignedCertificateTimestampList of at least one entry, which is not looked into (RFC 6962 §3.3). */
export const timestampList: Codec<Uint8Array> = {
  read: (contents) => {
    readAll(contents, 'signed_certificate_timestamp', (reader) =>
      reader.vector16('sct_list', (list) => list.each((item) => item.bytes16('serialized_sct', { min: 1 })), {
        min: 1,
      }),
    )
    return contents.slice()
  },
  write: (writer, value) => writer.bytes(value),
}

/** Compression algorithms by preference; none twice (RFC 8879 §3). */
export const compressionList: Codec<readonly number[]> = codec(
  'compress_certificate',
  (reader) => {
    const algorithms = reader.vector8('algorithms', (list) => list.each((item) => item.uint16('algorithm')), {
      min: 2,
      max: 254,
    })
    if (new Set(algorithms).size === algorithms.length) return algorithms
    throw new TlsError('TLS_ILLEGAL_PARAMETER', 'compress_certificate repeats an algorithm')
  },
  (writer, algorithms) => writer.vector8((list) => algorithms.forEach((algorithm) => list.uint16(algorithm))),
)

/** The certificate types of a ClientHello, by preference (RFC 7250 §3). */
export function certificateTypeList(name: string): Codec<readonly number[]> {
  return codec(
    name,
    (reader) => {
      const types = [...reader.bytes8('certificate_types')]
      if (types.some((type) => type !== CertificateType.X509)) return types
      throw new TlsError(
        'TLS_ILLEGAL_PARAMETER',
        `${name} lists nothing beside X.509, which goes without saying (RFC 7250 §4.1)`,
      )
    },
    (writer, types) => writer.bytes8(Uint8Array.from(types)),
  )
}
