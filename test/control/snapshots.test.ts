import assert from 'node:assert/strict'
import { once } from 'node:events'
import test, { type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { create } from '@bufbuild/protobuf'
import { Client, type ServiceError } from '@grpc/grpc-js'
import type { ControlClient } from '../../src/control/client.ts'
import {
  type Snapshot,
  SnapshotRequestSchema,
  SnapshotService,
  type SnapshotRequest,
} from '../../src/control/gen/handfast_pb.ts'
import { methodDefinition } from '../../src/control/grpc-service.ts'
import type { VersionedState } from '../../src/control/mesh-state.ts'
import { SecureChannelCredentials } from '../../src/control/secure-channel.ts'
import type { SubscriptionEvent } from '../../src/control/snapshot-subscription.ts'
import {
  anyCsr,
  type ControlPlane,
  clientOf,
  proxySecurity,
  startControlPlane,
} from '../support/control-plane.ts'
import { SpiffeId } from '../../src/identity/spiffe-id.ts'
import { WEB } from '../support/memory-ca.ts'
import { revocationsOf } from '../support/revocations.ts'
import { ManualTimers } from '../support/manual-timers.ts'

/** Waits until `holds`, which something under way will bring about. */
async function until(holds: () => boolean, what: string): Promise<void> {
  for (const endMs = Date.now() + 5_000; !holds(); await sleep(5))
    if (Date.now() > endMs) assert.fail(`It did not come to pass: ${what}`)
}

/** A subscriber that keeps what it gets; `refuse` gives the reason to refuse a state. */
function subscribe(
  t: TestContext,
  client: ControlClient,
  refuse: (state: VersionedState) => string | undefined = () => undefined,
) {
  const states: VersionedState[] = []
  const events: SubscriptionEvent[] = []
  const subscription = client.subscribe({
    node: 'node-1',
    apply(state) {
      states.push(state)
      const reason = refuse(state)
      if (reason !== undefined) throw new Error(reason)
    },
    onEvent: (event) => events.push(event),
  })
  t.after(() => subscription[Symbol.dispose]())
  return { states, events, subscription }
}

async function webClient(plane: ControlPlane): Promise<ControlClient> {
  const svid = await plane.svid(WEB)
  return clientOf(plane, { credential: () => svid })
}

test('SnapshotSubscription gets the whole state at once and at each change, and its answers are recorded', async (t) => {
  const plane = await startControlPlane(t)
  const { states, subscription } = subscribe(t, await webClient(plane))
  await until(() => plane.board.subscribers[0]?.ackedNumber === 1, 'the first acknowledgement')
  plane.board.publish(plane.state('r2'))
  await until(() => plane.board.subscribers[0]?.ackedNumber === 2, 'the second acknowledgement')
  assert.deepEqual(
    states.map(({ version, policyRevision }) => [version.epoch, version.number, policyRevision]),
    [
      ['first', 1, 'r1'],
      ['first', 2, 'r2'],
    ],
  )
  assert.equal(new TextDecoder().decode(states[1]!.policies), 'policies of r2')
  assert.deepEqual(
    states[1]!.bundles.lookup('example.org')!.anchors[0]!.der,
    plane.ca.authority.bundle.anchors[0]!.der,
  )
  const [status] = plane.board.subscribers
  assert.deepEqual([status!.peer.id.toString(), status!.node], [WEB.toString(), 'node-1'])
  assert.deepEqual(subscription.applied, { epoch: 'first', number: 2 })
})

test('SnapshotSubscription refuses a state with its reason, keeps the last good one and takes the next', async (t) => {
  const plane = await startControlPlane(t)
  const { subscription, events } = subscribe(t, await webClient(plane), ({ policyRevision }) =>
    policyRevision === 'bad' ? 'rule 3 makes no sense' : undefined,
  )
  await until(() => plane.board.subscribers[0]?.ackedNumber === 1, 'the first acknowledgement')
  plane.board.publish(plane.state('bad'))
  await until(() => plane.board.subscribers[0]?.lastNack !== undefined, 'the refusal')
  const [status] = plane.board.subscribers
  assert.equal(status!.ackedNumber, 1)
  assert.deepEqual([status!.lastNack!.number, status!.lastNack!.reason], [2, 'rule 3 makes no sense'])
  assert.deepEqual(subscription.applied, { epoch: 'first', number: 1 })
  assert.equal(events.at(-1)!.kind, 'refused')
  plane.board.publish(plane.state('good'))
  await until(() => plane.board.subscribers[0]?.ackedNumber === 3, 'the acknowledgement of the next')
  assert.equal(plane.board.subscribers[0]!.lastNack, undefined)
})

test('SnapshotSubscription that is slow is given the newest state only', async (t) => {
  const plane = await startControlPlane(t)
  const svid = await plane.svid(WEB)
  const gate = Promise.withResolvers<void>()
  const numbers: number[] = []
  const subscription = clientOf(plane, { credential: () => svid }).subscribe({
    node: 'slow',
    async apply({ version }) {
      numbers.push(version.number)
      await gate.promise
    },
  })
  t.after(() => subscription[Symbol.dispose]())
  await until(() => numbers.length === 1, 'the first state')
  for (let i = 2; i <= 100; i++) plane.board.publish(plane.state(`r${i}`))
  await sleep(50)
  assert.deepEqual(numbers, [1], 'nothing is sent on top of what is not answered')
  gate.resolve()
  await until(() => plane.board.subscribers[0]?.ackedNumber === 100, 'the newest')
  assert.deepEqual(numbers, [1, 100])
})

test('SnapshotSubscription comes back after the controller was away, and is not sent what it has', async (t) => {
  const plane = await startControlPlane(t)
  const { states, events, subscription } = subscribe(t, await webClient(plane))
  await until(() => subscription.applied !== undefined, 'the first state')
  const port = Number(plane.address.split(':')[1])
  await plane.stop()
  await until(() => events.at(-1)?.kind === 'disconnected', 'the disconnection')
  assert.deepEqual(subscription.applied, { epoch: 'first', number: 1 }, 'what was applied stays')

  const same = await startControlPlane(t, { port, ca: plane.ca })
  await until(() => same.board.subscribers[0]?.ackedNumber === 1, 'the return')
  assert.equal(states.length, 1, 'the same epoch and number is the same state')
  await same.stop()

  const other = await startControlPlane(t, { port, ca: plane.ca, epoch: 'second' })
  await until(() => other.board.subscribers[0]?.ackedNumber === 1, 'the return to another run')
  assert.deepEqual(
    states.map(({ version }) => version),
    [
      { epoch: 'first', number: 1 },
      { epoch: 'second', number: 1 },
    ],
  )
})

test('SnapshotSubscription tries again with growing delays for as long as nobody answers', async (t) => {
  const plane = await startControlPlane(t)
  await plane.stop()
  const timers = new ManualTimers()
  const events: SubscriptionEvent[] = []
  const subscription = clientOf(plane, { timers }).subscribe({
    node: 'node-1',
    apply: () => {},
    onEvent: (event) => events.push(event),
  })
  for (let attempt = 1; attempt <= 5; attempt++) {
    await until(() => events.length === attempt, `attempt ${attempt}`)
    const event = events.at(-1)!
    assert.ok(event.kind === 'disconnected')
    assert.equal(event.error.code, 'CONTROL_UNAVAILABLE')
    assert.deepEqual(timers.delaysMs, [event.retryInMs])
    timers.advance(event.retryInMs)
  }
  const delays = events.map((event) => (event.kind === 'disconnected' ? event.retryInMs : 0))
  assert.deepEqual(delays, [500, 1_000, 2_000, 4_000, 8_000])
  await until(() => events.length === 6, 'attempt 6')
  subscription[Symbol.dispose]()
  assert.deepEqual(timers.delaysMs, [], 'it stops when told to')
})

test('SnapshotSubscription and ControlClient.issueSvid go to another replica when theirs stops, and get the whole state anew', async (t) => {
  const first = await startControlPlane(t)
  const second = await startControlPlane(t, { ca: first.ca, epoch: 'second' })
  const svid = await first.svid(WEB)
  const timers = new ManualTimers(Date.now())
  const client = clientOf(first, { credential: () => svid, timers, others: [second.address] })
  const { states, events, subscription } = subscribe(t, client)
  await until(() => states.length === 1, 'the first state')
  await first.stop()
  await until(() => events.length === 2, 'the loss of the first')
  const event = events[1]!
  assert.ok(event.kind === 'disconnected')
  assert.equal(event.retryInMs, 0, 'another has not been tried yet')
  timers.advance(event.retryInMs)
  await until(() => second.board.subscribers[0]?.ackedNumber === 1, 'the acknowledgement to the second')
  assert.deepEqual(subscription.applied, { epoch: 'second', number: 1 })
  assert.deepEqual(
    states.map(({ version }) => version.epoch),
    ['first', 'second'],
  )

  await client.issueSvid({ csr: anyCsr() })
  const apart = clientOf(first, { credential: () => svid, others: [second.address] })
  await apart.issueSvid({ csr: anyCsr() })
  await second.stop()
  await assert.rejects(apart.issueSvid({ csr: anyCsr() }), { code: 'CONTROL_UNAVAILABLE' })
})

test('SnapshotSubscription.reconnect shows the certificate that there is by then', async (t) => {
  const plane = await startControlPlane(t)
  const other = await plane.svid(WEB)
  let credential = other
  const client = clientOf(plane, { credential: () => credential })
  const { subscription, events } = subscribe(t, client)
  await until(() => subscription.applied !== undefined, 'the first state')
  credential = await plane.svid(WEB)
  subscription.reconnect()
  await until(() => plane.log.named('Proxy subscribed').length === 2, 'the second subscription')
  await until(() => plane.board.subscribers.length === 1, 'the first one gone')
  assert.deepEqual(
    events.map(({ kind }) => kind),
    ['applied'],
    'that was no failure',
  )
})

/** A stream without the client's good manners. */
async function rawStream(t: TestContext, plane: ControlPlane, anonymous = false) {
  const svid = anonymous ? undefined : await plane.svid(WEB)
  const credentials = new SecureChannelCredentials(
    proxySecurity(plane.bundles, () => svid),
    true,
  )
  const client = new Client(plane.address, credentials)
  const { path, requestSerialize, responseDeserialize } = methodDefinition(
    SnapshotService.method.streamSnapshots,
  )
  const stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize)
  // Tests that care wait for it; for others the end of the plane is none of theirs.
  stream.on('error', () => {})
  t.after(() => {
    stream.cancel()
    client.close()
  })
  return {
    send: (kind: SnapshotRequest['kind']) => stream.write(create(SnapshotRequestSchema, { kind })),
    next: async () => ((await once(stream, 'data')) as [Snapshot])[0],
    /** The code that the controller ends the stream with. */
    refusal: async () => {
      const [error] = (await once(stream, 'error')) as [ServiceError]
      return String(error.metadata.get('handfast-code')[0])
    },
    stream,
  }
}

const SUBSCRIBE = create(SnapshotRequestSchema, { kind: { case: 'subscribe', value: { node: 'raw' } } }).kind

function answer(name: 'ack' | 'nack', epoch: string, number: number): SnapshotRequest['kind'] {
  return create(SnapshotRequestSchema, {
    kind:
      name === 'ack'
        ? { case: 'ack', value: { version: { epoch, number } } }
        : { case: 'nack', value: { version: { epoch, number }, reason: 'x'.repeat(10_000) } },
  }).kind
}

test('ControlServer gives no state to a client without certificate', async (t) => {
  const plane = await startControlPlane(t)
  const { send, refusal, stream } = await rawStream(t, plane, true)
  stream.on('data', () => assert.fail('state was given away'))
  const code = refusal()
  send(SUBSCRIBE)
  assert.equal(await code, 'CA_NO_EVIDENCE')
})

test('ControlServer cuts off a subscriber that breaks the protocol', async (t) => {
  const plane = await startControlPlane(t)
  const breaches: Record<string, readonly SnapshotRequest['kind'][]> = {
    'an answer before the subscription': [answer('ack', 'first', 1)],
    'a second subscription': [SUBSCRIBE, SUBSCRIBE],
    'an answer to what was not sent': [SUBSCRIBE, answer('ack', 'first', 2)],
    'an answer to another epoch': [SUBSCRIBE, answer('nack', 'second', 1)],
    'a request of no kind': [SUBSCRIBE, { case: undefined }],
    'a subscription without a name': [
      create(SnapshotRequestSchema, { kind: { case: 'subscribe', value: { node: '' } } }).kind,
    ],
  }
  for (const [what, requests] of Object.entries(breaches)) {
    const { send, refusal, stream } = await rawStream(t, plane)
    stream.on('data', () => {})
    const code = refusal()
    for (const request of requests) send(request)
    assert.equal(await code, 'CONTROL_PROTOCOL', what)
    await until(() => plane.board.subscribers.length === 0, `no place is kept after ${what}`)
  }
})

test('ControlServer keeps a bounded part of the reason for a refusal', async (t) => {
  const plane = await startControlPlane(t)
  const { send, next } = await rawStream(t, plane)
  const first = next()
  send(SUBSCRIBE)
  await first
  send(answer('nack', 'first', 1))
  await until(() => plane.board.subscribers[0]?.lastNack !== undefined, 'the refusal')
  assert.equal(plane.board.subscribers[0]!.lastNack!.reason.length, 1_024)
})

test('ControlServer cuts off a subscriber that does not answer in time', async (t) => {
  const timers = new ManualTimers(Date.now())
  const plane = await startControlPlane(t, { timers })
  const { send, next, refusal } = await rawStream(t, plane)
  const first = next()
  const code = refusal()
  send(SUBSCRIBE)
  await first
  timers.advance(59_999)
  assert.equal(plane.board.subscribers.length, 1)
  timers.advance(1)
  assert.equal(await code, 'CONTROL_DEADLINE')
  assert.deepEqual(plane.board.subscribers, [])
})

test('ControlServer ends a stream when the certificate that opened it ends', async (t) => {
  const timers = new ManualTimers(Date.now())
  const plane = await startControlPlane(t, { timers })
  const { send, next, refusal } = await rawStream(t, plane)
  const first = next()
  const code = refusal()
  send(SUBSCRIBE)
  await first
  send(answer('ack', 'first', 1))
  await until(() => plane.board.subscribers[0]?.ackedNumber === 1, 'the acknowledgement')
  timers.advance(3599 * 1000 - 60_000)
  assert.equal(plane.board.subscribers.length, 1)
  timers.advance(120_000)
  assert.equal(await code, 'CA_PEER_EXPIRED')
  assert.deepEqual(plane.board.subscribers, [])
  assert.deepEqual(timers.delaysMs, [], 'no timer is left behind')
})

test('ControlServer forgets a subscriber whose connection breaks', async (t) => {
  const plane = await startControlPlane(t)
  const { subscription } = subscribe(t, await webClient(plane))
  await until(() => plane.board.subscribers.length === 1, 'the subscription')
  subscription[Symbol.dispose]()
  await until(() => plane.board.subscribers.length === 0, 'the departure')
})

test('ControlServer.close sends subscribers away at once, and does not wait for them', async (t) => {
  const plane = await startControlPlane(t)
  const { events, subscription } = subscribe(t, await webClient(plane))
  await until(() => subscription.applied !== undefined, 'the first state')
  const before = Date.now()
  await plane.stop()
  assert.ok(Date.now() - before < 900, 'the grace time was not needed')
  await until(() => events.at(-1)?.kind === 'disconnected', 'the disconnection')
  const event = events.at(-1)!
  assert.ok(event.kind === 'disconnected')
  assert.equal(event.error.message, 'The controller is going away')
})

test('SnapshotSubscription is told what is revoked', async (t) => {
  const plane = await startControlPlane(t)
  const { states } = subscribe(t, await webClient(plane))
  await until(() => states.length === 1, 'the first state')
  assert.equal(states[0]!.revocations, undefined)
  const revocations = revocationsOf({
    serialNumbers: ['a', '10', '7f'.repeat(16)],
    spiffeIds: ['spiffe://example.org/ns/shop/sa/gone'],
    issuerKeys: ['0a'.repeat(32)],
  })
  plane.board.publish({ ...plane.state('r2'), revocations })
  await until(() => states.length === 2, 'the second state')
  assert.deepEqual(states[1]!.revocations?.list, revocations.list)
})

test('SnapshotSubscription takes no list of revocations that is malformed or without bounds', async (t) => {
  const plane = await startControlPlane(t)
  const { states, events } = subscribe(t, await webClient(plane))
  await until(() => states.length === 1, 'the first state')
  const long = (count: number): string[] => Array.from({ length: count }, (_, index) => `${index + 1}`)
  for (const [number, list] of [
    { spiffeIds: ['nobody'] },
    { issuerKeys: ['ab'] },
    { serialNumbers: ['ab'.repeat(21)] },
    { serialNumbers: long(10_001) },
  ].entries()) {
    plane.board.publish({ ...plane.state('r2'), revocations: revocationsOf(list) })
    const refused = (): number => events.filter(({ kind }) => kind === 'refused').length
    await until(() => refused() === number + 1, `the refusal of ${Object.keys(list)[0]!}`)
  }
  assert.equal(states.length, 1)
})

test('SnapshotService ends the stream of whoever is revoked, tells it so, and lets it in no more', async (t) => {
  const plane = await startControlPlane(t)
  const web = subscribe(t, await webClient(plane))
  const other = await plane.svid(SpiffeId.parse('spiffe://example.org/ns/shop/sa/other'))
  const stays = subscribe(t, clientOf(plane, { credential: () => other }))
  await until(() => plane.board.subscribers.length === 2, 'both streams')
  plane.board.publish({
    ...plane.state('r2'),
    revocations: revocationsOf({ spiffeIds: [WEB.toString()] }),
  })
  await until(() => stays.states.length === 2, 'the state of the other')
  const refusals = (): readonly unknown[] =>
    web.events.flatMap((event) => (event.kind === 'disconnected' ? [event.error.refusal] : []))
  await until(() => refusals().length >= 2, 'the end of the stream, and of the next')
  assert.deepEqual([...new Set(refusals())], ['CA_REVOKED'])
  assert.equal(web.states.length, 1, 'it was told nothing more')
  assert.deepEqual(
    plane.board.subscribers.map(({ peer }) => peer.id.toString()),
    [other.id.toString()],
  )
})
