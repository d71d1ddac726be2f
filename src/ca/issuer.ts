import type { AttestedCaller, Attestor, Evidence } from './attestation.ts'
import type { CertificateAuthority, IssuedCertificate } from './authority.ts'
import { CaError } from './errors.ts'
import type { IssuanceJournal } from './journal.ts'
import type { SpiffeId } from '../identity/spiffe-id.ts'

/** Each request costs two signatures and a flush: more at once would only make all of them late. */
const MAX_UNDER_WAY = 64

/**
 * Refusals that are recorded at once, and then one in each of these intervals: anyone can be refused, and must not be
 * able to fill the disk.
 */
const REFUSALS_AT_ONCE = 100
const REFUSAL_INTERVAL_MS = 1_000

/** One attestor for each kind of evidence. */
export type Attestors = { readonly [Kind in Evidence['kind']]: Attestor<Kind> }

export interface IssuerOptions {
  readonly authority: CertificateAuthority
  readonly attestors: Attestors
  readonly journal: IssuanceJournal
  /** The controller's own identity, which nobody gets by asking. @default none */
  readonly reserved?: SpiffeId
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
  readonly #reserved: SpiffeId | undefined
  #underWay = 0
  /** How many refusals may be recorded now; it grows with time. */
  #allowance = REFUSALS_AT_ONCE
  #allowanceAtMs = -Infinity
  #unrecorded = 0

  constructor({ authority, attestors, journal, reserved }: IssuerOptions) {
    this.#reserved = reserved
    this.#authority = authority
    this.#attestors = attestors
    this.#journal = journal
  }

  /**
   * @param csr PKCS#10, DER
   * @param evidence undefined when the caller brought none
   * @throws CaError with the reason of the refusal, which is in the journal by then
   */
  async issue(
    csr: Uint8Array,
    evidence: Evidence | undefined,
    { nowMs }: { readonly nowMs: number },
  ): Promise<IssuedToCaller> {
    if (this.#underWay >= MAX_UNDER_WAY)
      throw new CaError('CA_BUSY', `${MAX_UNDER_WAY} requests for certificates are under way`)
    this.#underWay++
    let caller: AttestedCaller | undefined
    try {
      caller = await this.#attest(evidence, nowMs)
      if (this.#reserved?.equals(caller.id) === true)
        throw new CaError('CA_RESERVED_IDENTITY', `${caller.proof} asks for the controller's own identity`)
      const issued = await this.#authority.issue(caller, csr, { nowMs })
      return { ...issued, caller }
    } catch (error) {
      await this.#recordRefusal(error, caller, nowMs)
      throw error
    } finally {
      this.#underWay--
    }
  }

  #attest(evidence: Evidence | undefined, nowMs: number): Promise<AttestedCaller> {
    switch (evidence?.kind) {
      case 'join-token':
        return this.#attestors['join-token'].attest(evidence, { nowMs })
      case 'peer-svid':
        return this.#attestors['peer-svid'].attest(evidence, { nowMs })
      case undefined:
        return Promise.reject(
          new CaError(
            'CA_NO_EVIDENCE',
            'The request came without join token, on a connection without client certificate',
          ),
        )
    }
  }

  /** What is not a refusal is a fault of ours: it goes to the log, and its disk may be what has failed. */
  async #recordRefusal(error: unknown, caller: AttestedCaller | undefined, nowMs: number): Promise<void> {
    if (!(error instanceof CaError) || error.code === 'CA_STORE_IO') return
    if (!this.#allowed(nowMs)) {
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

  #allowed(nowMs: number): boolean {
    const elapsed = Math.max(0, nowMs - this.#allowanceAtMs)
    this.#allowance = Math.min(REFUSALS_AT_ONCE, this.#allowance + elapsed / REFUSAL_INTERVAL_MS)
    this.#allowanceAtMs = nowMs
    if (this.#allowance < 1) return false
    this.#allowance--
    return true
  }
}
