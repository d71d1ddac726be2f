import {
  brotliCompressSync,
  brotliDecompressSync,
  constants,
  deflateSync,
  inflateSync,
  zstdCompressSync,
  zstdDecompressSync,
} from 'node:zlib'
import type { CertificateCompressor } from '../tls/certificate-compression.ts'
import { CertificateCompression } from '../tls/registry.ts'

/** Certificates are compressed in every handshake: beyond this quality brotli takes longer than the signature. */
const BROTLI_QUALITY = 5

/** 8 MiB, the window that every decoder must have and none need exceed (RFC 8878 §3.1.1.1.2). */
const ZSTD_MAX_WINDOW_LOG = 23

/** What Node's decompressors yield with `info: true`. */
interface Inflated {
  readonly buffer: Uint8Array
  /** `bytesWritten` counts what was taken in. */
  readonly engine: { readonly bytesWritten: number }
}

/** The three algorithms of RFC 8879, of node:zlib; brotli first, which makes certificates smallest. */
export const nodeCompression: readonly CertificateCompressor[] = [
  {
    algorithm: CertificateCompression.brotli,
    compress: (bytes) =>
      brotliCompressSync(bytes, {
        params: {
          [constants.BROTLI_PARAM_QUALITY]: BROTLI_QUALITY,
          [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
        },
      }),
    decompress: (compressed, length) => whole(compressed, brotliDecompressSync(compressed, bounds(length))),
  },
  {
    algorithm: CertificateCompression.zstd,
    compress: (bytes) => zstdCompressSync(bytes),
    decompress: (compressed, length) =>
      whole(
        compressed,
        zstdDecompressSync(compressed, {
          ...bounds(length),
          params: { [constants.ZSTD_d_windowLogMax]: ZSTD_MAX_WINDOW_LOG },
        }),
      ),
  },
  {
    algorithm: CertificateCompression.zlib,
    compress: (bytes) => deflateSync(bytes),
    decompress: (compressed, length) => whole(compressed, inflateSync(compressed, bounds(length))),
  },
]

/** zlib counts an output of nothing as no bound. */
function bounds(length: number): { readonly maxOutputLength: number; readonly info: true } {
  return { maxOutputLength: Math.max(1, length), info: true }
}

/** Node's decompressors leave alone what follows the end; an exact message has nothing there. */
function whole(compressed: Uint8Array, result: unknown): Uint8Array {
  const { buffer, engine } = result as Inflated
  if (engine.bytesWritten === compressed.length) return buffer
  throw new RangeError(`${compressed.length - engine.bytesWritten} bytes follow the end`)
}
