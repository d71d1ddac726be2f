import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { toHex, utf8 } from '../../src/bytes/bytes.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { countingAeads, type CountingCrypto } from '../support/counting-crypto.ts'
import { collectGarbage } from '../support/garbage.ts'
import { identityAeads } from '../support/identity-aead.ts'
import { mutate, MUTATION_NAMES, seededRandom } from '../support/mutations.ts'
import { TlsPair, type Role, type TlsEnd, type Wire } from '../support/tls-pair.ts'
import { mintWorkloads } from '../support/tls-workloads.ts'

const workloads = await mintWorkloads()

interface Protection {
  readonly name: string
  readonly crypto: CountingCrypto
  /** Whether records are encrypted and authentic. */
  readonly authentic: boolean
}

const PROTECTIONS: readonly [Protection, Protection] = [
  { name: 'as it is', crypto: countingAeads(nativeCrypto()), authentic: true },
  {
    name: 'with nothing encrypted',
    crypto: countingAeads(identityAeads(nativeCrypto())),
    authentic: false,
  },
]

/** Two handshakes: the short one, and the one with a HelloRetryRequest. */
const GROUPS = { direct: ['x25519'], retried: ['secp256r1'] } as const
type Kind = keyof typeof GROUPS

/** How many deliveries each side makes in each. */
const FLIGHTS: Readonly<Record<Kind, Readonly<Record<Role, number>>>> = {
  direct: { client: 2, server: 1 },
  retried: { client: 3, server: 2 },
}

interface Outcome {
  /** `same` when the change made no difference, else the codes of the client and of the server. */
  readonly verdict: string
  readonly sent: Readonly<Record<Role, number>>
}

/** Runs one handshake over `wire`, and holds its outcome against what may never happen. */
function outcome({ crypto, authentic }: Protection, kind: Kind, wire: Wire): Outcome {
  const sent = { client: 0, server: 0 }
  const pair = new TlsPair(workloads, {
    crypto,
    client: { groups: ['x25519', 'secp256r1'], alpn: ['h2', 'http/1.1'] },
    server: { groups: GROUPS[kind], alpn: ['h2'] },
  })
  // Whatever escapes receive() fails the test here.
  pair.run((from, bytes) => {
    sent[from] += bytes.length
    return wire(from, bytes)
  })
  const { client, server } = pair
  const both = client.session !== undefined && server.session !== undefined
  if (!both) for (const { connection } of pair.ends) connection.receiveEnd()
  const verdict =
    both && !client.error && !server.error ? checkSame(pair, authentic) : checkRefused(pair, authentic)
  pair[Symbol.dispose]()
  assert.equal(crypto.live, 0, 'a key was left behind')
  return { verdict, sent }
}

/** Both sides hold the same secrets, agree on everything, and data comes through unchanged. */
function checkSame(pair: TlsPair, authentic: boolean): string {
  const { client, server } = pair
  assert.deepEqual(client.keyLog, server.keyLog)
  const [ours, theirs] = [client.session!, server.session!]
  const settled = [ours, theirs].map(({ cipherSuite, group, alpn, version, peerSignatureScheme }) =>
    [version, cipherSuite, alpn, group, peerSignatureScheme].join(),
  )
  assert.equal(settled[0], settled[1])
  assert.match(settled[0]!, /^TLS 1.3,TLS_AES_128_GCM_SHA256,h2,/)
  assert.match(ours.peer!.name, /orders$/)
  assert.match(theirs.peer!.name, /web$/)
  const [one, other] = [ours, theirs].map((session) =>
    toHex(session.exportKeyingMaterial('EXPORTER-same', new Uint8Array(0), 32)),
  )
  assert.equal(one, other)
  client.connection.send(utf8('data'))
  pair.pump()
  // Bytes that the wire left over behind the handshake break what follows them, and that is noticed too.
  if (server.error !== undefined) return `same, then broken off: ${server.error.code}`
  const received = toHex(server.received)
  if (received === '') return 'same, then waiting'
  if (authentic) assert.equal(received, toHex(utf8('data')))
  return 'same'
}

/** At least one side failed in words, neither by a fault of its own, and no data came out anywhere. */
function checkRefused({ client, server }: TlsPair, authentic: boolean): string {
  assert.ok(client.error !== undefined || server.error !== undefined, 'nobody noticed')
  for (const { error, calls } of [client, server]) {
    assert.notEqual(error?.code, 'TLS_INTERNAL', String(error?.stack))
    if (authentic) assert.ok(!calls.some((call) => call.startsWith('data')))
    assert.ok(calls.indexOf('established') <= 0)
  }
  // Whoever was established was so by an unchanged flight of the other side.
  if (client.session !== undefined) assert.match(client.session.peer!.name, /orders$/)
  if (server.session !== undefined) assert.match(server.session.peer!.name, /web$/)
  return `${fate(client)} / ${fate(server)}`
}

function fate({ error, session }: TlsEnd): string {
  return error?.code ?? (session === undefined ? 'nothing' : 'established')
}

function report(t: TestContext, verdicts: ReadonlyMap<string, number>): void {
  const sorted = [...verdicts].sort(([, a], [, b]) => b - a)
  for (const [verdict, count] of sorted) t.diagnostic(`${count} × ${verdict} (client / server)`)
}

function count(verdicts: Map<string, number>, verdict: string): void {
  verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1)
}

for (const protection of PROTECTIONS) {
  for (const kind of ['direct', 'retried'] as const) {
    test(`TlsConnection notices any byte changed on the way, ${kind}, ${protection.name}`, (t) => {
      const { verdict, sent } = outcome(protection, kind, (_from, bytes) => [bytes])
      assert.equal(verdict, 'same')
      const verdicts = new Map<string, number>()
      for (const from of ['client', 'server'] as const) {
        for (let at = 0; at < sent[from]; at++) {
          // Of the second handshake, what the first one does not have: its first bytes.
          if (kind === 'retried' && at > 600) break
          count(verdicts, outcome(protection, kind, flipping(from, at, 1 << (at % 8))).verdict)
        }
      }
      report(t, verdicts)
      assert.ok(verdicts.size > 5)
    })
  }
}

/** Changes the byte at `at` of all that one side sends. */
function flipping(side: Role, at: number, mask: number): Wire {
  let before = 0
  return (from, bytes) => {
    if (from !== side) return [bytes]
    if (at >= before && at < before + bytes.length) bytes[at - before]! ^= mask
    before += bytes.length
    return [bytes]
  }
}

/** So many that every kind of mutation meets every flight hundreds of times. */
const RANDOM_MUTATIONS = 10_000

test('TlsConnection survives mutations of every kind, and keeps no memory of them', (t) => {
  const verdicts = new Map<string, number>()
  const heap: number[] = []
  for (let seed = 0; seed < RANDOM_MUTATIONS; seed++) {
    // After a warm-up of 2000, and at the end.
    if (seed === 2000) heap.push(heapAfterCollection())
    const random = seededRandom(seed)
    const name = MUTATION_NAMES[random(MUTATION_NAMES.length)]!
    const kind = random(4) === 0 ? 'retried' : 'direct'
    const side = random(2) === 0 ? 'client' : 'server'
    const flight = random(FLIGHTS[kind][side])
    let seen = 0
    const wire: Wire = (from, bytes) =>
      from === side && seen++ === flight ? [mutate(name, bytes, random)] : [bytes]
    try {
      count(verdicts, outcome(PROTECTIONS[seed % 2]!, kind, wire).verdict)
    } catch (cause) {
      throw new Error(`Seed ${seed}: ${name} in flight ${flight} of the ${side}`, { cause })
    }
  }
  heap.push(heapAfterCollection())
  report(t, verdicts)
  const grownBytes = heap[1]! - heap[0]!
  t.diagnostic(
    `the heap grew by ${(grownBytes / 1024).toFixed(0)} KiB over ${RANDOM_MUTATIONS - 2000} handshakes`,
  )
  // A single pair that is held on to per handshake would be a hundred megabytes.
  assert.ok(grownBytes < 8 * 1024 * 1024)
})

function heapAfterCollection(): number {
  collectGarbage()
  collectGarbage()
  return process.memoryUsage().heapUsed
}
