import { HandfastError } from '../errors.ts'

/** Every way in which policy can be refused that no operator wrote; for what operators write there is ConfigError. */
export const AUTHZ_ERROR_CODES = {
  AUTHZ_POLICIES_MALFORMED: 'The policies that a controller sent are not in the form that controllers send',
  AUTHZ_FLIGHT_LOG: 'A line of a flight log is not of the form that proxies write',
} as const

export type AuthzErrorCode = keyof typeof AUTHZ_ERROR_CODES

/** Policies that came over the wire and are not acceptable; those in force stay. The controller is to blame. */
export class PolicyError extends HandfastError<AuthzErrorCode> {}

/** A flight log that cannot be read. Whoever wrote or kept it is to blame. */
export class FlightLogError extends HandfastError<'AUTHZ_FLIGHT_LOG'> {}
