import type { Certificate } from '../pki/certificate.ts'
import { bridgeOf, isBridged } from './bridge.ts'
import { CaError } from './errors.ts'
import {
  adoptGeneration,
  type AuthorityContext,
  createGeneration,
  discardGeneration,
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
import { decodeRotation, encodeRotation } from './rotation-record.ts'
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
  /** The change that is under way. */
  #changing: Promise<unknown> = Promise.resolve()

  private constructor(
    options: AuthoritiesOptions,
    state: RotationState,
    generations: ReadonlyMap<number, Generation>,
  ) {
    this.#options = options
    this.#state = state
    this.#generations = generations
  }

  /**
   * Loads what is stored and judges it as a stranger's; makes what was never made; forgets what a crash has left.
   *
   * @throws CaError CA_STORE_…
   */
  static async open(options: AuthoritiesOptions, context: AuthorityContext): Promise<Authorities> {
    const { store, svidTtlMs } = options
    const record = await store.loadRotation()
    const stored = record === undefined ? initialRotation(svidTtlMs) : decodeRotation(record)
    const generations = new Map<number, Generation>()
    for (const number of trustedAuthorities(stored)) {
      const loaded =
        (await loadGeneration(number, options, context)) ??
        (await firstGeneration(number, record !== undefined, options, context))
      generations.set(number, loaded)
    }
    const state = withSvidTtl(stored, svidTtlMs, context.nowMs)
    if (record === undefined || state !== stored) await store.saveRotation(encodeRotation(state))
    const authorities = new Authorities(options, state, generations)
    await authorities.#discardUnused()
    return authorities
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

  /** Resolves when no change is under way: what is signed from then on is signed by the right authority. */
  async settled(): Promise<void> {
    await this.#changing
  }

  /** Replaces intermediates that near their end. @throws CaError CA_STORE_IO */
  maintain(context: AuthorityContext): Promise<void> {
    return this.#exclusively(async () => {
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

  async #commit(state: RotationState): Promise<void> {
    const { store } = this.#options
    try {
      await store.saveRotation(encodeRotation(state))
    } catch (error) {
      // A write that failed may have reached the disk nevertheless: the disk says what holds.
      const record = await store.loadRotation()
      if (record !== encodeRotation(state)) throw error
    }
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
