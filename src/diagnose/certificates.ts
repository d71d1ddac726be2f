import type { Certificate } from '../pki/certificate.ts'
import { ipAddressText } from '../pki/host-name.ts'
import type { CertificateSummary } from './explanation.ts'
import { printable } from './printable.ts'

/** What an operator recognises a certificate by. */
export function summarise(certificate: Certificate): CertificateSummary {
  const { uris, dnsNames, ipAddresses } = certificate.subjectAltNames
  const spiffeId = uris.find((uri) => uri.startsWith('spiffe://'))
  return {
    subject: printable(certificate.subject.text),
    issuer: printable(certificate.issuer.text),
    ...(spiffeId === undefined ? {} : { spiffeId: printable(spiffeId) }),
    names: [...dnsNames.map(printable), ...ipAddresses.map(ipAddressText)],
    serial: certificate.serialNumber,
    notBeforeMs: certificate.notBeforeMs,
    notAfterMs: certificate.notAfterMs,
    certificate,
  }
}

/** The best name a certificate has: its SPIFFE ID, a DNS name, or its subject. */
export function nameOfCertificate(summary: CertificateSummary): string {
  return summary.spiffeId ?? summary.names[0] ?? (summary.subject === '' ? '(no name)' : summary.subject)
}
