import type { AttestedCaller, Attestor, Attestors, Evidence } from './attestation.ts'
import type { CertificateAuthority, IssuedCertificate, IssuedToken } from './authority.ts'
import { CaError } from './errors.ts'
import type { IssuanceJournal } from './journal.ts'
import { type Rate, RateLimit } from './rate-limit.ts'
import { Revocations } from '../identity/revocations.ts'
import type { SpiffeId } from '../identity/spiffe-id.ts'

/** Each request costs two signatures and a flush: more at once would only make all of them late. */
const MAX_UNDER_WAY = 64

/** Refusals that are recorded, of all callers together: anyone can be refused, and must not be able to fill the disk. */
const RECORDED_REFUSALS: Rate = { atOnce: 100, perMinute: 60 }

/** What callers are held to; what is left out is not limited. */
export interface IssuerLimits {
  /** Certificates for one identity, and as many tokens. */
  readonly certificatesPerIdentity?: Rate
  /** Requests from one address, before it is known whose they are. */
  readonly requestsPerAddress?: Rate
}

export interface IssuerOptions {
  readonly authority: CertificateAuthority
  readonly attestors: Attestors
  readonly journal: IssuanceJournal
  /** Identities that are given nothing any more. @default none */
  readonly revocations?: () => Revocations
  /** The controller's own identity, which nobody gets by asking. @default none */
  readonly reserved?: SpiffeId
  /** @default none */
  readonly limits?: IssuerLimits
}

/** What is known of a request beside what its sender says. */
export interface RequestContext {
  readonly nowMs: number
  /** Where it comes from, as text without port. @default unknown, and not limited */
  readonly address?: string | undefined
  /** How long the certificate should live; it is held within the authority's bounds. @default what is usual */
  readonly ttlMs?: number | undefined
}

/** A certificate and whom it was issued to. */
export interface IssuedToCaller extends IssuedCertificate {
  readonly caller: AttestedCaller
}

/** The way from a stranger's request to a certificate: attest, then sign; refusals are recorded too. */
export class Issuer {
  readonly #authority: CertificateAuthority
  readonly #attestors: Attestors
  readonly #journal: IssuanceJournal
  readonly #revocations: () => Revocations
  readonly #reserved: SpiffeId | undefined
  readonly #certificates: RateLimit | undefined
  /** Certificates and tokens do not take from each other. */
  readonly #tokens: RateLimit | undefined
  readonly #requests: RateLimit | undefined
  readonly #recordedRefusals = new RateLimit(RECORDED_REFUSALS)
  #underWay = 0
  #unrecorded = 0

  constructor({
    authority,
    attestors,
    journal,
    revocations = () => Revocations.NONE,
    reserved,
    limits = {},
  }: IssuerOptions) {
    this.#revocations = revocations
    const { certificatesPerIdentity, requestsPerAddress } = limits
    this.#reserved = reserved
    this.#authority = authority
    this.#attestors = attestors
    this.#journal = journal
    this.#certificates = certificatesPerIdentity && new RateLimit(certificatesPerIdentity)
    this.#tokens = certificatesPerIdentity && new RateLimit(certificatesPerIdentity)
    this.#requests = requestsPerAddress && new RateLimit(requestsPerAddress)
  }

  /**
   * @param csr PKCS#10, DER
   * @param evidence undefined when the caller brought none
   * @throws CaError with the reason of the refusal, which is in the journal by then
   */
  issue(csr: Uint8Array, evidence: Evidence | undefined, context: RequestContext): Promise<IssuedToCaller> {
    const { nowMs, ttlMs } = context
    return this.#admit(evidence, { ...context, limit: this.#certificates }, async (caller) => ({
      ...(await this.#authority.issue(caller, csr, { nowMs, ttlMs })),
      caller,
    }))
  }

  /**
   * A JWT-SVID.
   *
   * @param audience whom it is for
   * @param evidence undefined when the caller brought none
   * @throws CaError with the reason of the refusal, which is in the journal by then
   */
  issueToken(
    audience: readonly string[],
    evidence: Evidence | undefined,
    context: RequestContext,
  ): Promise<IssuedToken> {
    return this.#admit(evidence, { ...context, limit: this.#tokens }, (caller) =>
      this.#authority.issueToken(caller, audience, context),
    )
  }

  /** Does what a caller asks for, if it proves who it is, and asks not too often. */
  async #admit<Issued>(
    evidence: Evidence | undefined,
    { nowMs, address, limit }: RequestContext & { readonly limit: RateLimit | undefined },
    issue: (caller: AttestedCaller) => Promise<Issued>,
  ): Promise<Issued> {
    if (this.#underWay >= MAX_UNDER_WAY)
      throw new CaError('CA_BUSY', `${MAX_UNDER_WAY} requests for certificates are under way`)
    this.#underWay++
    let caller: AttestedCaller | undefined
    try {
      if (address !== undefined && this.#requests?.allow(address, nowMs) === false)
        throw new CaError(
          'CA_RATE_LIMITED',
          `${address} asks more often than spec.limits.requestsPerAddress allows`,
        )
      caller = await this.#attest(evidence, nowMs)
      if (this.#reserved?.equals(caller.id) === true)
        throw new CaError('CA_RESERVED_IDENTITY', `${caller.proof} asks for the controller's own identity`)
      if (this.#revocations().has(caller.id.toString()))
        throw new CaError(
          'CA_REVOKED',
          `${caller.id.toString()} is revoked; it is given certificates again after handfast ca unrevoke`,
        )
      if (limit?.allow(caller.id.toString(), nowMs) === false)
        throw new CaError(
          'CA_RATE_LIMITED',
          `${caller.id.toString()} asks more often than spec.limits.certificatesPerIdentity allows`,
        )
      return await issue(caller)
    } catch (error) {
      await this.#recordRefusal(error, caller, nowMs)
      throw error
    } finally {
      this.#underWay--
    }
  }

  #attest(evidence: Evidence | undefined, nowMs: number): Promise<AttestedCaller> {
    if (evidence === undefined)
      throw new CaError(
        'CA_NO_EVIDENCE',
        'The request came without token, on a connection without client certificate',
      )
    // The attestor of a kind takes evidence of that kind, which the compiler cannot see through the lookup.
    const attestor = this.#attestors[evidence.kind] as Attestor | undefined
    if (attestor === undefined)
      throw new CaError(
        'CA_EVIDENCE_UNSUPPORTED',
        `The request came with evidence of the kind ${evidence.kind}, for which spec.attestation says nothing`,
      )
    return attestor.attest(evidence, { nowMs })
  }

  /** What is not a refusal is a fault of ours: it goes to the log, and its disk may be what has failed. */
  async #recordRefusal(error: unknown, caller: AttestedCaller | undefined, nowMs: number): Promise<void> {
    if (!(error instanceof CaError) || error.code === 'CA_STORE_IO') return
    if (!this.#recordedRefusals.allow('of all callers', nowMs)) {
      this.#unrecorded++
      return
    }
    const unrecordedBefore = this.#unrecorded
    this.#unrecorded = 0
    await this.#journal.append({
      kind: 'refused',
      time: new Date(nowMs).toISOString(),
      ...(caller !== undefined && { spiffeId: caller.id.toString(), proof: caller.proof }),
      code: error.code,
      reason: error.message,
      ...(unrecordedBefore > 0 && { unrecordedBefore }),
    })
  }
}
