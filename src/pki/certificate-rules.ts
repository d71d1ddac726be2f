/** What a certificate must be at its place on a path, whoever issued it (RFC 5280 §4.2 and §6.1). */
import { CryptoError } from '../crypto/errors.ts'
import type { CryptoProvider, PublicKey } from '../crypto/provider.ts'
import type { SubjectPublicKey } from './algorithms.ts'
import type { Certificate } from './certificate.ts'
import { CertificateError } from './errors.ts'
import type { PkiErrorCode } from './errors.ts'
import { certificateLabel, timeText } from './label.ts'
import { Oid } from './oid.ts'
import { publicKeyOf } from './public-keys.ts'

/** What a leaf is used for; also the names of the extended key usages. */
export type CertificateUsage = 'serverAuth' | 'clientAuth'

export interface RuleContext {
  readonly nowMs: number
  readonly usage: CertificateUsage | undefined
}

/** RFC 5280 §4.1.2.2 */
const MAX_SERIAL_BYTES = 20

/** What the CA/Browser Forum demands (Baseline Requirements §6.1.5). */
const MIN_RSA_BITS = 2048

/** Beyond it a check of a signature takes milliseconds. */
const MAX_RSA_BITS = 8192

/** Extensions that understood or not must not be critical (RFC 5280 §4.2.1.1, §4.2.1.2, §4.2.2.1). */
const NEVER_CRITICAL: ReadonlySet<string> = new Set([
  Oid.authorityKeyIdentifier,
  Oid.subjectKeyIdentifier,
  Oid.authorityInfoAccess,
])

/**
 * Checks the leaf.
 *
 * @throws CertificateError
 */
export function checkLeaf(leaf: Certificate, { nowMs, usage }: RuleContext): void {
  checkProfile(leaf)
  checkValidity(leaf, nowMs)
  checkKeyStrength(leaf)
  // RFC 5280 §4.2.1.10
  if (leaf.nameConstraints !== undefined && leaf.basicConstraints?.ca !== true)
    throw refused('PKI_PROFILE', leaf, 'has name constraints, but is no certificate authority')
  // RFC 5280 §4.2.1.6
  if (leaf.subject.isEmpty && !leaf.subjectAltNames.critical)
    throw refused('PKI_PROFILE', leaf, 'has an empty subject without a critical subjectAltName')
  if (usage === undefined) return
  // RFC 8446 §4.4.2.2
  if (leaf.keyUsage !== undefined && !leaf.keyUsage.usages.includes('digitalSignature'))
    throw refused('PKI_KEY_USAGE', leaf, `may not sign: its keyUsage is ${leaf.keyUsage.usages.join(', ')}`)
  // A leaf for any purpose at all is refused, as the Baseline Requirements (§7.1.2.7.10) have it.
  if (leaf.extendedKeyUsage !== undefined && !leaf.extendedKeyUsage.purposes.includes(Oid[usage]))
    throw refused('PKI_EXTENDED_KEY_USAGE', leaf, `is not for ${usage}`)
}

/**
 * Checks a certificate that issued another one: an intermediate, or an anchor.
 *
 * @param intermediates how many follow it on the path, self-issued ones and the leaf not counted
 * @throws CertificateError
 */
export function checkIssuer(issuer: Certificate, intermediates: number, { nowMs, usage }: RuleContext): void {
  const { basicConstraints, keyUsage, extendedKeyUsage } = issuer
  if (basicConstraints?.ca !== true)
    throw refused('PKI_NOT_A_CA', issuer, 'issued a certificate, but is no certificate authority')
  checkProfile(issuer)
  checkValidity(issuer, nowMs)
  checkKeyStrength(issuer)
  // RFC 5280 §4.2.1.9
  if (!basicConstraints.critical)
    throw refused('PKI_PROFILE', issuer, 'is a certificate authority whose basicConstraints are not critical')
  // RFC 5280 §4.1.2.6
  if (issuer.subject.isEmpty)
    throw refused('PKI_PROFILE', issuer, 'is a certificate authority with an empty subject')
  if (keyUsage !== undefined && !keyUsage.usages.includes('keyCertSign'))
    throw refused('PKI_KEY_USAGE', issuer, 'issued a certificate, but its keyUsage lacks keyCertSign')
  // Not in RFC 5280, but what every implementation does: an authority's purposes bound those of what it issues.
  const purposes = extendedKeyUsage?.purposes
  if (
    purposes !== undefined &&
    usage !== undefined &&
    !purposes.includes(Oid[usage]) &&
    !purposes.includes(Oid.anyExtendedKeyUsage)
  )
    throw refused('PKI_EXTENDED_KEY_USAGE', issuer, `may not issue certificates for ${usage}`)
  const { pathLength } = basicConstraints
  if (pathLength !== undefined && intermediates > pathLength)
    throw refused(
      'PKI_PATH_LENGTH',
      issuer,
      `allows ${pathLength} intermediates below it, but ${intermediates} follow`,
    )
}

/** RFC 5280 §4.1.2.2. Anchors are known by heart and exempt. @throws CertificateError PKI_PROFILE */
export function checkSerialNumber(certificate: Certificate): void {
  const { serialBytes } = certificate
  const positive = serialBytes[0]! < 0x80 && serialBytes.some((byte) => byte !== 0)
  if (!positive || serialBytes.length > MAX_SERIAL_BYTES)
    throw refused(
      'PKI_PROFILE',
      certificate,
      `has a serial number that is not positive and of at most 20 bytes`,
    )
}

/** @throws CertificateError PKI_UNSUPPORTED, PKI_WEAK_KEY */
function checkKeyStrength(certificate: Certificate): void {
  const problem = keyProblem(certificate.publicKey)
  if (problem !== undefined) throw refused(problem.code, certificate, problem.text)
}

/** Why a key is not accepted, if it is not. */
export function keyProblem({
  kind,
  algorithm,
  bits,
  publicExponent = 0,
}: SubjectPublicKey):
  | { readonly code: 'PKI_UNSUPPORTED' | 'PKI_WEAK_KEY'; readonly text: string }
  | undefined {
  if (kind === undefined)
    return { code: 'PKI_UNSUPPORTED', text: `has a key that is not accepted, of algorithm ${algorithm}` }
  if (kind !== 'rsa') return undefined
  if (bits < MIN_RSA_BITS || bits > MAX_RSA_BITS || bits % 8 !== 0)
    return {
      code: 'PKI_WEAK_KEY',
      text: `has an RSA key of ${bits} bits, expected ${MIN_RSA_BITS} to ${MAX_RSA_BITS} in whole bytes`,
    }
  if (publicExponent < 3 || publicExponent % 2 === 0)
    return { code: 'PKI_WEAK_KEY', text: 'has an RSA key whose public exponent is not odd and of 3 to 2^31' }
  return undefined
}

/** The key of a certificate, ready for use. @throws CertificateError PKI_UNSUPPORTED */
export function importKey(certificate: Certificate, crypto: CryptoProvider): PublicKey {
  try {
    return publicKeyOf(certificate, crypto)
  } catch (cause) {
    if (!(cause instanceof CryptoError)) throw cause
    throw new CertificateError(
      'PKI_UNSUPPORTED',
      `The key of the certificate ${certificateLabel(certificate)} cannot be used: ${cause.message}`,
      { certificate, cause },
    )
  }
}

/** An error about one certificate; `problem` continues "The certificate X …". */
export function refused(code: PkiErrorCode, certificate: Certificate, problem: string): CertificateError {
  return new CertificateError(code, `The certificate ${certificateLabel(certificate)} ${problem}`, {
    certificate,
  })
}

/** What holds wherever the certificate stands. */
function checkProfile(certificate: Certificate): void {
  const [unknown] = certificate.unknownCriticalExtensions
  if (unknown !== undefined)
    throw refused(
      'PKI_UNKNOWN_CRITICAL_EXTENSION',
      certificate,
      `has the critical extension ${unknown}, which is not understood`,
    )
  for (const { oid, critical } of certificate.extensions) {
    if (critical && NEVER_CRITICAL.has(oid))
      throw refused(
        'PKI_PROFILE',
        certificate,
        `marks the extension ${oid} as critical, which it must not be`,
      )
    // RFC 5280 §4.2.1.11. Critical ones count as unknown: policies are not processed here.
    if (!critical && oid === Oid.policyConstraints)
      throw refused('PKI_PROFILE', certificate, 'has policyConstraints that are not critical')
  }
  // RFC 5280 §4.1.2.4
  if (certificate.issuer.isEmpty) throw refused('PKI_PROFILE', certificate, 'has an empty issuer')
  const signsCertificates = certificate.keyUsage?.usages.includes('keyCertSign') === true
  // RFC 5280 §4.2.1.3, §4.2.1.9
  if (signsCertificates && certificate.basicConstraints?.ca !== true)
    throw refused('PKI_PROFILE', certificate, 'asserts keyCertSign, but is no certificate authority')
}

/** Times are compared at the precision of a certificate, the second; notAfter's second belongs to the validity. */
export function checkValidity(certificate: Certificate, nowMs: number): void {
  const { notBeforeMs, notAfterMs } = certificate
  if (nowMs < notBeforeMs)
    throw refused(
      'PKI_NOT_YET_VALID',
      certificate,
      `is not valid before ${timeText(notBeforeMs)}, and it is now ${timeText(nowMs)}; check the clocks of both sides`,
    )
  if (nowMs >= notAfterMs + 1000)
    throw refused(
      'PKI_EXPIRED',
      certificate,
      `expired at ${timeText(notAfterMs)}, and it is now ${timeText(nowMs)}; renew it, or check the clocks of both sides`,
    )
}
