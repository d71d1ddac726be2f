import assert from 'node:assert/strict'
import test from 'node:test'
import type { RecentJournal, RecordedCertificate } from '../../src/ca/recent-journal.ts'
import { type ConnectedProxy, outageBudget } from '../../src/control/outage-budget.ts'

const NOW_MS = Date.UTC(2026, 0, 1)
const MINUTE_MS = 60_000

/** An hour's certificate, issued so many minutes ago. */
function issued(
  name: string,
  minutesAgo: number,
  part: Partial<RecordedCertificate> = {},
): RecordedCertificate {
  const issuedAtMs = NOW_MS - minutesAgo * MINUTE_MS
  return {
    spiffeId: `spiffe://example.org/ns/shop/sa/${name}`,
    proof: 'join-token:0',
    serialNumber: `${name}${minutesAgo}`,
    issuedAtMs,
    expiresAtMs: issuedAtMs + 60 * MINUTE_MS,
    ...part,
  }
}

function journal(...certificates: readonly RecordedCertificate[]): RecentJournal {
  return { issued: certificates, lastEntryMs: NOW_MS, unreadable: 0 }
}

function connected(certificate: RecordedCertificate): ConnectedProxy {
  return { ...certificate, node: 'n1' }
}

test('outageBudget says who fails first and when, in order, whoever has been issued what by which controller', () => {
  const budget = outageBudget([journal(issued('b', 20), issued('a', 10)), journal(issued('c', 30))], [], {
    nowMs: NOW_MS,
  })
  assert.deepEqual(
    budget.inUse.map(({ serialNumber, leftMs }) => [serialNumber, leftMs / MINUTE_MS]),
    [
      ['c30', 30],
      ['b20', 40],
      ['a10', 50],
    ],
  )
  assert.deepEqual(budget.first, {
    spiffeId: 'spiffe://example.org/ns/shop/sa/c',
    serialNumber: 'c30',
    failsAt: '2026-01-01T00:30:00.000Z',
    leftMs: 30 * MINUTE_MS,
    connected: false,
    overdue: false,
  })
  assert.equal(budget.at, '2026-01-01T00:00:00.000Z')
})

test('outageBudget leaves out what was renewed, has ended, or is the controller itself', () => {
  const { inUse, first } = outageBudget(
    [
      journal(
        issued('a', 5, { renews: 'a35' }),
        issued('a', 35),
        issued('b', 60),
        issued('controller', 30, { proof: 'controller' }),
      ),
    ],
    [],
    { nowMs: NOW_MS },
  )
  assert.deepEqual(
    inUse.map(({ serialNumber }) => serialNumber),
    ['a5'],
  )
  assert.equal(first?.serialNumber, 'a5')
  assert.equal(outageBudget([], [], { nowMs: NOW_MS }).first, undefined)
})

test('outageBudget counts the newest that the workload of a proxy holds beside it', () => {
  const { inUse } = outageBudget(
    [
      journal(
        issued('w', 2, { beside: 'p4' }),
        issued('p', 4, { renews: 'p34' }),
        issued('w', 33, { beside: 'p34' }),
        issued('p', 34),
        issued('other', 31, { beside: 'q31' }),
      ),
    ],
    [],
    { nowMs: NOW_MS },
  )
  assert.deepEqual(
    inUse.map(({ serialNumber }) => serialNumber),
    ['other31', 'p4', 'w2'],
  )
})

test('outageBudget believes what a connected proxy shows before what the journal says', () => {
  const old = issued('a', 35)
  const unknown = issued('z', 10)
  const { inUse } = outageBudget(
    [journal(issued('a', 5, { renews: old.serialNumber }), old)],
    [connected(old), connected(unknown)],
    { nowMs: NOW_MS },
  )
  assert.deepEqual(
    inUse.map(({ serialNumber, node, connected: is }) => [serialNumber, node, is]),
    [
      ['a35', 'n1', true],
      ['z10', 'n1', true],
      ['a5', undefined, false],
    ],
  )
})

test('outageBudget keeps apart who was not renewed in time: forsaken, or connected and overdue', () => {
  const late = issued('late', 40)
  const gone = issued('gone', 50)
  const fine = issued('fine', 30)
  const options = { nowMs: NOW_MS }
  const { inUse, forsaken, first } = outageBudget([journal(late, gone, fine)], [connected(late)], options)
  assert.deepEqual(
    inUse.map(({ serialNumber, overdue }) => [serialNumber, overdue]),
    [
      ['late40', true],
      ['fine30', false],
    ],
  )
  assert.deepEqual(
    forsaken.map(({ serialNumber, overdue, connected: is }) => [serialNumber, overdue, is]),
    [['gone50', true, false]],
  )
  assert.equal(first?.serialNumber, 'late40')
})

test('outageBudget does not blame workloads for the time in which the controller was away', () => {
  const certificate = issued('a', 50)
  const alive = { nowMs: NOW_MS, aliveMs: NOW_MS - 20 * MINUTE_MS }
  assert.deepEqual(outageBudget([journal(certificate)], [], alive).forsaken, [])
  assert.equal(outageBudget([journal(certificate)], [], alive).first?.leftMs, 10 * MINUTE_MS)
  assert.equal(outageBudget([journal(certificate)], [], { nowMs: NOW_MS }).forsaken.length, 1)
})
