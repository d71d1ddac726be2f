import { equalBytes } from '../bytes/bytes.ts'
import { checkValidity, refused } from './certificate-rules.ts'
import type { Certificate } from './certificate.ts'

/**
 * Judges again a path that was valid once, by what may have changed since: its certificates' validity and whether its
 * anchor is still trusted. Signatures and constraints are in the certificates and cannot have changed.
 *
 * @param path from the leaf to the anchor, as `validatePath` yielded it
 * @throws CertificateError PKI_EXPIRED, PKI_NOT_YET_VALID, PKI_UNKNOWN_ISSUER
 */
export function recheckPath(
  path: readonly Certificate[],
  { anchors, nowMs }: { readonly anchors: readonly Certificate[]; readonly nowMs: number },
): void {
  const anchor = path.at(-1)!
  if (!anchors.some((trusted) => trusted === anchor || equalBytes(trusted.der, anchor.der))) {
    throw refused('PKI_UNKNOWN_ISSUER', anchor, 'was a trust anchor and is one no longer')
  }
  for (const certificate of path) checkValidity(certificate, nowMs)
}
