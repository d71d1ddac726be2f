import { handshakeTarget } from './handshake/target.ts'
import { fuzzWorkloads } from './handshake/workloads.ts'
import type { FuzzTarget } from './target.ts'
import { echTargets } from './targets/ech.ts'
import { flightLogTargets } from './targets/flight-log.ts'
import { identityTargets } from './targets/identity.ts'
import { keyTargets } from './targets/keys.ts'
import { liveTraffic } from './targets/live-messages.ts'
import { pkiTargets } from './targets/pki.ts'
import { policyTargets } from './targets/policy.ts'
import { sessionTargets } from './targets/sessions.ts'
import { textTargets } from './targets/texts.ts'
import { tlsMessageTargets } from './targets/tls-messages.ts'
import { tlsRecordTargets } from './targets/tls-records.ts'
import { tokenTargets } from './targets/tokens.ts'

/** Every target; what they need is minted and run first, so that nothing is read from files. */
export async function fuzzTargets(): Promise<readonly FuzzTarget[]> {
  const workloads = await fuzzWorkloads()
  const live = liveTraffic(workloads)
  return [
    handshakeTarget(workloads, 'client'),
    handshakeTarget(workloads, 'server'),
    ...tlsRecordTargets(live),
    ...tlsMessageTargets(live),
    ...echTargets(),
    ...(await pkiTargets(workloads)),
    ...keyTargets(),
    ...identityTargets(workloads),
    ...sessionTargets(workloads),
    ...textTargets(),
    ...tokenTargets(),
    ...policyTargets(workloads),
    ...flightLogTargets(),
  ]
}
