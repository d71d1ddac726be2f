import assert from 'node:assert/strict'
import test from 'node:test'
import { JwtAuthorities } from '../../src/ca/jwt-authorities.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { validateJwtSvid } from '../../src/identity/jwt-svid.ts'
import { TrustBundles } from '../../src/identity/trust-bundle.ts'
import { memoryCa, MemoryCaStore, WEB } from '../support/memory-ca.ts'

const crypto = nativeCrypto()
const NOW_MS = Date.UTC(2026, 5, 1)
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const TTL_MS = 300_000

function open(store: MemoryCaStore, nowMs: number, publishMs?: number): Promise<JwtAuthorities> {
  return JwtAuthorities.open({ store, crypto, ttlMs: TTL_MS, publishMs }, { nowMs })
}

test('JwtAuthorities publishes a new key before it signs, and an old one until its last token is over', async () => {
  const store = new MemoryCaStore()
  const authorities = await open(store, NOW_MS)
  const names = (): readonly string[] => authorities.published.map(({ keyId }) => keyId)
  const [first] = names()
  assert.equal(authorities.signer(NOW_MS).keyId, first)
  // Over all of it there is one key that signs, and it has been published for an hour, unless it is the first.
  const published = new Map<string, number>()
  const signers = new Set<string>()
  for (let nowMs = NOW_MS; nowMs < NOW_MS + 65 * DAY_MS; nowMs += HOUR_MS / 2) {
    await authorities.maintain(nowMs)
    for (const name of names()) if (!published.has(name)) published.set(name, nowMs)
    const { keyId } = authorities.signer(nowMs)
    assert.ok(names().includes(keyId))
    assert.ok(keyId === first || nowMs - published.get(keyId)! >= HOUR_MS)
    signers.add(keyId)
    assert.ok(names().length <= 2)
  }
  assert.deepEqual([signers.size, published.size], [3, 3])
  assert.ok(!names().includes(first!))
})

test('JwtAuthorities keeps its keys over restarts, and what is stored must be readable', async () => {
  const store = new MemoryCaStore()
  const before = (await open(store, NOW_MS)).signer(NOW_MS).keyId
  assert.equal((await open(store, NOW_MS + DAY_MS)).signer(NOW_MS + DAY_MS).keyId, before)
  for (const record of [
    '',
    '{}',
    '{"keys":[]}',
    '{"keys":[{"keyId":"a","signsFrom":"x","privateKey":""}]}',
  ]) {
    store.jwtKeys = record
    await assert.rejects(open(store, NOW_MS), { code: 'CA_STORE_CORRUPT' }, record)
  }
})

test('JwtAuthorities publishes for as long as other trust domains take to look', async () => {
  const store = new MemoryCaStore()
  const authorities = await open(store, NOW_MS, 6 * HOUR_MS)
  const dueMs = NOW_MS + 30 * DAY_MS - 6 * HOUR_MS
  await authorities.maintain(dueMs - 1)
  assert.equal(authorities.published.length, 1)
  await authorities.maintain(dueMs)
  const [old, next] = authorities.published
  assert.equal(authorities.signer(dueMs + 6 * HOUR_MS - 1).keyId, old!.keyId)
  assert.equal(authorities.signer(dueMs + 6 * HOUR_MS).keyId, next!.keyId)
})

test('Issuer.issueToken signs what the trust bundle verifies, for whom the caller is and to whom it asked, and records it', async () => {
  const { issuer, authority, journal } = await memoryCa(NOW_MS)
  const evidence = { kind: 'peer-svid', id: WEB, serialNumber: '7f', expiresAtMs: NOW_MS + HOUR_MS } as const
  const { token, expiresAtMs } = await issuer.issueToken(['catalog', 'cart'], evidence, { nowMs: NOW_MS })
  assert.equal(expiresAtMs, NOW_MS + TTL_MS)
  const rules = { audience: 'cart', bundles: TrustBundles.of(authority.bundle), crypto, nowMs: NOW_MS }
  const { id, claims } = validateJwtSvid(token, rules)
  assert.ok(id.equals(WEB))
  assert.deepEqual(claims['aud'], ['catalog', 'cart'])
  const [entry] = journal.entries
  assert.ok(entry?.kind === 'issued-jwt')
  assert.deepEqual(
    [entry.spiffeId, entry.audience, entry.tokenId, entry.keyId],
    [WEB.toString(), ['catalog', 'cart'], claims['jti'], authority.bundle.jwtAuthorities[0]!.keyId],
  )
  // The token is a secret as long as it lives.
  assert.ok(!JSON.stringify(journal.entries).includes(token.split('.')[2]!))

  for (const audience of [[], [''], ['x'.repeat(257)], Array.from({ length: 17 }, String)])
    await assert.rejects(issuer.issueToken(audience, evidence, { nowMs: NOW_MS }), { code: 'CA_AUDIENCE' })
  await assert.rejects(issuer.issueToken(['a'], undefined, { nowMs: NOW_MS }), { code: 'CA_NO_EVIDENCE' })
  const expired = { ...evidence, expiresAtMs: NOW_MS }
  await assert.rejects(issuer.issueToken(['a'], expired, { nowMs: NOW_MS }), { code: 'CA_PEER_EXPIRED' })
  assert.deepEqual(
    journal.entries.slice(1).map((each) => (each.kind === 'refused' ? each.code : each.kind)),
    [...Array.from({ length: 4 }, () => 'CA_AUDIENCE'), 'CA_NO_EVIDENCE', 'CA_PEER_EXPIRED'],
  )
})

test('JwtAuthorities.follow has the keys of the leader, also those that it makes later, and makes none', async () => {
  const store = new MemoryCaStore()
  const options = { store, crypto, ttlMs: TTL_MS }
  assert.equal(await JwtAuthorities.follow(options), undefined)
  const leader = await open(store, NOW_MS)
  const follower = (await JwtAuthorities.follow(options))!
  assert.deepEqual(follower.published, leader.published)
  const laterMs = NOW_MS + 30 * DAY_MS
  await leader.maintain(laterMs)
  assert.equal(leader.published.length, 2)
  await follower.refresh()
  assert.deepEqual(follower.published, leader.published)
  assert.equal(follower.signer(laterMs).keyId, leader.signer(laterMs).keyId)
})
