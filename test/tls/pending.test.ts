/** Everything that the handshake asks of the outside may be answered later. */
import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import test from 'node:test'
import { utf8 } from '../../src/bytes/bytes.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { TlsError } from '../../src/tls/errors.ts'
import type { Credential, SigningKey } from '../../src/tls/options.ts'
import { clientTickets } from '../../src/tls/session/client-tickets.ts'
import { makeTicketKey, sealedTickets } from '../../src/tls/session/sealed-tickets.ts'
import type { RemoteClientTickets, RemoteTicketStore } from '../../src/tls/session/resumption.ts'
import { statefulTickets } from '../../src/tls/session/stateful-tickets.ts'
import { assertEstablished } from '../support/tls-outcome.ts'
import { TlsPair, type TlsPairOptions } from '../support/tls-pair.ts'
import { mintWorkloads, verifierFor } from '../support/tls-workloads.ts'

const crypto = nativeCrypto()
const workloads = await mintWorkloads()

/** Answers that wait until they are let go. */
class Outside {
  #waiting: (() => void)[] = []

  /** What `answer` yields or throws, once {@link letGo} is called. */
  later<Value>(answer: () => Value): Promise<Value> {
    return new Promise((resolve, reject) => {
      this.#waiting.push(() => {
        try {
          resolve(answer())
        } catch (thrown) {
          reject(thrown)
        }
      })
    })
  }

  get isAsked(): boolean {
    return this.#waiting.length > 0
  }

  async letGo(): Promise<void> {
    const waiting = this.#waiting
    this.#waiting = []
    for (const answer of waiting) answer()
    await turn()
  }
}

/** Carries bytes and answers until both sides are at rest; returns how often the outside was asked. */
async function settle(pair: TlsPair, outside: Outside): Promise<number> {
  let rounds = 0
  for (pair.pump(); outside.isAsked; pair.pump()) {
    rounds++
    await outside.letGo()
  }
  return rounds
}

function signingLater(outside: Outside, { chain, key }: Credential): Credential {
  const remote: SigningKey = {
    kind: key.kind,
    sign: (...request) => outside.later(() => key.sign(...request) as Uint8Array),
  }
  return { chain, key: remote }
}

const verifier = verifierFor(workloads)
type Verify = Parameters<typeof verifier.verify>

const ASKING: Readonly<Record<string, (outside: Outside) => TlsPairOptions>> = {
  'the credential of a server': (outside) => ({
    server: { credential: () => outside.later(() => workloads.server) },
  }),
  'the credential of a client': (outside) => ({
    client: { credential: () => outside.later(() => workloads.client) },
  }),
  'the signature of a server': (outside) => ({
    server: { credential: signingLater(outside, workloads.server) },
  }),
  'the signature of a client': (outside) => ({
    client: { credential: signingLater(outside, workloads.client) },
  }),
  'the protocol of a server': (outside) => ({
    client: { alpn: ['h2'] },
    server: { chooseAlpn: () => outside.later(() => 'h2') },
  }),
  'the verification of a server': (outside) => ({
    client: {
      verifier: { verify: (...request: Verify) => outside.later(() => verifier.verify(...request)) },
    },
  }),
  'the verification of a client': (outside) => ({
    server: {
      clientVerifier: { verify: (...request: Verify) => outside.later(() => verifier.verify(...request)) },
    },
  }),
}

for (const [what, options] of Object.entries(ASKING)) {
  test(`TlsConnection waits for ${what}`, async () => {
    const outside = new Outside()
    using pair = new TlsPair(workloads, options(outside)).start()
    assert.equal(await settle(pair, outside), 1)
    assertEstablished(pair)
    pair.client.connection.send(utf8('ping'))
    pair.server.connection.send(utf8('pong'))
    pair.pump()
    assert.deepEqual(
      [pair.server.received, pair.client.received].map(String),
      [utf8('ping'), utf8('pong')].map(String),
    )
  })

  test(`TlsConnection fails when ${what} is refused later`, async () => {
    const refusing = new (class extends Outside {
      override later<Value>(): Promise<Value> {
        return super.later(() => {
          throw new Error('Nobody answers')
        })
      }
    })()
    using pair = new TlsPair(workloads, options(refusing)).start()
    await settle(pair, refusing)
    const failed = pair.ends.find(({ error }) => error?.code === 'TLS_INTERNAL')
    assert.equal(failed?.error!.message, 'Nobody answers')
    assert.equal(pair.ends.find((end) => end !== failed)!.error!.received, 'internal_error')
  })

  test(`TlsConnection takes no notice of ${what} once it is over`, async () => {
    const outside = new Outside()
    const pair = new TlsPair(workloads, options(outside)).start().pump()
    assert.ok(outside.isAsked)
    pair[Symbol.dispose]()
    const calls = pair.ends.map((end) => [...end.calls])
    await outside.letGo()
    assert.deepEqual(
      pair.ends.map((end) => [...end.calls]),
      calls,
    )
    assert.deepEqual(
      pair.ends.map((end) => end.take().length),
      [0, 0],
    )
  })

  test(`TlsConnection holds what comes while it waits for ${what}, byte by byte`, async () => {
    const outside = new Outside()
    using pair = new TlsPair(workloads, options(outside)).start()
    const bytes = (_from: unknown, all: Uint8Array): Uint8Array[] =>
      Array.from(all, (_byte, at) => all.slice(at, at + 1))
    for (pair.pump(bytes); outside.isAsked; pair.pump(bytes)) await outside.letGo()
    assertEstablished(pair)
  })
}

test('TlsConnection waits for all of it in one handshake', async () => {
  const outside = new Outside()
  const all = Object.values(ASKING).map((options) => options(outside))
  using pair = new TlsPair(workloads, {
    client: Object.assign({}, ...all.map(({ client }) => client), {
      credential: () => outside.later(() => signingLater(outside, workloads.client)),
    }),
    server: Object.assign({}, ...all.map(({ server }) => server), {
      credential: () => outside.later(() => signingLater(outside, workloads.server)),
    }),
  }).start()
  // Seven answers, but while one side signs, the other verifies what went before the signature.
  assert.equal(await settle(pair, outside), 5)
  assertEstablished(pair)
})

test('TlsConnection waits for a look-up of external pre-shared keys, also when it resumes by them', async () => {
  const outside = new Outside()
  const key = { identity: utf8('psk'), key: new Uint8Array(32).fill(1), hash: 'sha256' } as const
  const asked: string[] = []
  const current = makeTicketKey(crypto)
  const tickets = clientTickets()
  for (const resumed of [false, true]) {
    using pair = new TlsPair(workloads, {
      client: { externalPsks: [key], tickets },
      server: {
        tickets: { store: sealedTickets(crypto, () => ({ current })) },
        externalPsks: (identity) => {
          asked.push(String(Buffer.from(identity)))
          return outside.later(() => [key])
        },
      },
    }).start()
    assert.equal(await settle(pair, outside), 1)
    assertEstablished(pair)
    assert.equal(pair.server.session!.resumed, resumed)
    assert.deepEqual(pair.server.session!.externalPsk, key.identity)
  }
  assert.deepEqual(asked, ['psk', 'psk'], 'One question for two hashes')
})

test('TlsConnection waits for tickets that are kept elsewhere, on both sides', async () => {
  const outside = new Outside()
  const [kept, store] = [clientTickets(), statefulTickets(crypto)]
  const tickets: RemoteClientTickets = {
    put: (ticket) => kept.put(ticket),
    take: (nowMs) => outside.later(() => kept.take(nowMs)),
  }
  const remote: RemoteTicketStore = {
    isSingleUse: true,
    issue: (state) => store.issue(state),
    redeem: (ticket, nowMs) => outside.later(() => store.redeem(ticket, nowMs)),
  }
  for (const resumed of [false, true]) {
    using pair = new TlsPair(workloads, {
      client: { tickets },
      server: { tickets: { store: remote } },
    }).start()
    assert.equal(pair.client.take().length, 0, 'The ClientHello waits for the ticket')
    await settle(pair, outside)
    assertEstablished(pair)
    assert.deepEqual([pair.client.session!.resumed, pair.server.session!.resumed], [resumed, resumed])
  }
})

test('TlsConnection delivers what followed the handshake once the answer is there', async () => {
  const outside = new Outside()
  using pair = new TlsPair(workloads, ASKING['the verification of a client']!(outside)).start().pump()
  pair.client.connection.send(utf8('soon'))
  pair.client.connection.close()
  pair.pump()
  pair.server.connection.receiveEnd()
  assert.deepEqual(pair.server.calls, [])
  await settle(pair, outside)
  assert.deepEqual(pair.server.calls, ['established', 'data 4', 'peerClosed'])
})

test('TlsConnection notices that the transport ended, once the answer is there', async () => {
  const outside = new Outside()
  using pair = new TlsPair(workloads, ASKING['the signature of a server']!(outside)).start().pump()
  pair.server.connection.receiveEnd()
  assert.deepEqual(pair.server.calls, [])
  await outside.letGo()
  assert.deepEqual(pair.server.calls, ['failed TLS_HANDSHAKE_TRUNCATED'])
})

test('TlsConnection holds only so much while it waits', () => {
  const outside = new Outside()
  using pair = new TlsPair(workloads, ASKING['the credential of a server']!(outside)).start().pump()
  const chunk = new Uint8Array(2 ** 16)
  for (let count = 0; count < 4; count++) pair.server.connection.receive(chunk)
  assert.deepEqual(pair.server.calls, [])
  pair.server.connection.receive(chunk.subarray(0, 1))
  assert.deepEqual(pair.server.calls, ['failed TLS_HELD_LIMIT'])
  assert.match(pair.server.error!.message, /262144 bytes/)
})

test('TlsConnection keeps none of the memory that it is lent while it waits', async () => {
  const outside = new Outside()
  using pair = new TlsPair(workloads, ASKING['the verification of a client']!(outside)).start().pump()
  pair.client.connection.send(utf8('once'))
  const lent = pair.client.take()
  pair.server.connection.receive(lent)
  lent.fill(0)
  await settle(pair, outside)
  assert.equal(String(pair.server.received), String(utf8('once')))
})

test('TlsConnection as server can be failed by a deadline while it waits', async () => {
  const outside = new Outside()
  using pair = new TlsPair(workloads, ASKING['the credential of a server']!(outside)).start().pump()
  pair.server.connection.fail(new TlsError('TLS_HANDSHAKE_TIMEOUT', 'The handshake took too long'))
  await settle(pair, outside)
  assert.deepEqual(pair.server.calls, ['failed TLS_HANDSHAKE_TIMEOUT'])
  assert.equal(pair.server.session, undefined)
})
