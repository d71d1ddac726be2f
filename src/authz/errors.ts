import { HandfastError } from '../errors.ts'

/** Every way in which a proxy refuses policy; what operators write is refused before, with ConfigError. */
export const AUTHZ_ERROR_CODES = {
  AUTHZ_POLICIES_MALFORMED: 'The policies that a controller sent are not in the form that controllers send',
  AUTHZ_FLIGHT_LOG: 'A line of a flight log is not of the form that proxies write',
  AUTHZ_MODE_NOT_AVAILABLE:
    'A PeerAuthentication asks this proxy for a mode other than STRICT, which it cannot put in force',
} as const

export type AuthzErrorCode = keyof typeof AUTHZ_ERROR_CODES

/** Policies that came over the wire and cannot be put in force here; those in force stay. */
export class PolicyError extends HandfastError<AuthzErrorCode> {}

/** A flight log that cannot be read. Whoever wrote or kept it is to blame. */
export class FlightLogError extends HandfastError<'AUTHZ_FLIGHT_LOG'> {}
