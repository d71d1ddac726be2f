/** Certificate messages in fewer bytes (RFC 8879). */
import { messageOf } from '../errors.ts'
import { TlsError } from './errors.ts'
import {
  decodeCompressedCertificate,
  encodeCompressedCertificate,
} from './messages/compressed-certificate.ts'
import {
  asMessage,
  encodeMessage,
  DEFAULT_MAX_MESSAGE_BYTES,
  type HandshakeMessage,
} from './messages/handshake-message.ts'
import { CertificateCompression, HandshakeType, nameOf } from './registry.ts'

/** One algorithm. The engine brings none: they are not for a pure layer. */
export interface CertificateCompressor {
  /** Its number in the registry of RFC 8879 §7.3; see {@link CertificateCompression}. */
  readonly algorithm: number
  compress(bytes: Uint8Array): Uint8Array
  /**
   * The inverse. It stops as soon as more than `length` bytes come out: whoever sends them is not known yet.
   *
   * @throws Error when `compressed` is malformed, goes on after its end, or yields another length
   */
  decompress(compressed: Uint8Array, length: number): Uint8Array
}

/** The messages that show a certificate; the compressed one only when it was offered. */
export function certificateMessages(compressors: readonly CertificateCompressor[] = []): HandshakeType[] {
  return compressors.length === 0
    ? [HandshakeType.certificate]
    : [HandshakeType.certificate, HandshakeType.compressed_certificate]
}

/** A Certificate message as CompressedCertificate. */
export function compressCertificate(certificate: Uint8Array, compressor: CertificateCompressor): Uint8Array {
  const { body } = asMessage(certificate)
  return encodeCompressedCertificate({
    algorithm: compressor.algorithm,
    uncompressedLength: body.length,
    compressed: compressor.compress(body),
  })
}

/**
 * The Certificate message in a CompressedCertificate.
 *
 * @param compressors those that were offered
 * @param maxMessageBytes what it may grow to
 * @throws DecodeError; TlsError TLS_ILLEGAL_PARAMETER, TLS_BAD_COMPRESSION
 */
export function restoreCertificate(
  { body }: HandshakeMessage,
  compressors: readonly CertificateCompressor[],
  maxMessageBytes: number = DEFAULT_MAX_MESSAGE_BYTES,
): HandshakeMessage {
  const { algorithm, uncompressedLength, compressed } = decodeCompressedCertificate(body)
  const name = nameOf(CertificateCompression, algorithm)
  const compressor = compressors.find((offered) => offered.algorithm === algorithm)
  if (compressor === undefined) {
    throw new TlsError(
      'TLS_ILLEGAL_PARAMETER',
      `CompressedCertificate uses the algorithm ${name}, which was not offered`,
    )
  }
  if (uncompressedLength > maxMessageBytes) {
    throw new TlsError(
      'TLS_BAD_COMPRESSION',
      `CompressedCertificate announces ${uncompressedLength} bytes, at most ${maxMessageBytes} are accepted`,
    )
  }
  const restored = decompress(compressor, compressed, uncompressedLength)
  if (restored.length !== uncompressedLength) {
    throw new TlsError(
      'TLS_BAD_COMPRESSION',
      `CompressedCertificate yields ${restored.length} bytes, but announced ${uncompressedLength}`,
    )
  }
  return asMessage(encodeMessage(HandshakeType.certificate, (message) => message.bytes(restored)))
}

function decompress(compressor: CertificateCompressor, compressed: Uint8Array, length: number): Uint8Array {
  try {
    return compressor.decompress(compressed, length)
  } catch (cause) {
    const name = nameOf(CertificateCompression, compressor.algorithm)
    throw new TlsError(
      'TLS_BAD_COMPRESSION',
      `CompressedCertificate (${name}) cannot be decompressed to ${length} bytes: ${messageOf(cause)}`,
      { cause },
    )
  }
}
