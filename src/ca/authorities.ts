import type { Certificate } from '../pki/certificate.ts'
import { bridgeOf, isBridged } from './bridge.ts'
import { CaError } from './errors.ts'
import {
  adoptGeneration,
  type AuthorityContext,
  createGeneration,
  discardGeneration,
  followGeneration,
  type Generation,
  type GenerationOptions,
  loadGeneration,
  maintainGeneration,
} from './generation.ts'
import type { OperatorAuthority } from './operator-authority.ts'
import {
  initialRotation,
  prepareObstacle,
  prepareRotation,
  type RotationOutcome,
  type RotationState,
  signingAuthority,
  trustedAuthorities,
  withSvidTtl,
} from './rotation.ts'
import { decodeRotation, encodeRotation, recordedTerm } from './rotation-record.ts'
import { slotOf } from './store.ts'

export interface AuthoritiesOptions extends GenerationOptions {
  /** How long an SVID lives. */
  readonly svidTtlMs: number
  /**
   * Reads what an operator brings along, for a store that has nothing yet. What is stored already needs no such files:
   * they may be about to be exchanged. @default an authority of our own
   */
  readonly operator?: () => Promise<OperatorAuthority | undefined>
}

/**
 * The authorities of a trust domain as they are stored: one, and during a rotation two. What is on the disk is always
 * ahead of what is in use, and one write of the record takes each step.
 */
export class Authorities {
  readonly #options: AuthoritiesOptions
  #state: RotationState
  #generations: ReadonlyMap<number, Generation>
  /** The record that the state was read from or written to, and the store's name for it. */
  #record: string
  #revision = ''
  /** The term as the leader; undefined for a replica that follows one. */
  #term: number | undefined
  /** The change that is under way. */
  #changing: Promise<unknown> = Promise.resolve()

  private constructor(options: AuthoritiesOptions, { state, generations, record, term }: Opened) {
    this.#options = options
    this.#state = state
    this.#generations = generations
    this.#record = record
    this.#term = term
  }

  /**
   * Loads what is stored and judges it as a stranger's; makes what was never made; forgets what a crash has left.
   *
   * @param context.term of the lease that allows it (lease.ts). @default 0: nobody else uses the store
   * @throws CaError CA_STORE_…
   */
  static async open(
    options: AuthoritiesOptions,
    { term = 0, ...context }: AuthorityContext & { readonly term?: number | undefined },
  ): Promise<Authorities> {
    const authorities = new Authorities(options, await openAsLeader(options, { ...context, term }))
    await authorities.#discardUnused()
    return authorities
  }

  /**
   * Loads what a leader has stored, and writes nothing.
   *
   * @returns undefined when there is nothing yet
   * @throws CaError CA_STORE_…
   */
  static async follow(
    options: AuthoritiesOptions,
    context: AuthorityContext,
  ): Promise<Authorities | undefined> {
    const stored = await loadStored(options, context)
    return stored && new Authorities(options, { ...stored, term: undefined })
  }

  /** Takes over from whoever led before. @throws CaError CA_STORE_… */
  lead(term: number, context: AuthorityContext): Promise<void> {
    return this.#exclusively(async () => {
      this.#take(await openAsLeader(this.#options, { ...context, term }))
      await this.#discardUnused()
    })
  }

  /** Whether this replica may change anything. */
  get leads(): boolean {
    return this.#term !== undefined
  }

  /** Leaves the writing to another, when what is being written is done. */
  async rest(): Promise<void> {
    this.#term = undefined
    await this.#changing
  }

  /**
   * Reads what the leader has stored meanwhile.
   *
   * @param thorough whether to look for intermediates that were replaced, too. @default false
   * @throws CaError CA_STORE_…
   */
  async refresh(context: AuthorityContext, thorough: boolean = false): Promise<void> {
    const { store } = this.#options
    if (this.#term !== undefined) return
    if (!thorough && (await store.rotationRevision()) === this.#revision) return
    await this.#exclusively(async () => {
      if (this.#term !== undefined) return
      const revision = await store.rotationRevision()
      const stored = await loadStored(this.#options, context)
      if (stored === undefined) return
      this.#take({ ...stored, term: undefined })
      this.#revision = revision
    })
  }

  /** The record of the present state: the same on all replicas that are as far. */
  get record(): string {
    return this.#record
  }

  /** How far a rotation has come. */
  get state(): RotationState {
    return this.#state
  }

  /** The authority that signs. */
  get signer(): Generation {
    return this.generation(signingAuthority(this.#state))
  }

  /** What to trust, the current authority's first. */
  get anchors(): readonly Certificate[] {
    return trustedAuthorities(this.#state).map((number) => this.generation(number).root.certificate)
  }

  /** All that is in use or under way, roots and intermediates. */
  get certificates(): readonly Certificate[] {
    return Array.from(this.#generations.values(), ({ root, intermediate, chain }) => [
      intermediate.certificate,
      ...chain,
      root.certificate,
    ]).flat()
  }

  /** Those of them whose keys are here. */
  get certificatesWithKey(): readonly Certificate[] {
    return Array.from(this.#generations.values(), ({ root, intermediate }) =>
      root.key === undefined ? [intermediate.certificate] : [intermediate.certificate, root.certificate],
    ).flat()
  }

  /** One that is in use or under way. */
  generation(number: number): Generation {
    return this.#generations.get(number)!
  }

  /**
   * What the signing authority's certificates are shown with: its intermediate, and what leads from there to an
   * anchor. The bridge from the old anchor is left out where nobody needs it any more.
   */
  get presented(): readonly [intermediate: Certificate, ...rest: Certificate[]] {
    const { intermediate, chain, root } = this.signer
    const bridge = this.#state.rotation === undefined ? bridgeOf(root.certificate, chain) : undefined
    return [intermediate.certificate, ...chain.filter((certificate) => certificate !== bridge)]
  }

  /** The bridge to the signing authority's root from the one before, if there is one. */
  get bridge(): Certificate | undefined {
    const { chain, root } = this.signer
    return bridgeOf(root.certificate, chain)
  }

  /**
   * Resolves when no change is under way, here or in the store: what is signed from then on, with an end that was reckoned
   * before, is signed by the right authority.
   *
   * @throws CaError CA_STORE_…
   */
  async settled(context: AuthorityContext): Promise<void> {
    await this.refresh(context)
    await this.#changing
  }

  /** Replaces intermediates that near their end. @throws CaError CA_STORE_IO */
  maintain(context: AuthorityContext): Promise<void> {
    return this.#exclusively(async () => {
      await this.#refuseFollower()
      for (const generation of this.#generations.values()) {
        const maintained = await maintainGeneration(generation, this.#options, context)
        this.#generations = new Map(this.#generations).set(generation.number, maintained)
      }
    })
  }

  /**
   * Makes the next authority and begins a rotation to it.
   *
   * @param authority brought along by an operator. @default one of our own
   * @param now asked when nothing is signed any more that could still be under way
   * @throws CaError CA_STORE_IO
   */
  prepare(now: () => AuthorityContext, authority?: OperatorAuthority): Promise<RotationOutcome> {
    return this.#exclusively(async () => {
      await this.#refuseFollower()
      const context = now()
      const obstacle = prepareObstacle(this.#state)
      if (obstacle !== undefined) return { kind: 'refused', obstacle }
      const { crypto, trustDomain } = this.#options
      const predecessor = this.generation(this.#state.current)
      const number = this.#state.highest + 1
      const next =
        authority === undefined
          ? await createGeneration(number, this.#options, { ...context, predecessor })
          : await adoptGeneration(number, this.#options, { ...context, predecessor, authority })
      const bridged = await isBridged(next, {
        anchor: predecessor.root.certificate,
        trustDomain,
        crypto,
        nowMs: context.nowMs,
      })
      const outcome = prepareRotation(this.#state, { nowMs: context.nowMs, bridged })
      if (outcome.kind === 'refused') return outcome
      this.#generations = new Map(this.#generations).set(number, next)
      await this.#commit(outcome.state)
      return outcome
    })
  }

  /**
   * Takes a step of a rotation.
   *
   * @param decide asked when nothing is being signed that does not know its end yet; it takes the time then
   * @throws CaError CA_STORE_IO
   */
  change(decide: (state: RotationState) => RotationOutcome): Promise<RotationOutcome> {
    return this.#exclusively(async () => {
      await this.#refuseFollower()
      const outcome = decide(this.#state)
      if (outcome.kind === 'moved' && outcome.state !== this.#state) await this.#commit(outcome.state)
      return outcome
    })
  }

  /** One at a time; certificates are not signed meanwhile. */
  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#changing.then(work)
    this.#changing = result.catch(() => {})
    return result
  }

  /** The record in the store is the fence: under a newer term than ours it is somebody else's. */
  async #refuseFollower(): Promise<void> {
    const stored = await this.#options.store.loadRotation()
    const newest = stored === undefined ? 0 : recordedTerm(stored)
    if (this.#term !== undefined && this.#term >= newest) return
    this.#term = undefined
    throw new CaError('CA_NOT_LEADER', 'This replica of the controller does not lead; ask the one that does')
  }

  #take({ state, generations, record, term }: Opened): void {
    this.#state = state
    this.#generations = generations
    this.#record = record
    this.#term = term
  }

  async #commit(state: RotationState): Promise<void> {
    const { store } = this.#options
    const record = encodeRotation(state, this.#term)
    try {
      await store.saveRotation(record)
    } catch (error) {
      // A write that failed may have reached the disk nevertheless: the disk says what holds.
      if (record !== (await store.loadRotation())) throw error
    }
    this.#record = record
    this.#state = state
    await this.#discardUnused()
  }

  /** What the record does not name is what a crash or a step has left behind; its keys must not lie about. */
  async #discardUnused(): Promise<void> {
    const { store } = this.#options
    const used = trustedAuthorities(this.#state)
    const kept = new Set(used.flatMap((number) => [slotOf('root', number), slotOf('intermediate', number)]))
    this.#generations = new Map([...this.#generations].filter(([number]) => used.includes(number)))
    const unused = (await store.slots()).filter((slot) => !kept.has(slot))
    const numbers = new Set(unused.map((slot) => Number(slot.split('-')[1] ?? 1)))
    for (const number of numbers) await discardGeneration(number, store)
  }
}

/** What there is, and under which term it may be changed. */
interface Opened {
  readonly state: RotationState
  readonly generations: ReadonlyMap<number, Generation>
  readonly record: string
  readonly term: number | undefined
}

async function openAsLeader(
  options: AuthoritiesOptions,
  { term, ...context }: AuthorityContext & { readonly term: number },
): Promise<Opened> {
  const { store, svidTtlMs } = options
  const stored = await store.loadRotation()
  const before = stored === undefined ? initialRotation(svidTtlMs) : decodeRotation(stored)
  const generations = new Map<number, Generation>()
  for (const number of trustedAuthorities(before)) {
    const loaded =
      (await loadGeneration(number, options, context)) ??
      (await firstGeneration(number, stored !== undefined, options, context))
    generations.set(number, loaded)
  }
  const state = withSvidTtl(before, svidTtlMs, context.nowMs)
  const record = encodeRotation(state, term)
  if (record !== stored) await store.saveRotation(record)
  return { state, generations, record, term }
}

/** What the leader has stored, all of the same moment. */
async function loadStored(
  options: AuthoritiesOptions,
  context: AuthorityContext,
): Promise<Omit<Opened, 'term'> | undefined> {
  const { store } = options
  for (;;) {
    const record = await store.loadRotation()
    if (record === undefined) return undefined
    try {
      const state = decodeRotation(record)
      const generations = new Map<number, Generation>()
      for (const number of trustedAuthorities(state))
        generations.set(number, await followGeneration(number, options, context))
      if (record === (await store.loadRotation())) return { state, generations, record }
    } catch (error) {
      // What the leader has taken away meanwhile is not needed any more.
      if (record === (await store.loadRotation())) throw error
    }
  }
}

async function firstGeneration(
  number: number,
  recorded: boolean,
  options: AuthoritiesOptions,
  context: AuthorityContext,
): Promise<Generation> {
  // A new root would cut off every workload that trusts the old one: that is for the operator to decide.
  if (recorded || (await options.store.slots()).length > 0)
    throw new CaError(
      'CA_STORE_CORRUPT',
      `The store lacks its ${slotOf('root', number)}; restore the root from a backup, or empty the store to begin a new trust domain`,
    )
  const operator = await options.operator?.()
  return operator === undefined
    ? createGeneration(number, options, context)
    : adoptGeneration(number, options, { ...context, authority: operator })
}
