import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import type { BundleStore } from '../../src/ca/federation-store.ts'
import { FederatedDomain, type FederationEvent } from '../../src/control/federated-domain.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { encodeBundleDocument } from '../../src/identity/bundle-document.ts'
import { type TrustBundle, trustBundle } from '../../src/identity/trust-bundle.ts'
import { mintTrustDomain } from '../support/certificates.ts'
import { ManualTimers } from '../support/manual-timers.ts'

const TRUST_DOMAIN = 'partner.example'
const [first, second] = await Promise.all([mintTrustDomain(TRUST_DOMAIN), mintTrustDomain(TRUST_DOMAIN)])

class MemoryBundleStore implements BundleStore {
  readonly documents = new Map<string, string>()

  load(trustDomain: string): Promise<string | undefined> {
    return Promise.resolve(this.documents.get(trustDomain))
  }

  save(trustDomain: string, document: string): Promise<void> {
    this.documents.set(trustDomain, document)
    return Promise.resolve()
  }

  retain(): Promise<void> {
    return Promise.resolve()
  }
}

function documentOf(
  bundle: TrustBundle | undefined,
  { sequence, hint }: { readonly sequence?: number; readonly hint?: number } = {},
): string {
  return encodeBundleDocument({ bundle, sequence, refreshHintSeconds: hint })
}

/** A federated domain whose publisher a test can be. */
function federated(
  t: TestContext,
  {
    store = new MemoryBundleStore(),
    begin,
  }: { readonly store?: MemoryBundleStore; readonly begin?: string } = {},
) {
  const timers = new ManualTimers()
  const events: FederationEvent[] = []
  const publisher: { answer: () => Promise<string>; asked: number } = {
    answer: () => Promise.reject(new Error('away')),
    asked: 0,
  }
  let changes = 0
  const domain = new FederatedDomain({
    trustDomain: TRUST_DOMAIN,
    load: () => {
      publisher.asked++
      return publisher.answer()
    },
    ...(begin !== undefined && { first: () => Promise.resolve(begin) }),
    store,
    crypto: nativeCrypto(),
    timers,
    random: () => 0.5,
    onChange: () => changes++,
    onEvent: (event) => events.push(event),
  })
  t.after(() => domain[Symbol.dispose]())
  const publish = (text: string): void => void (publisher.answer = () => Promise.resolve(text))
  /** Lets what is under way come to its end. */
  const settled = async (): Promise<void> => {
    for (let turn = 0; turn < 20; turn++) await Promise.resolve()
  }
  return { domain, timers, events, publisher, publish, settled, store, changes: () => changes }
}

test('FederatedDomain looks again when its publisher hints, or after five minutes', async (t) => {
  const { domain, publish, settled, timers, publisher, changes, events } = federated(t)
  publish(documentOf(first.bundle, { sequence: 1 }))
  await domain.start()
  await settled()
  assert.deepEqual(domain.bundle?.anchors[0]?.der, first.bundle.anchors[0]!.der)
  assert.deepEqual(timers.delaysMs, [300_000])
  publish(documentOf(first.bundle, { sequence: 1, hint: 60 }))
  timers.advance(300_000)
  await settled()
  assert.deepEqual(timers.delaysMs, [60_000])
  assert.deepEqual([publisher.asked, changes(), events.length], [2, 1, 1])
  // Neither all the time nor never.
  for (const [hint, delayMs] of [
    [2 ** 40, 86_400_000],
    [0, 300_000],
  ] as const) {
    publish(documentOf(first.bundle, { hint }))
    timers.advance(timers.delaysMs[0]!)
    await settled()
    assert.deepEqual(timers.delaysMs, [delayMs])
  }
})

test('FederatedDomain keeps what was good last, over failures and over restarts', async (t) => {
  const { domain, publish, settled, timers, publisher, events, store } = federated(t)
  publish(documentOf(first.bundle, { sequence: 1, hint: 600 }))
  await domain.start()
  await settled()
  publish('no bundle')
  timers.advance(600_000)
  await settled()
  assert.deepEqual(events.at(-1)?.kind, 'failed')
  assert.ok(domain.bundle !== undefined)
  // A failure is tried again sooner.
  assert.deepEqual(timers.delaysMs, [750])
  publisher.answer = () => Promise.reject(new Error('away'))
  timers.advance(750)
  await settled()
  assert.deepEqual(timers.delaysMs, [1_500])

  const restarted = federated(t, { store, begin: documentOf(second.bundle) })
  await restarted.domain.start()
  assert.deepEqual(restarted.domain.bundle?.anchors[0]?.der, first.bundle.anchors[0]!.der)
  assert.equal(restarted.changes(), 1)
})

test('FederatedDomain begins with the document it was given, and does not take an older one for a newer', async (t) => {
  const { domain, publish, settled, timers, events } = federated(t, {
    begin: documentOf(first.bundle, { sequence: 5 }),
  })
  publish(documentOf(second.bundle, { sequence: 4 }))
  await domain.start()
  await settled()
  const [event] = events
  assert.ok(event?.kind === 'failed' && (event.error as { code?: string }).code === 'BUNDLE_STALE')
  assert.deepEqual(domain.bundle?.anchors[0]?.der, first.bundle.anchors[0]!.der)
  publish(documentOf(second.bundle, { sequence: 6 }))
  timers.advance(timers.delaysMs[0]!)
  await settled()
  assert.deepEqual(domain.bundle?.anchors[0]?.der, second.bundle.anchors[0]!.der)
})

test('FederatedDomain trusts nobody of a trust domain that publishes no key any more', async (t) => {
  const { domain, publish, settled, timers, changes, events } = federated(t)
  publish(documentOf(first.bundle, { sequence: 1 }))
  await domain.start()
  await settled()
  publish(documentOf(undefined, { sequence: 2 }))
  timers.advance(300_000)
  await settled()
  assert.deepEqual([domain.bundle, changes()], [undefined, 2])
  assert.deepEqual(events.at(-1), { kind: 'changed', bundle: undefined, sequence: 2 })
})

test('FederatedDomain refuses authorities that belong to another trust domain', async (t) => {
  const { domain, publish, settled, events } = federated(t)
  const other = await mintTrustDomain('shop.example')
  publish(documentOf(trustBundle('shop.example', other.bundle.anchors)))
  await domain.start()
  await settled()
  assert.equal(domain.bundle, undefined)
  assert.ok(
    events[0]?.kind === 'failed' && (events[0].error as { code?: string }).code === 'BUNDLE_MALFORMED',
  )
})

test('FederatedDomain does nothing any more when it has been disposed of', async (t) => {
  const { domain, settled, timers, publisher } = federated(t)
  await domain.start()
  domain[Symbol.dispose]()
  await settled()
  assert.deepEqual([timers.delaysMs, publisher.asked], [[], 1])
})

test('FederatedDomain trusts nothing that could not be stored', async (t) => {
  const store = new MemoryBundleStore()
  store.save = () => Promise.reject(new Error('disk full'))
  const { domain, publish, settled, events } = federated(t, { store })
  publish(documentOf(first.bundle))
  await domain.start()
  await settled()
  assert.equal(domain.bundle, undefined)
  assert.equal(events[0]?.kind, 'failed')
})
