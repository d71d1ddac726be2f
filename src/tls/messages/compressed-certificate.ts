import { readAll } from '../../bytes/reader.ts'
import { HandshakeType } from '../registry.ts'
import { encodeMessage } from './handshake-message.ts'

/** A Certificate message, squeezed (RFC 8879 §4). */
export interface CompressedCertificate {
  readonly algorithm: number
  /** Of the body of the Certificate message, in bytes. */
  readonly uncompressedLength: number
  readonly compressed: Uint8Array
}

/** @throws DecodeError */
export function decodeCompressedCertificate(body: Uint8Array): CompressedCertificate {
  return readAll(body, 'compressed_certificate', (reader) => ({
    algorithm: reader.uint16('algorithm'),
    uncompressedLength: reader.uint24('uncompressed_length'),
    compressed: reader.bytes24('compressed_certificate_message', { min: 1 }),
  }))
}

export function encodeCompressedCertificate({
  algorithm,
  uncompressedLength,
  compressed,
}: CompressedCertificate): Uint8Array {
  return encodeMessage(HandshakeType.compressed_certificate, (body) =>
    body.uint16(algorithm).uint24(uncompressedLength).bytes24(compressed),
  )
}
