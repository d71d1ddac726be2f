import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { concat, toHex, utf8 } from '../../src/bytes/bytes.ts'
import { ContentType } from '../../src/tls/registry.ts'
import { putTogether, takeApart, type Segment } from '../fuzz/handshake/flight.ts'
import { ScenarioRun } from '../fuzz/handshake/scenario-run.ts'
import { scenarios, type Scenario } from '../fuzz/handshake/scenarios.ts'
import { fuzzWorkloads } from '../fuzz/handshake/workloads.ts'
import type { Wire } from '../support/tls-pair.ts'

const workloads = await fuzzWorkloads()

/** The kinds of handshake that differ in their flights, or in when they are taken up. */
const KINDS = new Set([
  'mutual',
  'retry',
  'resumption',
  'early data',
  'early data and a retry',
  'compressed certificates',
  'raw public keys',
  'external key',
  'ECH',
  'ECH and a retry',
  'ECH rejected',
  'ECH with early data',
  'late answers',
  'late answers, resumption',
])
const kinds = scenarios(workloads).filter(({ name }) => KINDS.has(name))
assert.equal(kinds.length, KINDS.size)

/** What both sides came to, as text: whom and what they settled on, what they received. */
function outcome(scenario: Scenario, wire: Wire): string {
  using run = new ScenarioRun(workloads, scenario, { untraced: true }).handshake(wire)
  const { ends } = run.pair
  for (const { connection, error } of ends)
    if (connection.session !== undefined && error === undefined) connection.send(utf8('ping'))
  run.pump(wire)
  for (const { connection } of ends) connection.close()
  run.pump(wire)
  return ends
    .map(({ calls, session, received, error }) =>
      [
        calls.filter((call) => !call.startsWith('data')).join(),
        error?.message,
        session?.peer?.name,
        session?.group,
        session?.resumed,
        session?.earlyData,
        session?.echAccepted,
        toHex(received),
      ].join(' '),
    )
    .join('\n')
}

/** The deliveries of an undisturbed run, both ways and in order, and what it came to. */
function undisturbed(scenario: Scenario): {
  readonly flights: readonly Uint8Array[]
  readonly settled: string
} {
  const flights: Uint8Array[] = []
  const settled = outcome(scenario, (_from, bytes) => {
    flights.push(bytes.slice())
    return [bytes]
  })
  assert.match(
    settled,
    scenario.clientFails === undefined
      ? /^established,peerClosed .*\nestablished,peerClosed /
      : new RegExp(`^failed ${scenario.clientFails} .*\nestablished,failed TLS_PEER_ALERT `),
  )
  return { flights, settled }
}

/** Applies `change` to the delivery at `index`. */
function changing(index: number, change: (bytes: Uint8Array) => readonly Uint8Array[]): Wire {
  let delivery = 0
  return (_from, bytes) => (delivery++ === index ? change(bytes) : [bytes])
}

for (const scenario of kinds) {
  test(`TlsConnection comes to the same when any flight is cut at any byte (${scenario.name})`, (t) => {
    const { flights, settled } = undisturbed(scenario)
    let runs = 0
    for (const [index, flight] of flights.entries()) {
      for (let cut = 1; cut < flight.length; cut++) {
        const wire = changing(index, (bytes) => [bytes.slice(0, cut), bytes.slice(cut)])
        assert.equal(outcome(scenario, wire), settled, `flight ${index} cut at byte ${cut}`)
        runs++
      }
    }
    report(t, runs)
    assert.ok(runs > 500)
  })

  test(`TlsConnection comes to the same when all bytes come one by one (${scenario.name})`, () => {
    const { settled } = undisturbed(scenario)
    const wire: Wire = (_from, bytes) => Array.from(bytes, (byte) => Uint8Array.of(byte))
    assert.equal(outcome(scenario, wire), settled)
  })

  test(`TlsConnection comes to the same however a flight is put into records (${scenario.name})`, (t) => {
    const { flights, settled } = undisturbed(scenario)
    let runs = 0
    for (const [index, flight] of flights.entries()) {
      const segments = takeApart(flight)!
      for (const [place, segment] of segments.entries()) {
        if (segment.type !== ContentType.handshake) continue
        for (const partition of partitions(segment)) {
          const wire = changing(index, (bytes) => {
            const parts = takeApart(bytes)!
            const fresh = parts[place]!
            parts.splice(place, 1, ...partition(fresh))
            return [concat(...parts.map((part) => putTogether([part])))]
          })
          assert.equal(outcome(scenario, wire), settled, `segment ${place} of flight ${index}`)
          runs++
        }
      }
    }
    report(t, runs)
    assert.ok(runs > 100)
  })
}

type Partition = (segment: Segment) => Segment[]

/** Every partition at borders of messages, every single border within them, and records of one byte each. */
function* partitions({ units }: Segment): Generator<Partition> {
  for (let borders = 0; borders < 2 ** (units.length - 1); borders++) {
    yield (segment) => {
      const parts: Segment[] = []
      for (const [i, unit] of segment.units.entries()) {
        if (i === 0 || ((borders >>> (i - 1)) & 1) === 1) parts.push({ ...segment, units: [unit] })
        else parts.at(-1)!.units.push(unit)
      }
      return parts
    }
  }
  const whole = concat(...units)
  for (let border = 1; border < whole.length; border += STEP_BYTES) {
    yield ({ type, mark, units: fresh }) => {
      const stream = concat(...fresh)
      return [stream.subarray(0, border), stream.subarray(border)].map((unit) => ({
        type,
        mark,
        units: [unit],
      }))
    }
  }
  yield (segment) =>
    Array.from(concat(...segment.units), (byte) => ({ ...segment, units: [Uint8Array.of(byte)] }))
}

/** A prime: it meets every offset from the borders of the fields in the course of the flights. */
const STEP_BYTES = 3

function report(t: TestContext, runs: number): void {
  t.diagnostic(`${runs} handshakes`)
}
