import { type RevocationList, Revocations } from '../../src/identity/revocations.ts'
import { TRUST_DOMAIN } from './certificates.ts'

/** A list with these entries, of some time. */
export function revocationsOf(list: Partial<RevocationList>): Revocations {
  return new Revocations({
    revision: Date.UTC(2026, 5, 1, 12),
    trustDomain: TRUST_DOMAIN,
    serialNumbers: [],
    spiffeIds: [],
    issuerKeys: [],
    ...list,
  })
}
