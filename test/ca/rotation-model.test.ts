import assert from 'node:assert/strict'
import test from 'node:test'
import * as fc from 'fast-check'
import {
  advanceRotation,
  demandsRenewal,
  type Fleet,
  initialRotation,
  prepareRotation,
  type RotationCommand,
  type RotationState,
  signingAuthority,
  stepRotation,
  trustedAuthorities,
} from '../../src/ca/rotation.ts'
import { decodeRotation, encodeRotation } from '../../src/ca/rotation-record.ts'

/** How long certificates live, in the model's minutes. */
const TTL = 60
/** How long proxies may take to come back to a controller that has started. */
const RETURN = 2
const PROXIES = 3
const RUNS = 6_000

interface Leaf {
  readonly signer: number
  /** The older authority that has certified the signer's root in the chain. */
  readonly bridge: number | undefined
  readonly endsAt: number
}

interface Proxy {
  trusted: readonly number[]
  leaf: Leaf
  connected: boolean
  /** Number of the snapshot that it has acknowledged to this run of the controller. */
  acked: number | undefined
  /** It was connected when the controller died, and will be back in time. */
  returning: boolean
  /** It was away when the operator decided not to wait for it. */
  abandoned: boolean
}

type Event =
  | { readonly kind: 'prepare'; readonly bridged: boolean; readonly crash: Crash }
  | { readonly kind: RotationCommand; readonly abandonAbsent: boolean; readonly crash: Crash }
  | { readonly kind: 'advance' | 'crash' }
  | { readonly kind: 'wait'; readonly minutes: number }
  | { readonly kind: 'connect' | 'disconnect' | 'acknowledge' | 'renew'; readonly proxy: number }

/** Whether the controller dies at the write of the record, and on which side of it. */
type Crash = 'none' | 'before' | 'after'

const crash: fc.Arbitrary<Crash> = fc.constantFrom('none', 'none', 'none', 'none', 'before', 'after')
const proxy = fc.nat(PROXIES - 1)
const command = (kind: RotationCommand): fc.Arbitrary<Event> =>
  fc.record({ kind: fc.constant(kind), abandonAbsent: fc.boolean(), crash })
const onProxy = (kind: 'connect' | 'disconnect' | 'acknowledge' | 'renew'): fc.Arbitrary<Event> =>
  fc.record({ kind: fc.constant(kind), proxy })

const events: fc.Arbitrary<Event[]> = fc.array(
  fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({ kind: fc.constant('prepare' as const), bridged: fc.boolean(), crash }),
    },
    { weight: 5, arbitrary: command('activate') },
    { weight: 4, arbitrary: command('taint') },
    { weight: 4, arbitrary: command('remove') },
    { weight: 2, arbitrary: command('rollback') },
    { weight: 2, arbitrary: fc.constant<Event>({ kind: 'advance' }) },
    { weight: 1, arbitrary: fc.constant<Event>({ kind: 'crash' }) },
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant('wait' as const),
        minutes: fc.constantFrom(1, RETURN, TTL / 2, TTL),
      }),
    },
    { weight: 5, arbitrary: onProxy('connect') },
    { weight: 2, arbitrary: onProxy('disconnect') },
    { weight: 8, arbitrary: onProxy('acknowledge') },
    { weight: 5, arbitrary: onProxy('renew') },
  ),
  { minLength: 1, maxLength: 60, size: 'max' },
)

/** A controller and its proxies, at whatever moments they talk, fail and die. */
class Mesh {
  now = 0
  disk: string = encodeRotation(initialRotation(TTL))
  state: RotationState = decodeRotation(this.disk)
  /** Which authorities a new one's root was certified by. */
  readonly bridges: Map<number, number> = new Map()
  startedAt = -RETURN
  /** The newest snapshot, and the one that began the present stage. */
  number = 1
  needed = 1
  readonly proxies: readonly Proxy[] = Array.from({ length: PROXIES }, () => ({
    trusted: [1],
    leaf: { signer: 1, bridge: undefined, endsAt: TTL },
    connected: false,
    acked: undefined,
    returning: false,
    abandoned: false,
  }))
  /** How often each stage was reached, so that the model is known to go everywhere. */
  readonly reached: string[] = []

  get fleet(): Fleet {
    return {
      settled: this.now - this.startedAt >= RETURN,
      followers: this.proxies.flatMap(({ connected, acked, leaf }, index) =>
        connected
          ? [
              {
                name: `proxy ${index}`,
                informed: acked !== undefined && acked >= this.needed,
                renewed: leaf.signer === signingAuthority(this.state),
              },
            ]
          : [],
      ),
    }
  }

  happen(event: Event): void {
    switch (event.kind) {
      case 'prepare': {
        const outcome = prepareRotation(this.state, { nowMs: this.now, bridged: event.bridged })
        if (outcome.kind === 'refused') return
        if (event.bridged) this.bridges.set(outcome.state.highest, this.state.current)
        else this.bridges.delete(outcome.state.highest)
        return this.#commit(outcome.state, event.crash)
      }
      case 'activate':
      case 'taint':
      case 'remove':
      case 'rollback': {
        const { kind, abandonAbsent } = event
        const context = { nowMs: this.now, fleet: this.fleet }
        const outcome = stepRotation(this.state, kind, { ...context, abandonAbsent })
        if (outcome.kind === 'refused') return
        // What would have been waited for is given up.
        if (stepRotation(this.state, kind, context).kind === 'refused')
          for (const one of this.proxies) one.abandoned ||= !one.connected && !one.returning
        return this.#commit(outcome.state, event.crash)
      }
      case 'advance': {
        const state = advanceRotation(this.state, { nowMs: this.now, fleet: this.fleet })
        if (state !== this.state) this.#commit(state, 'none')
        return
      }
      case 'crash':
        return this.#restart()
      case 'wait':
        return this.#wait(event.minutes)
      case 'connect':
        return this.#connect(this.proxies[event.proxy]!)
      case 'disconnect':
        this.proxies[event.proxy]!.connected = false
        return
      case 'acknowledge':
        return this.#acknowledge(this.proxies[event.proxy]!)
      case 'renew':
        return this.#renew(this.proxies[event.proxy]!)
    }
  }

  /** What must hold at every moment. */
  check(): void {
    const persisted = decodeRotation(this.disk)
    for (const state of [this.state, persisted])
      assert.ok(
        trustedAuthorities(state).includes(signingAuthority(state)),
        'a bundle without the root in use',
      )
    const alive = this.proxies.filter(({ leaf, abandoned }) => leaf.endsAt > this.now && !abandoned)
    for (const verifier of alive)
      for (const { leaf } of alive)
        assert.ok(
          verifier.trusted.includes(leaf.signer) ||
            (leaf.bridge !== undefined && verifier.trusted.includes(leaf.bridge)),
          `a certificate of ${leaf.signer} (bridge ${leaf.bridge}) met a bundle of ${verifier.trusted.join()}`,
        )
  }

  /** Whether it can go on from here, both ways, when all come back. */
  checkLiveness(commands: readonly RotationCommand[]): void {
    this.#restart()
    const allUpToDate = (): void => {
      for (const one of this.proxies) {
        this.#connect(one)
        this.#acknowledge(one)
        this.#renew(one)
      }
    }
    for (const kind of commands) {
      allUpToDate()
      this.#wait(TTL)
      allUpToDate()
      const crashOf: Crash = 'after'
      if (this.state.rotation !== undefined) this.happen({ kind, abandonAbsent: false, crash: crashOf })
      this.check()
    }
    allUpToDate()
    this.#wait(TTL)
    allUpToDate()
    this.happen({ kind: 'advance' })
    this.check()
    assert.equal(this.state.rotation, undefined, 'a rotation without end')
  }

  #commit(state: RotationState, when: Crash): void {
    this.reached.push(state.rotation?.stage ?? 'none')
    if (when === 'before') return this.#restart()
    this.disk = encodeRotation(state)
    if (when === 'after') return this.#restart()
    const changed = trustedAuthorities(state).join() !== trustedAuthorities(this.state).join()
    const demanded = demandsRenewal(state) !== demandsRenewal(this.state)
    this.state = state
    if (!changed && !demanded) return
    this.number++
    this.needed = this.number
  }

  #restart(): void {
    this.state = decodeRotation(this.disk)
    this.startedAt = this.now
    this.number = 1
    this.needed = 1
    for (const one of this.proxies) {
      one.returning ||= one.connected
      one.connected = false
      one.acked = undefined
    }
  }

  #wait(minutes: number): void {
    this.now += minutes
    for (const one of this.proxies) {
      if (one.leaf.endsAt <= this.now) one.connected = false
      if (one.returning && this.now - this.startedAt >= RETURN) this.#connect(one)
    }
  }

  /** An expired certificate is replaced by means of a join token. */
  #connect(one: Proxy): void {
    one.returning = false
    if (one.connected) return
    if (one.leaf.endsAt <= this.now) this.#renew(one)
    one.connected = true
    one.acked = undefined
  }

  #acknowledge(one: Proxy): void {
    if (!one.connected) return
    one.trusted = trustedAuthorities(this.state)
    one.acked = this.number
  }

  #renew(one: Proxy): void {
    const signer = signingAuthority(this.state)
    const bridge = this.state.rotation === undefined ? undefined : this.bridges.get(signer)
    one.leaf = { signer, bridge, endsAt: this.now + TTL }
    one.trusted = trustedAuthorities(this.state)
    one.abandoned = false
  }
}

test('rotation keeps every valid certificate verifiable by every proxy, whoever lags, leaves or dies when', () => {
  const stages = new Map<string, number>()
  fc.assert(
    fc.property(events, (story) => {
      const mesh = new Mesh()
      for (const event of story) {
        mesh.happen(event)
        mesh.check()
      }
      for (const stage of mesh.reached) stages.set(stage, (stages.get(stage) ?? 0) + 1)
    }),
    { numRuns: RUNS },
  )
  for (const stage of ['prepared', 'distributed', 'active', 'tainted', 'reverting', 'none'])
    assert.ok((stages.get(stage) ?? 0) > 20, `the stories reached ${stage} ${stages.get(stage) ?? 0} times`)
})

test('rotation can be completed and rolled back from wherever it was left', () => {
  for (const commands of [['activate', 'taint', 'remove'], ['rollback']] as const)
    fc.assert(
      fc.property(events, (story) => {
        const mesh = new Mesh()
        for (const event of story) mesh.happen(event)
        // A rotation may be anywhere, also on its way back: only what its stage takes is carried out.
        mesh.checkLiveness(commands)
      }),
      { numRuns: 500 },
    )
})
