import assert from 'node:assert/strict'
import test from 'node:test'
import { Backoff } from '../../src/control/backoff.ts'
import { ReplicaChoice } from '../../src/control/replica-choice.ts'

test('ReplicaChoice begins anywhere, stays, and goes round when it is told to leave', () => {
  assert.equal(new ReplicaChoice(['a', 'b', 'c'], () => 0.99).address, 'c')
  const choice = new ReplicaChoice(['a', 'b', 'c'], () => 0.4)
  const seen = [choice.address]
  for (let i = 0; i < 3; i++) {
    choice.leave(choice.address)
    seen.push(choice.address)
  }
  assert.deepEqual(seen, ['b', 'c', 'a', 'b'])
  choice.leave('a')
  assert.equal(choice.address, 'b', 'that one was left already')
})

test('ReplicaChoice.retryDelayMs is short until all have been tried, then that of the back-off', () => {
  const random = (): number => 0.5
  const backoff = new Backoff({ random })
  const choice = new ReplicaChoice(['a', 'b'], random)
  const delays = [1, 2, 3, 4].map((failures) => choice.retryDelayMs(failures, backoff))
  assert.deepEqual(delays, [250, 750, 250, 1_500])
  const only = new ReplicaChoice(['a'], random)
  assert.equal(only.retryDelayMs(1, new Backoff({ random })), 750)
})
