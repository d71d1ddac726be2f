/** Certification paths: building one from what a peer presented, and judging it (RFC 5280 §6, RFC 4158). */
import { equalBytes } from '../bytes/bytes.ts'
import type { CryptoProvider } from '../crypto/provider.ts'
import type { Certificate } from './certificate.ts'
import { checkIssuer, checkLeaf, checkSerialNumber, importKey, refused } from './certificate-rules.ts'
import type { CertificateUsage } from './certificate-rules.ts'
import { CertificateError } from './errors.ts'
import { certificateLabel, listText } from './label.ts'
import { checkNameConstraints, ComparisonBudget } from './name-constraints.ts'

export interface PathOptions {
  /** Certificates trusted as they are. Their own signatures are not checked; all else about them is. */
  readonly anchors: readonly Certificate[]
  /** In milliseconds since the Unix epoch; may have a fraction. */
  readonly nowMs: number
  readonly crypto: CryptoProvider
  /** What the leaf is used for; undefined asks nothing of its usages. */
  readonly usage: CertificateUsage | undefined
  /** Between leaf and anchor, self-issued ones not counted. @default 6 */
  readonly maxIntermediates?: number
}

/** A path that holds. */
export interface ValidatedPath {
  /** From the leaf to the anchor; the leaf alone when it is an anchor itself. */
  readonly path: readonly Certificate[]
  /** The earliest notAfter on the path, in milliseconds since the Unix epoch. */
  readonly expiresAtMs: number
}

/** Meshes use one or two, the public web three. */
const DEFAULT_MAX_INTERMEDIATES = 6

/** Self-issued ones included, and the leaf and the anchor too. */
const MAX_PATH_CERTIFICATES = 16

/** A path of the default length needs seven; the rest is for cross-signed authorities and keys of the same name. */
const MAX_SIGNATURE_CHECKS = 32

/**
 * Finds a path from the first certificate of `chain` to an anchor and verifies it.
 *
 * The others may come in any order, and may be useless. Where several paths fail, the error is of the one that
 * says most: an expired authority rather than a missing one.
 *
 * Anchors are held to the same rules as intermediates: validity, basic constraints, usages, name constraints
 * and critical extensions. Revocation is not consulted: the mesh pushes it.
 *
 * @param chain leaf first; not empty
 * @throws CertificateError with the first certificate at fault
 */
export function validatePath(chain: readonly Certificate[], options: PathOptions): ValidatedPath {
  const [leaf, ...others] = chain
  if (leaf === undefined) throw new TypeError('A chain has at least its leaf')
  // NaN would be after every notBefore and before every notAfter.
  if (!Number.isFinite(options.nowMs)) throw new TypeError('The time is not a number')
  checkLeaf(leaf, options)
  const search = new PathSearch(others, options)
  const path = search.extend([leaf], 0)
  if (path === undefined) throw search.failure()
  return { path, expiresAtMs: Math.min(...path.map(({ notAfterMs }) => notAfterMs)) }
}

interface Failure {
  readonly error: CertificateError
  readonly rank: number
}

/** How much an error says; of equals the first stands. */
const Rank = { unknownIssuer: 0, otherKey: 1, badSignature: 2, rule: 3 } as const

/** A depth-first search, upwards from the leaf, that goes on only over signatures that hold. */
class PathSearch {
  readonly #options: PathOptions
  readonly #presented: readonly Certificate[]
  readonly #comparisons = new ComparisonBudget()
  #signatureChecks = 0
  #failure: Failure | undefined

  constructor(presented: readonly Certificate[], options: PathOptions) {
    this.#options = options
    this.#presented = presented.filter((certificate) => !isAmong(certificate, options.anchors))
  }

  /**
   * The whole path that begins with `path`, or undefined.
   *
   * @param intermediates how many of `path` count as intermediates
   */
  extend(path: readonly Certificate[], intermediates: number): readonly Certificate[] | undefined {
    const { anchors } = this.#options
    const top = path.at(-1)!
    if (path.length === 1 && isAmong(top, anchors)) return path
    const trusted = issuersOf(top, anchors)
    for (const issuer of trusted) {
      const whole = [...path, issuer]
      if (this.#signed(top, issuer, intermediates) && this.#namesHold(whole)) return whole
    }
    const untrusted = issuersOf(top, this.#presented).filter((issuer) => !isRepeated(issuer, path))
    for (const issuer of untrusted) {
      if (!this.#signed(top, issuer, intermediates)) continue
      const counted = isSelfIssued(issuer) ? intermediates : intermediates + 1
      const whole = this.#hasRoom(path, counted) && this.extend([...path, issuer], counted)
      if (whole) return whole
    }
    if (trusted.length + untrusted.length === 0)
      this.#fail(Rank.unknownIssuer, unknownIssuer(top, this.#options))
    return undefined
  }

  /** The most telling reason. */
  failure(): CertificateError {
    return this.#failure!.error
  }

  /** Whether `issuer` may have signed `certificate`, and has. */
  #signed(certificate: Certificate, issuer: Certificate, intermediates: number): boolean {
    try {
      checkIssuer(issuer, intermediates, this.#options)
      checkSerialNumber(certificate)
      this.#checkSignature(certificate, issuer)
      return true
    } catch (error) {
      const refusal = refusalOf(error)
      if (otherKey(certificate, issuer) && !this.#hasSigned(certificate, issuer))
        this.#fail(Rank.otherKey, issuedWithOtherKey(certificate, issuer))
      else this.#fail(refusal.code === 'PKI_BAD_SIGNATURE' ? Rank.badSignature : Rank.rule, refusal)
      return false
    }
  }

  /** Key identifiers are hints: before an error trusts them, the signature is asked. */
  #hasSigned(certificate: Certificate, issuer: Certificate): boolean {
    try {
      this.#checkSignature(certificate, issuer)
      return true
    } catch (error) {
      refusalOf(error)
      return false
    }
  }

  /**
   * Whether all names on a path to an anchor lie within the constraints above them. It comes last, so that only
   * authorities that an anchor vouches for can make work.
   */
  #namesHold(path: readonly Certificate[]): boolean {
    try {
      for (const [depth, issuer] of path.entries()) {
        if (issuer.nameConstraints === undefined) continue
        for (const [i, certificate] of path.slice(0, depth).entries()) {
          // RFC 5280 §6.1.3 (b), (c): self-issued certificates are exempt, except the leaf.
          if (i === 0 || !isSelfIssued(certificate))
            checkNameConstraints(issuer, certificate, this.#comparisons)
        }
      }
      return true
    } catch (error) {
      this.#fail(Rank.rule, refusalOf(error))
      return false
    }
  }

  #checkSignature(certificate: Certificate, issuer: Certificate): void {
    const { algorithm, parameters, bytes } = certificate.signature
    if (parameters === undefined)
      throw refused(
        'PKI_UNSUPPORTED',
        certificate,
        `is signed with the algorithm ${algorithm}, which is not accepted`,
      )
    if (++this.#signatureChecks > MAX_SIGNATURE_CHECKS)
      throw new CertificateError(
        'PKI_LIMIT',
        `Finding a path would take more than ${MAX_SIGNATURE_CHECKS} checks of signatures`,
      )
    if (importKey(issuer, this.#options.crypto).verify(parameters, certificate.tbs, bytes)) return
    throw refused(
      'PKI_BAD_SIGNATURE',
      certificate,
      `is not signed by the key of its issuer ${issuer.subject.text}`,
    )
  }

  #hasRoom(path: readonly Certificate[], intermediates: number): boolean {
    const { maxIntermediates = DEFAULT_MAX_INTERMEDIATES } = this.#options
    if (intermediates <= maxIntermediates && path.length + 2 <= MAX_PATH_CERTIFICATES) return true
    this.#fail(
      Rank.rule,
      refused(
        'PKI_PATH_LENGTH',
        path[0]!,
        `has more than the ${maxIntermediates} intermediates that are accepted`,
      ),
    )
    return false
  }

  #fail(rank: number, error: CertificateError): void {
    if (this.#failure === undefined || rank > this.#failure.rank) this.#failure = { error, rank }
  }
}

/** The certificates that `certificate` names as its issuer, those with the very key it names first. */
function issuersOf(certificate: Certificate, candidates: readonly Certificate[]): readonly Certificate[] {
  const issuers = candidates.filter(({ subject }) => subject.equals(certificate.issuer))
  if (issuers.length < 2) return issuers
  return issuers.toSorted((a, b) => Number(otherKey(certificate, a)) - Number(otherKey(certificate, b)))
}

/** Whether the key identifiers say that `issuer` did not sign `certificate`; they are hints (RFC 5280 §4.2.1.1). */
function otherKey(certificate: Certificate, issuer: Certificate): boolean {
  const wanted = certificate.authorityKeyIdentifier?.keyIdentifier
  const has = issuer.subjectKeyIdentifier
  return wanted !== undefined && has !== undefined && !equalBytes(wanted, has)
}

/** What to go on searching after. @throws whatever is no refusal of a certificate, and PKI_LIMIT */
function refusalOf(error: unknown): CertificateError {
  if (error instanceof CertificateError && error.code !== 'PKI_LIMIT') return error
  throw error
}

/** RFC 5280 §6.1: a path has no certificate twice. The same name with the same key leads nowhere new either. */
function isRepeated(certificate: Certificate, path: readonly Certificate[]): boolean {
  return path.some(
    ({ subject, publicKey }) =>
      subject.equals(certificate.subject) && equalBytes(publicKey.spki, certificate.publicKey.spki),
  )
}

function isAmong(certificate: Certificate, others: readonly Certificate[]): boolean {
  return others.some(({ der }) => equalBytes(der, certificate.der))
}

/** RFC 5280 §6.1: the same name as subject and as issuer. */
function isSelfIssued({ subject, issuer }: Certificate): boolean {
  return subject.equals(issuer)
}

function issuedWithOtherKey(certificate: Certificate, issuer: Certificate): CertificateError {
  return refused(
    'PKI_UNKNOWN_ISSUER',
    certificate,
    `was issued by ${issuer.subject.text}, but with another key than the one that is known by this name`,
  )
}

function unknownIssuer(top: Certificate, { anchors }: PathOptions): CertificateError {
  const known = listText(anchors.map(({ subject }) => JSON.stringify(subject.text)))
  const trusted = anchors.length === 0 ? 'there are no trust anchors' : `the trust anchors are ${known}`
  if (isSelfIssued(top))
    return new CertificateError(
      'PKI_UNTRUSTED_ROOT',
      `The chain ends in the self-signed certificate ${certificateLabel(top)}, which is not trusted: ${trusted}`,
      { certificate: top },
    )
  return refused(
    'PKI_UNKNOWN_ISSUER',
    top,
    `was issued by ${top.issuer.text}, which the peer did not send and which is not trusted: ${trusted}`,
  )
}
