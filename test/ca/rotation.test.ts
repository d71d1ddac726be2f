import assert from 'node:assert/strict'
import test from 'node:test'
import {
  advanceRotation,
  demandsRenewal,
  type Fleet,
  type Follower,
  initialRotation,
  prepareRotation,
  type RotationCommand,
  rotationObstacle,
  type RotationStage,
  type RotationState,
  signingAuthority,
  stepRotation,
  trustedAuthorities,
  withSvidTtl,
} from '../../src/ca/rotation.ts'
import { decodeRotation, encodeRotation } from '../../src/ca/rotation-record.ts'

const TTL_MS = 3_600_000
const NOW_MS = Date.UTC(2026, 5, 1)
const LATER_MS = NOW_MS + 2 * TTL_MS
const COMMANDS: readonly RotationCommand[] = ['activate', 'taint', 'remove', 'rollback']
const STAGES: readonly RotationStage[] = ['prepared', 'distributed', 'active', 'tainted', 'reverting']

const NOBODY: Fleet = { followers: [], settled: true }

function follower(part: Partial<Follower> = {}): Follower {
  return { name: 'web on node-1', informed: true, renewed: true, ...part }
}

function fleet(...followers: readonly Follower[]): Fleet {
  return { followers, settled: true }
}

function prepared(bridged = true): RotationState {
  const outcome = prepareRotation(initialRotation(TTL_MS), { nowMs: NOW_MS, bridged })
  assert.equal(outcome.kind, 'moved')
  return outcome.kind === 'moved' ? outcome.state : assert.fail()
}

function go(state: RotationState, command: RotationCommand, nowMs = NOW_MS): RotationState {
  const outcome = stepRotation(state, command, { nowMs, fleet: NOBODY })
  return outcome.kind === 'moved' ? outcome.state : assert.fail(JSON.stringify(outcome.obstacle))
}

/** A state of each stage, reached by commands. */
function at(stage: RotationStage): RotationState {
  const start = prepared()
  switch (stage) {
    case 'prepared':
      return start
    case 'distributed':
      return advanceRotation(start, { nowMs: NOW_MS, fleet: NOBODY })
    case 'active':
      return go(start, 'activate')
    case 'tainted':
      return go(go(start, 'activate'), 'taint')
    case 'reverting':
      return go(go(start, 'activate'), 'rollback')
  }
}

function obstacleKind(
  state: RotationState,
  command: RotationCommand,
  context: { nowMs?: number; fleet?: Fleet; abandonAbsent?: boolean } = {},
): string | undefined {
  return rotationObstacle(state, command, { nowMs: LATER_MS, fleet: NOBODY, ...context })?.kind
}

test('stepRotation replaces one authority by the next in five steps', () => {
  const steps: unknown[] = []
  const note = (state: RotationState): RotationState => {
    steps.push([
      state.rotation?.stage,
      trustedAuthorities(state),
      signingAuthority(state),
      demandsRenewal(state),
    ])
    return state
  }
  const distributed = note(advanceRotation(note(prepared()), { nowMs: NOW_MS, fleet: fleet(follower()) }))
  const tainted = note(go(note(go(distributed, 'activate')), 'taint'))
  note(go(tainted, 'remove', LATER_MS))
  assert.deepEqual(steps, [
    ['prepared', [1, 2], 1, false],
    ['distributed', [1, 2], 1, false],
    ['active', [1, 2], 2, false],
    ['tainted', [1, 2], 2, true],
    [undefined, [2], 2, false],
  ])
})

test('stepRotation takes each command in its stages only', () => {
  const allowed = COMMANDS.flatMap((command) =>
    STAGES.filter((stage) => obstacleKind(at(stage), command) === undefined).map(
      (stage) => `${command} ${stage}`,
    ),
  )
  assert.deepEqual(allowed, [
    'activate prepared',
    'activate distributed',
    'activate reverting',
    'taint active',
    'remove tainted',
    'rollback prepared',
    'rollback distributed',
    'rollback active',
    'rollback tainted',
    'rollback reverting',
  ])
  for (const command of COMMANDS) {
    assert.equal(obstacleKind(initialRotation(TTL_MS), command), 'no-rotation')
    for (const stage of STAGES) {
      const context = { nowMs: LATER_MS, fleet: NOBODY }
      const outcome = stepRotation(at(stage), command, context)
      const obstacle = rotationObstacle(at(stage), command, context)
      assert.deepEqual(outcome.kind === 'refused' ? outcome.obstacle : undefined, obstacle)
    }
  }
})

test('prepareRotation refuses a second rotation, and gives no number twice', () => {
  for (const stage of STAGES) {
    const outcome = prepareRotation(at(stage), { nowMs: NOW_MS, bridged: true })
    assert.deepEqual(outcome, { kind: 'refused', obstacle: { kind: 'rotation-under-way', stage } })
  }
  const abandoned = go(prepared(), 'rollback')
  assert.deepEqual(trustedAuthorities(abandoned), [1])
  const again = prepareRotation(abandoned, { nowMs: NOW_MS, bridged: true })
  assert.deepEqual(again.kind === 'moved' && trustedAuthorities(again.state), [1, 3])
})

test('stepRotation waits for each connected proxy to acknowledge, and names those who have not', () => {
  const late = follower({ name: 'catalog on node-2', informed: false, refusal: 'no such policy' })
  for (const [stage, command] of [
    ['prepared', 'activate'],
    ['distributed', 'activate'],
    ['reverting', 'activate'],
    ['active', 'taint'],
    ['tainted', 'remove'],
    ['reverting', 'rollback'],
  ] as const) {
    const context = { nowMs: LATER_MS, fleet: fleet(follower(), late) }
    assert.deepEqual(rotationObstacle(at(stage), command, context), { kind: 'lagging', followers: [late] })
    assert.equal(obstacleKind(at(stage), command, { ...context, abandonAbsent: true }), 'lagging')
  }
  assert.equal(advanceRotation(prepared(), { nowMs: NOW_MS, fleet: fleet(late) }).rotation?.stage, 'prepared')
})

test('stepRotation can be rolled back from anywhere without waiting for anyone', () => {
  const late = fleet(follower({ informed: false, renewed: false }))
  for (const stage of ['prepared', 'distributed', 'active', 'tainted'] as const)
    assert.equal(obstacleKind(at(stage), 'rollback', { nowMs: NOW_MS, fleet: late }), undefined)
})

test('stepRotation removes nothing while a proxy shows a certificate of what is to be removed', () => {
  const old = fleet(follower({ renewed: false }))
  assert.equal(obstacleKind(at('tainted'), 'remove', { fleet: old }), 'lagging')
  assert.equal(obstacleKind(at('reverting'), 'rollback', { fleet: old }), 'lagging')
  assert.equal(obstacleKind(at('active'), 'taint', { fleet: old }), undefined)
})

test('stepRotation removes nothing while certificates of it may live elsewhere, unless told to once that can be known', () => {
  for (const [stage, command] of [
    ['tainted', 'remove'],
    ['reverting', 'rollback'],
  ] as const) {
    const state = at(stage)
    const early = { nowMs: NOW_MS + TTL_MS - 1, fleet: NOBODY }
    assert.deepEqual(rotationObstacle(state, command, early), { kind: 'absent', untilMs: NOW_MS + TTL_MS })
    assert.equal(obstacleKind(state, command, { ...early, abandonAbsent: true }), undefined)
    const starting = { followers: [], settled: false }
    assert.equal(
      obstacleKind(state, command, { ...early, fleet: starting, abandonAbsent: true }),
      'unsettled',
    )
    assert.equal(obstacleKind(state, command, { nowMs: NOW_MS + TTL_MS, fleet: starting }), undefined)
  }
})

test('stepRotation activates what no bridge leads to only when everyone has had to renew', () => {
  const early = { nowMs: NOW_MS + TTL_MS - 1 }
  assert.equal(obstacleKind(prepared(false), 'activate', early), 'absent')
  assert.equal(obstacleKind(prepared(false), 'activate', { nowMs: NOW_MS + TTL_MS }), undefined)
  assert.equal(obstacleKind(prepared(true), 'activate', early), undefined)
})

test('stepRotation counts from the last certificate that was signed', () => {
  const reactivated = go(go(at('reverting'), 'activate', NOW_MS + 100), 'taint', NOW_MS + 200)
  assert.equal(reactivated.rotation?.absentUntilMs, NOW_MS + 100 + TTL_MS)
})

test('withSvidTtl remembers the certificates that were given a longer life', () => {
  const shorter = withSvidTtl(prepared(), 60_000, NOW_MS)
  const active = go(shorter, 'activate', NOW_MS)
  assert.equal(active.rotation?.absentUntilMs, NOW_MS + TTL_MS)
  const shortest = withSvidTtl(shorter, 1_000, NOW_MS + 1_000)
  assert.equal(shortest.longerUntilMs, NOW_MS + TTL_MS)
  assert.equal(withSvidTtl(shorter, 60_000, NOW_MS + 5), shorter)
})

test('advanceRotation ends a way back by itself, and is otherwise idle', () => {
  const context = { nowMs: LATER_MS, fleet: fleet(follower()) }
  assert.deepEqual(trustedAuthorities(advanceRotation(at('reverting'), context)), [1])
  for (const stage of ['distributed', 'active', 'tainted'] as const) {
    const state = at(stage)
    assert.equal(advanceRotation(state, context), state)
  }
  const idle = initialRotation(TTL_MS)
  assert.equal(advanceRotation(idle, context), idle)
})

test('encodeRotation is read back by decodeRotation, in every stage', () => {
  for (const state of [initialRotation(TTL_MS), withSvidTtl(at('active'), 5_000, NOW_MS), ...STAGES.map(at)])
    assert.deepEqual(decodeRotation(encodeRotation(state)), state)
})

test('decodeRotation refuses what is damaged', () => {
  const text = encodeRotation(prepared())
  for (const damaged of [
    '',
    'null',
    text.slice(0, -9),
    text.replace('"format": 1', '"format": 2'),
    text.replace('prepared', 'ready'),
    text.replace('"next": 2', '"next": 1'),
    text.replace('"next": 2', '"next": 3'),
    text.replace('"current": 1', '"current": -1'),
    text.replace(/"since": "[^"]*"/, '"since": "yesterday"'),
  ])
    assert.throws(() => decodeRotation(damaged), { code: 'CA_STORE_CORRUPT' }, damaged)
})

test('rotationObstacle has a new anchor published for a while before anything rests on it, unless others are given up', () => {
  const publishMs = 3 * 300_000
  for (const stage of ['prepared', 'distributed'] as const) {
    const obstacle = (nowMs: number, abandonAbsent = false) =>
      rotationObstacle(at(stage), 'activate', { nowMs, fleet: NOBODY, publishMs, abandonAbsent })
    assert.deepEqual(obstacle(NOW_MS), { kind: 'unpublished', untilMs: NOW_MS + publishMs })
    assert.equal(obstacle(NOW_MS + publishMs), undefined)
    assert.equal(obstacle(NOW_MS, true), undefined)
  }
  // What was in use before is known.
  const back = { nowMs: LATER_MS, fleet: NOBODY, publishMs }
  assert.equal(rotationObstacle(at('reverting'), 'activate', back), undefined)
})
