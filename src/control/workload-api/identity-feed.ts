import type { IssuedJwtSvid } from '../client.ts'
import type { IdentitySnapshot, IdentitySource } from '../identity-source.ts'
import type { Timers } from '../timers.ts'

/** What callers of the Workload API are given: an identity that is asked for when the first of them comes. */
export interface WorkloadIdentity extends IdentitySource {
  /** Asks for the identity unless that was done; resolves when it is there for the first time, which may never be. */
  ready(): Promise<unknown>
  /** A JWT-SVID for this audience. @throws ControlError */
  issueToken(audience: readonly string[]): Promise<IssuedJwtSvid>
}

/** A controller that is there has answered by then; clients come back by themselves. */
const WAIT_MS = 5_000

/** An SVID that has not expired, with what to verify others by. */
export type ValidIdentity = Pick<IdentitySnapshot, 'svid' | 'bundles'>

/** The identity as it is now; undefined where there is no valid one. */
export function currentIdentity(identity: WorkloadIdentity, timers: Timers): ValidIdentity | undefined {
  const svid = identity.current()
  if (svid === undefined || svid.expiresAtMs <= timers.nowMs()) return undefined
  return { svid, bundles: identity.bundles() }
}

/** The identity as it is now; where there is none yet, it is asked for and waited for a while. */
export async function identityWithin(
  identity: WorkloadIdentity,
  timers: Timers,
): Promise<ValidIdentity | undefined> {
  const late = Promise.withResolvers<void>()
  const cancel = timers.after(WAIT_MS, late.resolve)
  await Promise.race([identity.ready(), late.promise])
  cancel()
  return currentIdentity(identity, timers)
}
