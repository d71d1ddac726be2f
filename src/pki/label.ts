import type { Certificate } from './certificate.ts'

/** How messages name a certificate: by its first URI or DNS name, else its subject, else its serial number. */
export function certificateLabel(certificate: Certificate): string {
  const { uris, dnsNames } = certificate.subjectAltNames
  const name = uris[0] ?? dnsNames[0] ?? certificate.subject.text
  return name === '' ? `serial number ${certificate.serialNumber}` : JSON.stringify(name)
}

/** A time as messages show it: ISO 8601, in UTC, to the second. */
export function timeText(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z')
}
