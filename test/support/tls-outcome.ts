/** What tests of handshakes say most often: that one came about, or who refused and why. */
import assert from 'node:assert/strict'
import { TlsPair, type Role, type TlsPairOptions } from './tls-pair.ts'
import type { Workloads } from './tls-workloads.ts'

/** Both sides are established, or the test fails showing what happened instead. */
export function established(workloads: Workloads, options: TlsPairOptions): TlsPair {
  return assertEstablished(new TlsPair(workloads, options).run())
}

/** Fails, showing what happened, unless both sides are established. */
export function assertEstablished(pair: TlsPair): TlsPair {
  assert.deepEqual([pair.client.error, pair.server.error], [undefined, undefined])
  assert.deepEqual([pair.client.session?.role, pair.server.session?.role], ['client', 'server'])
  return pair
}

export interface ExpectedRefusal {
  readonly code: string
  /** What the peer is told. */
  readonly alert: string
  /** What the operator reads. */
  readonly evidence: RegExp
}

/** One side refuses in words of its own, and the other learns the alert and no more. */
export function assertRefused(pair: TlsPair, by: Role, { code, alert, evidence }: ExpectedRefusal): void {
  const [refusing, other] = by === 'client' ? [pair.client, pair.server] : [pair.server, pair.client]
  assert.deepEqual(refusing.calls, [`failed ${code}`])
  assert.match(refusing.error!.message, evidence)
  assert.equal(refusing.error!.alert, alert)
  assert.equal(other.error?.code, 'TLS_PEER_ALERT')
  assert.equal(other.error.received, alert)
}
