import { MAX_REVOCATIONS, Revocations, revokedText, type RevokedSubject } from '../identity/revocations.ts'
import { CaError } from './errors.ts'
import type { IssuanceJournal } from './journal.ts'
import {
  decodeRevocations,
  encodeRevocations,
  type Revocation,
  type RevocationState,
  sameSubject,
} from './revocation-record.ts'
import type { CaStore } from './store.ts'

export interface RevocationRegisterOptions {
  readonly store: Pick<CaStore, 'loadRevocations' | 'saveRevocations'>
  readonly journal: IssuanceJournal
  /** Whose certificates the serial numbers are of. */
  readonly trustDomain: string
}

/** What became of an operator's command. */
interface RevocationOutcome {
  readonly revocation: Revocation
  /** Whether the list is another than before: a subject may have been revoked already. */
  readonly changed: boolean
}

/** Proxies judge by their own clocks, which may run behind: what is revoked stays so for longer than certificates live. */
const KEEP_MS = 3600 * 1000

/**
 * What is revoked in a trust domain. A change is in the journal first, then on the disk, then in force, and then it is
 * acknowledged: a crash in between leaves at most an entry of the journal for a revocation that nobody was told of.
 */
export class RevocationRegister {
  readonly #options: RevocationRegisterOptions
  readonly #listeners = new Set<(current: Revocations) => void>()
  #state: RevocationState
  #current: Revocations
  /** The change that is under way. */
  #changing: Promise<unknown> = Promise.resolve()

  private constructor(options: RevocationRegisterOptions, state: RevocationState) {
    this.#options = options
    this.#state = state
    this.#current = inForce(state, options.trustDomain)
  }

  /** @throws CaError CA_STORE_PERMISSIONS, CA_STORE_CORRUPT, CA_STORE_IO */
  static async open(options: RevocationRegisterOptions): Promise<RevocationRegister> {
    const record = await options.store.loadRevocations()
    const state = record === undefined ? { revision: 0, revocations: [] } : decodeRevocations(record)
    return new RevocationRegister(options, state)
  }

  /** What is in force now, for whoever judges peers. */
  get current(): Revocations {
    return this.#current
  }

  /** Oldest first. */
  get revocations(): readonly Revocation[] {
    return this.#state.revocations
  }

  /** Calls `listener` after every change, before it is acknowledged; returns the way to stop that. */
  onChange(listener: (current: Revocations) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /**
   * Revokes; what is revoked already stays as it is.
   *
   * @throws CaError CA_REVOCATION_LIMIT, CA_STORE_IO, CA_BUSY
   */
  revoke(
    subject: RevokedSubject,
    { reason, nowMs, endsAtMs }: Pick<Revocation, 'reason' | 'endsAtMs'> & { readonly nowMs: number },
  ): Promise<RevocationOutcome> {
    return this.#exclusively(async () => {
      const { revocations } = this.#state
      const present = revocations.find((known) => sameSubject(known.subject, subject))
      if (present !== undefined) return { revocation: present, changed: false }
      if (revocations.length >= MAX_REVOCATIONS)
        throw new CaError(
          'CA_REVOCATION_LIMIT',
          `${MAX_REVOCATIONS} revocations are in force; revoke an identity or an issuer in the place of serial numbers`,
        )
      const revocation: Revocation = { subject, revokedAtMs: nowMs, reason, endsAtMs }
      await this.#options.journal.append({
        kind: 'revoked',
        time: new Date(nowMs).toISOString(),
        ...namesOf(subject),
        reason,
        ...(endsAtMs !== undefined && { ends: new Date(endsAtMs).toISOString() }),
      })
      await this.#commit([...revocations, revocation], nowMs)
      return { revocation, changed: true }
    })
  }

  /**
   * Takes a revocation back.
   *
   * @throws CaError CA_REVOCATION_UNKNOWN, CA_REVOCATION_UNSOUND, CA_STORE_IO, CA_BUSY
   */
  lift(subject: RevokedSubject, { nowMs }: { readonly nowMs: number }): Promise<Revocation> {
    return this.#exclusively(async () => {
      const { revocations } = this.#state
      const revocation = revocations.find((known) => sameSubject(known.subject, subject))
      if (revocation === undefined)
        throw new CaError('CA_REVOCATION_UNKNOWN', `There is no revocation of ${revokedText(subject)}`)
      if (subject.kind === 'serial')
        throw new CaError(
          'CA_REVOCATION_UNSOUND',
          'A certificate that was revoked stays so until it ends: its workload gets another with its token',
        )
      await this.#options.journal.append({
        kind: 'unrevoked',
        time: new Date(nowMs).toISOString(),
        ...namesOf(subject),
      })
      await this.#commit(
        revocations.filter((known) => known !== revocation),
        nowMs,
      )
      return revocation
    })
  }

  /** Takes over what another controller has written. @throws CaError CA_STORE_PERMISSIONS, CA_STORE_CORRUPT, CA_STORE_IO */
  refresh(): Promise<void> {
    return this.#exclusively(async () => {
      const record = await this.#options.store.loadRevocations()
      if (record === undefined || record === encodeRevocations(this.#state)) return
      this.#take(decodeRevocations(record))
    })
  }

  /** Forgets what has ended. To be called now and then. @throws CaError CA_STORE_IO */
  sweep(nowMs: number): Promise<void> {
    return this.#exclusively(async () => {
      const kept = this.#state.revocations.filter(
        ({ endsAtMs }) => endsAtMs === undefined || nowMs < endsAtMs + KEEP_MS,
      )
      if (kept.length < this.#state.revocations.length) await this.#commit(kept, nowMs)
    })
  }

  /** One at a time. */
  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#changing.then(work)
    this.#changing = result.catch(() => {})
    return result
  }

  async #commit(revocations: readonly Revocation[], nowMs: number): Promise<void> {
    const { store } = this.#options
    // A clock that was set back must not make the list look older than the one before.
    const state = { revision: Math.max(this.#state.revision + 1, nowMs), revocations }
    const record = encodeRevocations(state)
    try {
      await store.saveRevocations(record)
    } catch (error) {
      // A write that failed may have reached the disk nevertheless: the disk says what holds.
      if ((await store.loadRevocations()) !== record) throw error
    }
    this.#take(state)
  }

  #take(state: RevocationState): void {
    this.#state = state
    this.#current = inForce(state, this.#options.trustDomain)
    for (const listener of this.#listeners) listener(this.#current)
  }
}

function inForce({ revision, revocations }: RevocationState, trustDomain: string): Revocations {
  const subjects = revocations.map(({ subject }) => subject)
  return new Revocations({
    revision,
    trustDomain,
    serialNumbers: subjects.flatMap((subject) => (subject.kind === 'serial' ? subject.serialNumber : [])),
    spiffeIds: subjects.flatMap((subject) => (subject.kind === 'identity' ? subject.spiffeId : [])),
    issuerKeys: subjects.flatMap((subject) => (subject.kind === 'issuer' ? subject.keySha256 : [])),
  })
}

/** As the journal has it, where its finder looks for it. */
function namesOf(subject: RevokedSubject): {
  readonly spiffeId?: string
  readonly serialNumber?: string
  readonly issuerKeySha256?: string
} {
  switch (subject.kind) {
    case 'serial':
      return { serialNumber: subject.serialNumber }
    case 'identity':
      return { spiffeId: subject.spiffeId }
    case 'issuer':
      return { issuerKeySha256: subject.keySha256 }
  }
}
