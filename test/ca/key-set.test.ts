import assert from 'node:assert/strict'
import test from 'node:test'
import { KeySet } from '../../src/ca/key-set.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { jwksOf, tokenSigner } from '../support/tokens.ts'

const crypto = nativeCrypto()
const [one, two] = [tokenSigner('ES256', 'one'), tokenSigner('ES256', 'two')]
const MINUTE_MS = 60_000

/** A set whose source a test can change, break, and count the questions to. */
function source(text: string) {
  const state = { text, asked: 0, failure: undefined as Error | undefined }
  const keys = new KeySet({
    crypto,
    source: 'the test',
    load: () => {
      state.asked++
      return state.failure === undefined ? Promise.resolve(state.text) : Promise.reject(state.failure)
    },
  })
  const ids = async (keyId: string | undefined, nowMs: number): Promise<(string | undefined)[]> =>
    (await keys.find(keyId, nowMs)).map((key) => key.keyId)
  return { state, ids }
}

test('KeySet.find loads once, for all who ask at once, and again when the set is old', async () => {
  const { state, ids } = source(jwksOf(one, two))
  assert.deepEqual(await Promise.all([ids('one', 0), ids('two', 0), ids(undefined, 0)]), [
    ['one'],
    ['two'],
    ['one', 'two'],
  ])
  await ids('one', 4 * MINUTE_MS)
  assert.equal(state.asked, 1)
  await ids('one', 5 * MINUTE_MS)
  assert.equal(state.asked, 2)
})

test('KeySet.find looks for a key that is new, but strangers cannot make it look all the time', async () => {
  const { state, ids } = source(jwksOf(one))
  await ids('one', 0)
  state.text = jwksOf(one, two)
  assert.deepEqual(await ids('two', 9_999), [])
  assert.equal(state.asked, 1)
  assert.deepEqual(await ids('two', 10_000), ['two'])
  for (let i = 0; i < 50; i++) assert.deepEqual(await ids('three', 10_001 + i), [])
  assert.equal(state.asked, 2)
})

test('KeySet.find goes on with what it has while the source is down or broken, for an hour', async () => {
  const { state, ids } = source(jwksOf(one))
  await ids('one', 0)
  state.failure = new Error('No route')
  assert.deepEqual(await ids('one', 10 * MINUTE_MS), ['one'])
  state.failure = undefined
  state.text = '{"keys": 7}'
  assert.deepEqual(await ids('one', 60 * MINUTE_MS), ['one'])
  await assert.rejects(ids('one', 60 * MINUTE_MS + 1), {
    code: 'CA_ATTESTATION_UNAVAILABLE',
    message: /the test cannot be had: The key set has no list of keys/,
  })
  state.text = jwksOf(two)
  assert.deepEqual(await ids('two', 61 * MINUTE_MS), ['two'])
  assert.deepEqual(await ids('one', 62 * MINUTE_MS), [], 'it was withdrawn')
})

test('KeySet.find says so when there never was a set', async () => {
  const { state, ids } = source('')
  state.failure = new Error('No route')
  await assert.rejects(ids(undefined, 0), { code: 'CA_ATTESTATION_UNAVAILABLE', message: /No route/ })
})
