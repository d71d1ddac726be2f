import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { PublishedKeySets } from '../../src/cmd/controller/published-key-sets.ts'
import type { KeySetSource } from '../../src/config/token-fields.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { jwksOf, tokenSigner } from '../support/tokens.ts'

const [one, two] = [tokenSigner('ES256', 'one'), tokenSigner('ES256', 'two')]
const URL_SOURCE: KeySetSource = { kind: 'url', url: 'https://issuer.example/keys' }
const FILE_SOURCE: KeySetSource = { kind: 'file', path: 'keys.json' }
const MINUTE_MS = 60_000

/** Sets whose sources a test can change and break, by a clock that it moves. */
function published(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const state = { text: jwksOf(one), failure: undefined as Error | undefined, loads: 0, changes: 0 }
  const failures: [string, boolean][] = []
  const keySets = new PublishedKeySets({
    crypto: nativeCrypto(),
    load: async () => {
      state.loads++
      if (state.failure !== undefined) throw state.failure
      return state.text
    },
    onChange: () => state.changes++,
    onFailure: (source, { hasKeys }) => failures.push([source, hasKeys]),
  })
  t.after(() => keySets[Symbol.dispose]())
  const pass = async (ms: number): Promise<void> => {
    t.mock.timers.tick(ms)
    // The answer comes in microtasks.
    for (let i = 0; i < 10; i++) await Promise.resolve()
  }
  return { state, failures, keySets, pass }
}

test('PublishedKeySets has the sets of its sources, and tells when one has changed', async (t) => {
  const { state, keySets, pass } = published(t)
  await keySets.follow([URL_SOURCE, FILE_SOURCE])
  assert.deepEqual([...keySets.current.keys()], ['https://issuer.example/keys', 'file:keys.json'])
  assert.equal(state.changes, 2)
  await pass(10_000)
  assert.deepEqual([state.loads, state.changes], [3, 2], 'the file, and nothing new')
  state.text = jwksOf(one, two)
  await pass(5 * MINUTE_MS)
  assert.equal(keySets.current.get('https://issuer.example/keys'), state.text)
})

test('PublishedKeySets keeps the last good set when a refresh fails or brings nonsense, and tries again soon', async (t) => {
  const { state, failures, keySets, pass } = published(t)
  await keySets.follow([URL_SOURCE])
  const good = state.text
  state.failure = new Error('No route')
  await pass(5 * MINUTE_MS)
  state.failure = undefined
  state.text = '{"keys":7}'
  await pass(15_000)
  assert.deepEqual(failures, [
    ['https://issuer.example/keys', true],
    ['https://issuer.example/keys', true],
  ])
  assert.equal(keySets.current.get('https://issuer.example/keys'), good)
  state.text = jwksOf(two)
  await pass(15_000)
  assert.equal(keySets.current.get('https://issuer.example/keys'), state.text)
})

test('PublishedKeySets says that there never were keys, and lets go of sources that nobody asks for any more', async (t) => {
  const { state, failures, keySets, pass } = published(t)
  state.failure = new Error('No route')
  await keySets.follow([URL_SOURCE])
  assert.deepEqual(failures, [['https://issuer.example/keys', false]])
  assert.equal(keySets.current.size, 0)
  state.failure = undefined
  await pass(15_000)
  assert.equal(keySets.current.size, 1)
  await keySets.follow([])
  assert.equal(keySets.current.size, 0)
  const { loads } = state
  await pass(60 * MINUTE_MS)
  assert.equal(state.loads, loads)
})
