import type { Certificate } from './certificate.ts'
import { parseCertificate } from './certificate.ts'
import { DerReader } from './der.ts'
import { CertificateError } from './errors.ts'

/** More than any chain or bundle has. */
const MAX_CERTIFICATES = 1024

/**
 * Reads certificates that follow each other without anything between them, as the SPIFFE Workload API has them.
 *
 * @throws CertificateError PKI_MALFORMED, PKI_UNSUPPORTED, PKI_LIMIT
 */
export function parseCertificateList(bytes: Uint8Array): Certificate[] {
  return DerReader.readAll(bytes, 'certificates', (reader) => {
    const certificates: Certificate[] = []
    while (reader.more) {
      if (certificates.length === MAX_CERTIFICATES)
        throw new CertificateError('PKI_LIMIT', `There are more than ${MAX_CERTIFICATES} certificates`)
      certificates.push(parseCertificate(reader.any('certificate').der))
    }
    return certificates
  })
}
