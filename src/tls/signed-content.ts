import { utf8 } from '../bytes/bytes.ts'
import { Writer } from '../bytes/writer.ts'

/** What CertificateVerify signs (RFC 8446 §4.4.3). */
export function signedContent(signer: 'client' | 'server', transcriptHash: Uint8Array): Uint8Array {
  return new Writer()
    .bytes(new Uint8Array(64).fill(0x20))
    .bytes(utf8(`TLS 1.3, ${signer} CertificateVerify`))
    .uint8(0)
    .bytes(transcriptHash)
    .finish()
}
