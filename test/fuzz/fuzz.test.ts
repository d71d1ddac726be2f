import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { toHex, utf8 } from '../../src/bytes/bytes.ts'
import { DecodeError } from '../../src/bytes/errors.ts'
import { readAll } from '../../src/bytes/reader.ts'
import { LateAnswers } from '../support/late-answers.ts'
import { seededRandom } from '../support/mutations.ts'
import { MAX_INPUT_BYTES, mutateBytes } from './byte-mutator.ts'
import { runCampaign, tryInput } from './campaign.ts'
import { Corpus } from './corpus.ts'
import { readFinding, writeFinding } from './findings.ts'
import { putTogether, takeApart } from './handshake/flight.ts'
import { fuzzWorkloads } from './handshake/workloads.ts'
import { Heartbeat } from './heartbeat.ts'
import { outcomeOf, type FuzzTarget } from './target.ts'
import { fuzzTargets } from './targets.ts'
import { liveTraffic } from './targets/live-messages.ts'

const SEED = 20

/** Together about fifteen seconds, and always the same; `make fuzz` goes on from there. */
const INPUTS = { handshake: 600, slow: 100, other: 2000 } as const

const targets = await fuzzTargets()

for (const target of targets) {
  test(`runCampaign finds nothing in ${target.name}`, async (t) => {
    const pace = target.maxInputMs === undefined ? 'other' : 'slow'
    const inputs = INPUTS[target.name.startsWith('handshake-') ? 'handshake' : pace]
    const { findings, outcomes } = await runCampaign(target, { seed: SEED, inputs })
    t.diagnostic(`${outcomes} outcomes`)
    assert.deepEqual(findings, [])
    // Whoever comes to one outcome alone is not being fuzzed.
    assert.ok(inputs > target.seeds.length && outcomes > 1)
  })
}

/** Inputs that once were findings, each with what it was. */
const FOUND: readonly (readonly [target: string, input: string])[] = [
  // A goodbye in the midst of the handshake's end, then the end of the transport: half of the connection is still open.
  ['handshake-client', '07030156933dcb1c'],
  // Another random around an encrypted hello: both sides agree, and name ECH's secrets in their key logs otherwise.
  ['handshake-server', '9901007806e9f0e4'],
  // Thousands of mistakes in one mapping, each of which was searched for among all of them.
  ['controller-yaml', toHex(utf8(`spec:\n  listen: x\n${'2\n'.repeat(16_000)}`))],
]

test('tryInput finds nothing where something was found once', () => {
  for (const [name, input] of FOUND) {
    const target = targets.find((candidate) => candidate.name === name)!
    assert.equal(tryInput(target, Uint8Array.fromHex(input)), undefined, `${name} ${input.slice(0, 100)}`)
  }
})

test('fuzzTargets have names of their own', () => {
  assert.equal(new Set(targets.map(({ name }) => name)).size, targets.length)
})

/** Reads a list of numbers behind a length, and is broken in ways of its own. */
function broken(name: string, flaw: (numbers: readonly number[]) => void): FuzzTarget {
  return {
    name,
    seeds: [Uint8Array.of(3, 1, 2, 3)],
    run: (input) =>
      outcomeOf(() => {
        const numbers = readAll(input, 'list', (reader) =>
          reader.vector8('numbers', (list) => list.each((item) => item.uint8('number'))),
        )
        flaw(numbers)
        return `read: ${numbers.length}`
      }, DecodeError),
  }
}

const throwing = broken('throwing', (numbers) => {
  if (numbers.length > 3 && numbers.includes(0x80)) throw new TypeError('A fault that was put there')
})

test('runCampaign comes upon an error that is none of the layer, and the input shows it again', async () => {
  const { findings } = await runCampaign(throwing, { seed: SEED, inputs: 20_000 })
  assert.equal(findings.length, 1)
  assert.match(findings[0]!.problem, /TypeError: A fault that was put there/)
  const problem = tryInput(throwing, Uint8Array.fromHex(findings[0]!.input))
  assert.equal(problem, findings[0]!.problem)
})

test('runCampaign does the same with the same seed', async () => {
  const tried = async (seed: number): Promise<string[]> => {
    const inputs: string[] = []
    await runCampaign(throwing, { seed, inputs: 500, announce: (input) => inputs.push(toHex(input)) })
    return inputs
  }
  assert.deepEqual(await tried(1), await tried(1))
  assert.notDeepEqual(await tried(1), await tried(2))
})

test('runCampaign comes upon inputs that take too long', async () => {
  const slow = broken('slow', (numbers) => {
    const { user, system } = process.threadCpuUsage()
    const busyUntil = (user + system) / 1000 + (numbers[0] === 1 ? 30 : 0)
    for (let now = 0; now < busyUntil;) {
      const usage = process.threadCpuUsage()
      now = (usage.user + usage.system) / 1000
    }
  })
  const { findings } = await runCampaign({ ...slow, maxInputMs: 10 }, { seed: SEED, inputs: 5 })
  assert.match(findings[0]!.problem, /^Took \d+ ms, at most 10 are allowed$/)
})

test('runCampaign comes upon memory that is not let go', async () => {
  const kept: Uint8Array[] = []
  const leaking = broken('leaking', () => kept.push(new Uint8Array(100_000)))
  const { findings } = await runCampaign(leaking, { seed: SEED, inputs: 6000 })
  assert.match(findings.at(-1)!.problem, /^The heap grew by \d+ bytes/)
  assert.ok(kept.length > 0)
})

test('mutateBytes changes inputs of every length, and keeps them within bounds', () => {
  const random = seededRandom(SEED)
  let changed = 0
  for (let length = 0; length < 300; length++) {
    const input = new Uint8Array(length).fill(length)
    const mutated = mutateBytes(input, utf8('another'), random)
    assert.ok(mutated.length <= MAX_INPUT_BYTES)
    assert.deepEqual(input, new Uint8Array(length).fill(length), 'the original is left as it was')
    if (toHex(mutated) !== toHex(input)) changed++
  }
  // Some changes put back what was there.
  assert.ok(changed > 240)
})

test('Corpus keeps the shortest input for each outcome, and seeds', () => {
  const corpus = new Corpus([Uint8Array.of(0)])
  corpus.add('CODE: way', Uint8Array.of(1, 1, 1))
  corpus.add('CODE: way', Uint8Array.of(2))
  corpus.add('CODE: way', Uint8Array.of(3, 3))
  corpus.add('CODE: other way', Uint8Array.of(4))
  assert.equal(corpus.outcomes, 2)
  assert.deepEqual([...corpus.counts], [['CODE', 4]])
  const random = seededRandom(SEED)
  const picked = new Set(Array.from({ length: 200 }, () => toHex(corpus.pick(random))))
  assert.deepEqual([...picked].sort(), ['00', '02', '04'])
})

test('Heartbeat shows the input under way to whoever shares its memory', () => {
  const heartbeat = new Heartbeat()
  assert.deepEqual([heartbeat.read().beats, heartbeat.read().target], [0, -1])
  heartbeat.beat(3, Uint8Array.of(1, 2, 3))
  assert.deepEqual(new Heartbeat(heartbeat.memory).read(), {
    beats: 1,
    target: 3,
    input: Uint8Array.of(1, 2, 3),
  })
})

test('readFinding reads what writeFinding wrote', () => {
  const folder = mkdtempSync(join(tmpdir(), 'handfast-findings-'))
  try {
    const finding = { target: 'der', problem: 'Threw', input: '00ff', seed: 7 }
    assert.deepEqual(readFinding(writeFinding(folder, finding)), finding)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('putTogether puts together what takeApart took apart, whatever the flight', async () => {
  const { flights } = liveTraffic(await fuzzWorkloads())
  assert.ok(flights.length > 30)
  for (const flight of flights) {
    // The version of a first ClientHello's record, and borders of records within a flight, are nobody's business.
    const again = putTogether(takeApart(flight)!)
    assert.deepEqual(takeApart(again), takeApart(flight))
  }
  for (let length = 1; length < 60; length++) {
    const part = flights[0]!.subarray(0, length)
    assert.equal(takeApart(part), undefined)
  }
})

test('LateAnswers are given one by one in their order, within the call', () => {
  const answers = new LateAnswers()
  const told: string[] = []
  const tell = (word: unknown): number => told.push(String(word))
  void answers.later(() => 'first').then(tell)
  void answers
    .later(() => {
      throw new TypeError('second')
    })
    .then(tell, tell)
  assert.deepEqual(told, [])
  assert.equal(answers.giveNext(), true)
  assert.deepEqual(told, ['first'])
  assert.equal(answers.giveNext(), true)
  assert.deepEqual(told, ['first', 'TypeError: second'])
  assert.equal(answers.giveNext(), false)
})
