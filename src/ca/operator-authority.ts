import { equalBytes } from '../bytes/bytes.ts'
import type { CryptoProvider, PrivateKey } from '../crypto/provider.ts'
import { messageOf } from '../errors.ts'
import type { Certificate } from '../pki/certificate.ts'
import { CertificateError } from '../pki/errors.ts'
import { certificateLabel, timeText } from '../pki/label.ts'
import { validatePath } from '../pki/path.ts'
import { checkKeyMatch } from '../pki/private-key.ts'
import { probeGeneration } from './bridge.ts'
import { CaError } from './errors.ts'
import type { Authority, Generation } from './generation.ts'

/** A certificate authority that an operator brings along, found fit to sign for the trust domain. */
export interface OperatorAuthority extends Authority {
  /** What leads from an intermediate to its root, the root last. Empty for a root. */
  readonly chain: readonly Certificate[]
}

export interface OperatorMaterial {
  /** The authority first, then what leads to its root. */
  readonly certificates: readonly Certificate[]
  readonly key: PrivateKey
}

export interface JudgeOptions {
  readonly trustDomain: string
  readonly crypto: CryptoProvider
  readonly nowMs: number
  /** How long the certificates live that it is to sign. */
  readonly svidTtlMs: number
}

/** Of each authority at least so many lives of a certificate must be left, or it would have to be replaced at once. */
const MIN_LIVES = 2

/**
 * Judges what an operator brings along, before anything is done with it.
 *
 * @throws CaError CA_OPERATOR_AUTHORITY, which says what is wrong
 */
export async function judgeOperatorAuthority(
  { certificates, key }: OperatorMaterial,
  options: JudgeOptions,
): Promise<OperatorAuthority> {
  const [certificate, ...others] = certificates
  if (certificate === undefined) throw refused('There is no certificate')
  try {
    checkKeyMatch(certificate, key)
    checkAuthority(certificate, options)
    const chain = isRoot(certificate) ? [] : chainOf(certificate, others, options)
    const root = chain.at(-1) ?? certificate
    checkNames([certificate, ...chain], options.trustDomain)
    if (chain.length === 0) checkRoom(certificate)
    await probeGeneration(
      { intermediate: { certificate, key }, chain: chain.slice(0, -1) },
      { ...options, anchor: root },
    )
    return { certificate, key, chain }
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error
    throw refused(messageOf(error), error)
  }
}

/** Whether a generation was made of this authority. */
export function isMadeOf(generation: Generation, { certificate, chain }: OperatorAuthority): boolean {
  const own = chain.length === 0 ? generation.root.certificate : generation.intermediate.certificate
  return equalBytes(own.der, certificate.der)
}

function isRoot({ subject, issuer }: Certificate): boolean {
  return subject.equals(issuer)
}

function checkAuthority(certificate: Certificate, { crypto, nowMs, svidTtlMs }: JudgeOptions): void {
  const label = certificateLabel(certificate)
  if (certificate.basicConstraints?.ca !== true)
    throw refused(`The certificate ${label} is no certificate authority (its basicConstraints lack CA:TRUE)`)
  if (certificate.keyUsage !== undefined && !certificate.keyUsage.usages.includes('keyCertSign'))
    throw refused(`The certificate ${label} may not sign certificates: its keyUsage lacks keyCertSign`)
  // Validity, key strength and form; its issuer comes later.
  validatePath([certificate], { anchors: [certificate], nowMs, crypto, usage: undefined })
  if (certificate.notAfterMs - nowMs < MIN_LIVES * svidTtlMs)
    throw refused(
      `The certificate ${label} ends at ${timeText(certificate.notAfterMs)}, before it could be replaced in order: it must live for at least twice spec.svidTtl`,
    )
}

/** The path from an intermediate to the root among the others. */
function chainOf(
  certificate: Certificate,
  others: readonly Certificate[],
  { crypto, nowMs }: JudgeOptions,
): readonly Certificate[] {
  const anchors = others.filter(isRoot)
  if (anchors.length === 0)
    throw refused(
      `The certificate ${certificateLabel(certificate)} is an intermediate, and the root that it leads to is not with it; append the certificates up to the root`,
    )
  const { path } = validatePath([certificate, ...others], { anchors, nowMs, crypto, usage: undefined })
  return path.slice(1)
}

/** A root signs the intermediate that signs the rest. */
function checkRoom(root: Certificate): void {
  if (root.basicConstraints?.pathLength === 0)
    throw refused(
      `The root ${certificateLabel(root)} allows no intermediate below it (pathlen 0), and certificates are signed by one`,
    )
}

/** SPIFFE X509-SVID §3.1. */
function checkNames(certificates: readonly Certificate[], trustDomain: string): void {
  for (const certificate of certificates)
    for (const uri of certificate.subjectAltNames.uris)
      if (uri.startsWith('spiffe:') && uri !== `spiffe://${trustDomain}`)
        throw refused(
          `The certificate ${certificateLabel(certificate)} is of ${uri}, expected spiffe://${trustDomain}`,
        )
}

function refused(message: string, cause?: unknown): CaError {
  return new CaError('CA_OPERATOR_AUTHORITY', message, { cause })
}
