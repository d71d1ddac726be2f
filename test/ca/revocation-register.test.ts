import assert from 'node:assert/strict'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { DirectoryCaStore } from '../../src/ca/directory-store.ts'
import {
  decodeRevocations,
  encodeRevocations,
  sameSubject,
  subjectOf,
} from '../../src/ca/revocation-record.ts'
import { RevocationRegister } from '../../src/ca/revocation-register.ts'
import type { RevokedSubject } from '../../src/identity/revocations.ts'
import { MemoryCaStore, MemoryJournal, TRUST_DOMAIN, WEB } from '../support/memory-ca.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const NOW_MS = Date.UTC(2026, 5, 1, 12)
const HOUR_MS = 3600 * 1000

const SERIAL: RevokedSubject = { kind: 'serial', serialNumber: '7f00' }
const IDENTITY: RevokedSubject = { kind: 'identity', spiffeId: WEB.toString() }
const ISSUER: RevokedSubject = { kind: 'issuer', keySha256: 'ab'.repeat(32) }

function open(store: MemoryCaStore, journal = new MemoryJournal()): Promise<RevocationRegister> {
  return RevocationRegister.open({ store, journal, trustDomain: TRUST_DOMAIN })
}

const BECAUSE = { reason: 'the laptop was stolen', nowMs: NOW_MS, endsAtMs: NOW_MS + HOUR_MS }

test('RevocationRegister journals, persists and puts to use, in this order, before it answers', async () => {
  const store = new MemoryCaStore()
  const journal = new MemoryJournal()
  const register = await open(store, journal)
  const seen: string[] = []
  register.onChange(({ list }) =>
    seen.push(
      `${journal.entries.length} journaled, ${store.revocations === undefined ? 'not ' : ''}stored, ${list.serialNumbers.join()}`,
    ),
  )
  assert.equal((await register.revoke(SERIAL, BECAUSE)).changed, true)
  assert.deepEqual(seen, ['1 journaled, stored, 7f00'])
  assert.deepEqual(journal.entries, [
    {
      kind: 'revoked',
      time: '2026-06-01T12:00:00.000Z',
      serialNumber: '7f00',
      reason: 'the laptop was stolen',
      ends: '2026-06-01T13:00:00.000Z',
    },
  ])
  assert.deepEqual((await open(store)).revocations, register.revocations)
  assert.deepEqual((await open(store)).current.list, register.current.list)
})

test('RevocationRegister.refresh takes over what another controller has written, and tells of it once', async () => {
  const store = new MemoryCaStore()
  const leader = await open(store)
  const follower = await open(store)
  const seen: number[] = []
  follower.onChange(({ list }) => seen.push(list.serialNumbers.length))
  await follower.refresh()
  await leader.revoke(SERIAL, BECAUSE)
  await follower.refresh()
  await follower.refresh()
  assert.deepEqual(seen, [1])
  assert.deepEqual(follower.current.list, leader.current.list)
  assert.deepEqual(follower.revocations, leader.revocations)
})

test('RevocationRegister leaves what is revoked already as it is, and records it once', async () => {
  const journal = new MemoryJournal()
  const register = await open(new MemoryCaStore(), journal)
  await register.revoke(IDENTITY, { ...BECAUSE, endsAtMs: undefined })
  const again = await register.revoke(IDENTITY, { reason: 'another', nowMs: NOW_MS + 1, endsAtMs: undefined })
  assert.equal(again.changed, false)
  assert.equal(again.revocation.reason, 'the laptop was stolen')
  assert.equal(journal.entries.length, 1)
})

test('RevocationRegister puts nothing to use that is not on the disk or not in the journal', async () => {
  const store = new MemoryCaStore()
  const journal = new MemoryJournal()
  const register = await open(store, journal)
  store.writesLeft = 0
  await assert.rejects(register.revoke(SERIAL, BECAUSE), { code: 'CA_STORE_IO' })
  assert.deepEqual(register.current.list.serialNumbers, [])
  store.writesLeft = 1
  journal.failure = new Error('The disk is full')
  await assert.rejects(register.revoke(SERIAL, BECAUSE), /The disk is full/)
  assert.equal(store.revocations, undefined)
  journal.failure = undefined
  await register.revoke(SERIAL, BECAUSE)
  assert.deepEqual(register.current.list.serialNumbers, ['7f00'])
})

test('RevocationRegister takes identities and issuers back, certificates never, and records it', async () => {
  const journal = new MemoryJournal()
  const register = await open(new MemoryCaStore(), journal)
  for (const subject of [SERIAL, IDENTITY, ISSUER]) await register.revoke(subject, BECAUSE)
  for (const subject of [IDENTITY, ISSUER]) await register.lift(subject, { nowMs: NOW_MS + 1 })
  await assert.rejects(register.lift(SERIAL, { nowMs: NOW_MS }), { code: 'CA_REVOCATION_UNSOUND' })
  await assert.rejects(register.lift(IDENTITY, { nowMs: NOW_MS }), { code: 'CA_REVOCATION_UNKNOWN' })
  assert.deepEqual(
    register.revocations.map(({ subject }) => subject),
    [SERIAL],
  )
  assert.deepEqual(
    journal.entries.map(({ kind }) => kind),
    ['revoked', 'revoked', 'revoked', 'unrevoked', 'unrevoked'],
  )
})

test('RevocationRegister forgets what has ended, an hour late for the clocks of others, and nothing else', async () => {
  const register = await open(new MemoryCaStore())
  await register.revoke(SERIAL, BECAUSE)
  await register.revoke(IDENTITY, { ...BECAUSE, endsAtMs: undefined })
  await register.sweep(NOW_MS + 2 * HOUR_MS - 1)
  assert.equal(register.revocations.length, 2)
  const { revision } = register.current.list
  await register.sweep(NOW_MS + 2 * HOUR_MS)
  assert.deepEqual(
    register.revocations.map(({ subject }) => subject),
    [IDENTITY],
  )
  assert.ok(register.current.list.revision > revision)
})

test('RevocationRegister numbers every list higher than the one before, also when the clock is set back', async () => {
  const register = await open(new MemoryCaStore())
  const revisions: number[] = []
  register.onChange(({ list }) => revisions.push(list.revision))
  await register.revoke(IDENTITY, { ...BECAUSE, endsAtMs: undefined })
  await register.lift(IDENTITY, { nowMs: NOW_MS - HOUR_MS })
  await register.revoke(ISSUER, { ...BECAUSE, nowMs: NOW_MS - HOUR_MS })
  assert.deepEqual(revisions, [NOW_MS, NOW_MS + 1, NOW_MS + 2])
})

test('RevocationRegister has a limit, which refuses with what to do', async () => {
  const store = new MemoryCaStore()
  store.revocations = encodeRevocations({
    revision: NOW_MS,
    revocations: Array.from({ length: 10_000 }, (_, index) => ({
      subject: { kind: 'serial', serialNumber: (index + 1).toString(16) },
      revokedAtMs: NOW_MS,
      reason: '',
      endsAtMs: NOW_MS,
    })),
  })
  const register = await open(store)
  await assert.rejects(register.revoke(IDENTITY, BECAUSE), { code: 'CA_REVOCATION_LIMIT' })
})

test('DirectoryCaStore keeps revocations for their owner alone, and a damaged list is refused', async (t) => {
  const directory = await temporaryDirectory(t)
  const register = await RevocationRegister.open({
    store: await DirectoryCaStore.open(join(directory, 'ca')),
    journal: new MemoryJournal(),
    trustDomain: TRUST_DOMAIN,
  })
  await register.revoke(SERIAL, BECAUSE)
  const path = join(directory, 'ca', 'revocations.json')
  assert.equal((await stat(path)).mode & 0o777, 0o600)
  assert.deepEqual(await readdir(join(directory, 'ca')), ['revocations.json'])
  const text = await readFile(path, 'utf8')
  for (const damaged of [
    '{}',
    text.slice(0, -3),
    text.replace('"format": 1', '"format": 2'),
    text.replace('7f00', 'seven'),
    text.replace('"serial"', '"series"'),
  ]) {
    await writeFile(path, damaged)
    await assert.rejects(
      RevocationRegister.open({
        store: await DirectoryCaStore.open(join(directory, 'ca')),
        journal: new MemoryJournal(),
        trustDomain: TRUST_DOMAIN,
      }),
      { code: 'CA_STORE_CORRUPT' },
    )
  }
})

test('decodeRevocations reads what encodeRevocations wrote', () => {
  const state = {
    revision: NOW_MS,
    revocations: [SERIAL, IDENTITY, ISSUER].map((subject, index) => ({
      subject,
      revokedAtMs: NOW_MS + index,
      reason: 'a "reason"\nin two lines',
      endsAtMs: index === 1 ? undefined : NOW_MS + HOUR_MS,
    })),
  }
  assert.deepEqual(decodeRevocations(encodeRevocations(state)), state)
})

test('subjectOf takes what names exactly one thing', () => {
  for (const subject of [SERIAL, IDENTITY, ISSUER]) {
    assert.deepEqual(subjectOf({ ...subject, more: 1 }), subject)
    assert.ok(sameSubject(subject, { ...subject }))
  }
  assert.ok(!sameSubject(SERIAL, IDENTITY))
  for (const wrong of [
    {},
    { kind: 'serial' },
    { kind: 'serial', serialNumber: '07' },
    { kind: 'serial', serialNumber: '7F' },
    { kind: 'serial', serialNumber: '1'.repeat(41) },
    { kind: 'identity', spiffeId: 'web' },
    { kind: 'identity', spiffeId: `spiffe://${TRUST_DOMAIN}` },
    { kind: 'issuer', keySha256: 'ab' },
  ])
    assert.throws(() => subjectOf(wrong), JSON.stringify(wrong))
})
