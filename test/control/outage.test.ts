import assert from 'node:assert/strict'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { journalFiles } from '../../src/ca/journal-files.ts'
import { openJournal } from '../../src/ca/open-journal.ts'
import { readRecentJournal } from '../../src/ca/recent-journal.ts'
import type { IssuedSvid, IssueRequest } from '../../src/control/client.ts'
import { ControlError } from '../../src/control/errors.ts'
import { type ConnectedProxy, outageBudget, type OutageBudget } from '../../src/control/outage-budget.ts'
import { RenewalQueue } from '../../src/control/renewal-queue.ts'
import { RenewingIdentity } from '../../src/control/renewing-identity.ts'
import { workloadCertifier } from '../../src/control/workload-certifier.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { SpiffeId } from '../../src/identity/spiffe-id.ts'
import { TrustBundles } from '../../src/identity/trust-bundle.ts'
import { ManualTimers } from '../support/manual-timers.ts'
import { memoryCa, type MemoryCa, TRUST_DOMAIN } from '../support/memory-ca.ts'
import { seededRandom } from '../support/mutations.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const crypto = nativeCrypto()

const START_MS = Date.UTC(2026, 0, 1)
const LIFETIME_MS = 3600 * 1000
const PROXIES = 200
const LIFETIMES = 10

/**
 * Outages as parts of the budget that there was at their beginning. A controller that comes back in the last second meets
 * some who have just tried in vain: what is left out at the end is a second of an hour, and the time of one attempt.
 */
const OUTAGES: readonly number[] = [0.3, 0.9, 0.05, 0.6, 0.999]

/** Workloads are all started within so much time. */
const ARRIVAL_MS = 20 * 60 * 1000

interface Lapse {
  readonly spiffeIds: readonly string[]
  readonly atMs: number
}

/** Two hundred proxies and their controller, which can be away, on one clock that stands still until it is moved. */
class Scenario {
  readonly timers = new ManualTimers(START_MS)
  readonly queue = new RenewalQueue(this.timers)
  readonly proxies: RenewingIdentity[] = []
  /** The first moment at which a certificate ended before it was replaced. */
  lapse: Lapse | undefined
  down = false
  downMs = 0
  issued = 0
  refused = 0
  readonly #ca: MemoryCa
  readonly #log: string
  readonly #random = fractions(20_260_101)
  #underWay = 0

  private constructor(ca: MemoryCa, log: string) {
    this.#ca = ca
    this.#log = log
  }

  static async open(t: TestContext): Promise<Scenario> {
    const directory = join(await temporaryDirectory(t), 'journal')
    const clock = { nowMs: () => START_MS }
    const journal = await openJournal(directory, {
      crypto,
      trustDomain: TRUST_DOMAIN,
      nowMs: () => clock.nowMs(),
    })
    t.after(() => journal[Symbol.asyncDispose]())
    const scenario = new Scenario(await memoryCa(START_MS, { journal }), journalFiles(directory).log)
    clock.nowMs = () => scenario.timers.nowMs()
    return scenario
  }

  /** Starts a workload with a join token. */
  async add(name: string): Promise<void> {
    const id = SpiffeId.parse(`spiffe://${TRUST_DOMAIN}/ns/shop/sa/${name}`)
    const joinToken = await this.#ca.token(id, 100 * LIFETIME_MS)
    const { timers, queue } = this
    const identity: RenewingIdentity = new RenewingIdentity({
      crypto,
      bundles: TrustBundles.of(this.#ca.authority.bundle),
      issue: workloadCertifier({
        client: { issueSvid: (request) => this.#issue(request, identity) },
        current: () => identity.current(),
        token: () => Promise.resolve({ joinToken }),
        timers,
      }),
      expected: id,
      queue,
      random: this.#random,
    })
    this.proxies.push(identity)
    void identity.start()
    await this.#settled()
  }

  /** Moves the clock, from one renewal to the next. */
  async advance(byMs: number): Promise<void> {
    const endMs = this.timers.nowMs() + byMs
    if (this.down) this.downMs += byMs
    while (this.timers.nowMs() < endMs) {
      const stepMs = Math.min(endMs, this.queue.soonestMs ?? endMs)
      this.#noteLapse(stepMs)
      this.timers.advance(stepMs - this.timers.nowMs())
      await this.#settled()
    }
  }

  /** What `handfast ca outage-budget` goes by: the journal, and whoever is connected. */
  async budget(source: 'controller' | 'journal'): Promise<OutageBudget> {
    const nowMs = this.timers.nowMs()
    const journal = await readRecentJournal(this.#log, nowMs - LIFETIME_MS)
    if (source === 'controller') return outageBudget([journal], this.proxies.map(connectionOf), { nowMs })
    return outageBudget([journal], [], { nowMs, aliveMs: journal.lastEntryMs })
  }

  get valid(): number {
    const nowMs = this.timers.nowMs()
    return this.proxies.filter((proxy) => proxy.current()!.expiresAtMs > nowMs).length
  }

  async #issue(request: IssueRequest, identity: RenewingIdentity): Promise<IssuedSvid> {
    this.#underWay++
    try {
      if (this.down) throw new ControlError('CONTROL_UNAVAILABLE', 'The controller is down')
      const { csr, joinToken } = request
      const { chain } = await this.#ca.issuer.issue(
        csr,
        joinToken === undefined ? evidenceOf(identity) : { kind: 'join-token', token: joinToken },
        { nowMs: this.timers.nowMs() },
      )
      this.issued++
      return { chain, bundles: TrustBundles.of(this.#ca.authority.bundle), clockSkewMs: 0 }
    } catch (error) {
      this.refused++
      throw error
    } finally {
      this.#underWay--
    }
  }

  /** Until everyone who is due has asked, and has been answered. */
  async #settled(): Promise<void> {
    do await new Promise((resolve) => setImmediate(resolve))
    while (this.#underWay > 0)
  }

  #noteLapse(untilMs: number): void {
    const nowMs = this.timers.nowMs()
    const ends = this.proxies.map((proxy) => proxy.current()!)
    const atMs = Math.min(
      ...ends.map(({ expiresAtMs }) => expiresAtMs).filter((endMs) => endMs > nowMs && endMs <= untilMs),
    )
    if (atMs === Infinity) return
    const spiffeIds = ends.filter(({ expiresAtMs }) => expiresAtMs === atMs).map(({ id }) => id.toString())
    this.lapse ??= { spiffeIds: spiffeIds.sort(), atMs }
  }
}

function evidenceOf(identity: RenewingIdentity) {
  const { id, chain, expiresAtMs } = identity.current()!
  return { kind: 'peer-svid', id, serialNumber: chain[0]!.serialNumber, expiresAtMs } as const
}

function connectionOf(identity: RenewingIdentity): ConnectedProxy {
  const { id, chain, expiresAtMs } = identity.current()!
  return { spiffeId: id.toString(), node: 'node', serialNumber: chain[0]!.serialNumber, expiresAtMs }
}

/** Uniform in [0, 1), the same each time. */
function fractions(seed: number): () => number {
  const random = seededRandom(seed)
  return () => random(2 ** 31) / 2 ** 31
}

function predicted({ inUse, first }: OutageBudget): Lapse {
  const same = inUse.filter(({ failsAt }) => failsAt === first!.failsAt)
  return { spiffeIds: same.map(({ spiffeId }) => spiffeId).sort(), atMs: Date.parse(first!.failsAt) }
}

test('RenewingIdentity of 200 proxies renews through ten lifetimes with the controller away for a third of them; who fails first in a longer outage is what outageBudget has predicted', async (t) => {
  const scenario = await Scenario.open(t)
  for (let index = 0; index < PROXIES; index++) {
    await scenario.add(`w${index}`)
    await scenario.advance(ARRIVAL_MS / PROXIES)
  }
  await scenario.advance(LIFETIME_MS)
  const beganMs = scenario.timers.nowMs()
  scenario.downMs = 0
  let outages = 0
  while (scenario.timers.nowMs() - beganMs < LIFETIMES * LIFETIME_MS) {
    const { first, inUse } = await scenario.budget('controller')
    assert.equal(inUse.length, PROXIES)
    const outageMs = Math.floor(first!.leftMs * OUTAGES[outages++ % OUTAGES.length]!)
    scenario.down = true
    await scenario.advance(outageMs)
    scenario.down = false
    await scenario.advance(2 * outageMs)
    assert.equal(scenario.lapse, undefined, `nobody fails in outage ${outages} of ${outageMs} ms`)
    assert.equal(scenario.valid, PROXIES)
  }
  const lasted = scenario.timers.nowMs() - beganMs
  const { downMs, issued, refused } = scenario
  assert.ok(Math.abs(downMs / lasted - 1 / 3) < 0.001, 'a third of the time')
  t.diagnostic(
    `${outages} outages shorter than the budget, ${Math.round(downMs / 60_000)} of ${Math.round(lasted / 60_000)} minutes, ${issued} certificates issued, ${refused} attempts in vain, no lapse`,
  )

  for (let outage = 1; outage <= 3; outage++) {
    const budget = await scenario.budget('controller')
    const expected = predicted(budget)
    assert.deepEqual(predicted(await scenario.budget('journal')), expected, 'the journal alone says the same')
    scenario.down = true
    await scenario.advance(budget.first!.leftMs + 60_000)
    assert.deepEqual(scenario.lapse, expected)
    assert.deepEqual(
      (await scenario.budget('controller')).inUse.length,
      scenario.valid,
      'whoever has failed is not counted any more',
    )
    t.diagnostic(
      `outage of ${Math.round(budget.first!.leftMs / 1000) + 60} s: ${expected.spiffeIds.join(', ')} failed first, at ${new Date(expected.atMs).toISOString()}, as predicted`,
    )
    scenario.down = false
    await scenario.advance(LIFETIME_MS / 3)
    assert.equal(
      scenario.valid,
      PROXIES,
      'everyone comes back, by join token where the certificate has ended',
    )
    scenario.lapse = undefined
  }
})
