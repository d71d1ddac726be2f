import { Metadata, status } from '@grpc/grpc-js'
import type { ServiceError, StatusObject } from '@grpc/grpc-js'
import { CA_ERROR_CODES, CaError, type CaErrorCode } from '../ca/errors.ts'
import { CONTROL_ERROR_CODES, ControlError, type ControlErrorCode } from './errors.ts'

/** Carries our own code beside gRPC's, which are too few to tell refusals apart. */
const CODE_HEADER = 'handfast-code'

const CA_STATUS: Readonly<Record<CaErrorCode, status>> = {
  CA_NO_EVIDENCE: status.UNAUTHENTICATED,
  CA_EVIDENCE_UNSUPPORTED: status.UNAUTHENTICATED,
  CA_TOKEN_UNKNOWN: status.UNAUTHENTICATED,
  CA_TOKEN_USED: status.UNAUTHENTICATED,
  CA_TOKEN_EXPIRED: status.UNAUTHENTICATED,
  CA_TOKEN_NOT_YET_VALID: status.UNAUTHENTICATED,
  CA_TOKEN_MALFORMED: status.UNAUTHENTICATED,
  CA_TOKEN_ISSUER: status.UNAUTHENTICATED,
  CA_TOKEN_ALGORITHM: status.UNAUTHENTICATED,
  CA_TOKEN_KEY: status.UNAUTHENTICATED,
  CA_TOKEN_SIGNATURE: status.UNAUTHENTICATED,
  CA_TOKEN_AUDIENCE: status.UNAUTHENTICATED,
  CA_TOKEN_CLAIMS: status.UNAUTHENTICATED,
  CA_TOKEN_REFUSED: status.UNAUTHENTICATED,
  CA_POD_GONE: status.UNAUTHENTICATED,
  CA_ATTESTATION_UNAVAILABLE: status.UNAVAILABLE,
  CA_PEER_EXPIRED: status.UNAUTHENTICATED,
  CA_REVOKED: status.PERMISSION_DENIED,
  CA_WRONG_TRUST_DOMAIN: status.PERMISSION_DENIED,
  CA_RESERVED_IDENTITY: status.PERMISSION_DENIED,
  CA_CSR_INVALID: status.INVALID_ARGUMENT,
  CA_CSR_KEY: status.INVALID_ARGUMENT,
  CA_CSR_SIGNATURE: status.INVALID_ARGUMENT,
  CA_CSR_IDENTITY: status.PERMISSION_DENIED,
  CA_AUDIENCE: status.INVALID_ARGUMENT,
  CA_INTERMEDIATE_VALIDITY: status.UNAVAILABLE,
  CA_ISSUED_INVALID: status.INTERNAL,
  CA_OPERATOR_AUTHORITY: status.INTERNAL,
  CA_ROTATION_STAGE: status.INTERNAL,
  CA_ROTATION_WAITS: status.INTERNAL,
  CA_REVOCATION_UNSOUND: status.INTERNAL,
  CA_REVOCATION_UNKNOWN: status.INTERNAL,
  CA_REVOCATION_LIMIT: status.INTERNAL,
  CA_CONTROLLER_AWAY: status.INTERNAL,
  CA_NOT_LEADER: status.INTERNAL,
  CA_RATE_LIMITED: status.RESOURCE_EXHAUSTED,
  CA_BUSY: status.RESOURCE_EXHAUSTED,
  CA_STORE_LOCKED: status.INTERNAL,
  CA_STORE_PERMISSIONS: status.INTERNAL,
  CA_STORE_CORRUPT: status.INTERNAL,
  CA_STORE_TRUST_DOMAIN: status.INTERNAL,
  CA_STORE_EXPIRED: status.UNAVAILABLE,
  CA_JOURNAL_DAMAGED: status.INTERNAL,
  CA_JOURNAL_NO_ENTRY: status.INTERNAL,
  CA_JOURNAL_PROOF: status.INTERNAL,
  CA_STORE_IO: status.UNAVAILABLE,
}

const CONTROL_STATUS: Readonly<Record<ControlErrorCode, status>> = {
  CONTROL_UNAVAILABLE: status.UNAVAILABLE,
  CONTROL_DEADLINE: status.DEADLINE_EXCEEDED,
  CONTROL_REFUSED: status.PERMISSION_DENIED,
  CONTROL_PROTOCOL: status.INVALID_ARGUMENT,
  CONTROL_CERTIFICATE: status.INTERNAL,
  CONTROL_WORKLOAD_API: status.INTERNAL,
}

/**
 * What a caller may know of a failure: the code and what it means, never the particulars, which are the operator's.
 */
export function statusOf(error: unknown): StatusObject {
  if (error instanceof CaError) return refusal(CA_STATUS[error.code], error.code, CA_ERROR_CODES[error.code])
  if (error instanceof ControlError)
    return refusal(CONTROL_STATUS[error.code], error.code, CONTROL_ERROR_CODES[error.code])
  return { code: status.INTERNAL, details: 'The controller failed', metadata: new Metadata() }
}

function refusal(code: status, ownCode: string, details: string): StatusObject {
  const metadata = new Metadata()
  metadata.set(CODE_HEADER, ownCode)
  return { code, details, metadata }
}

/** The error for a call that ended with this status. `connectionError` tells why no connection was made. */
export function controlErrorOf(error: ServiceError, connectionError?: unknown): ControlError {
  const [refusal] = error.metadata?.get(CODE_HEADER) ?? []
  if (refusal === 'CONTROL_UNAVAILABLE')
    return new ControlError('CONTROL_UNAVAILABLE', 'The controller is going away', { cause: error })
  if (refusal !== undefined)
    return new ControlError(
      'CONTROL_REFUSED',
      `The controller refused: ${error.details} (${String(refusal)})`,
      {
        cause: error,
        refusal: String(refusal),
      },
    )
  if (error.code === status.DEADLINE_EXCEEDED)
    return new ControlError('CONTROL_DEADLINE', `The controller did not answer in time: ${error.details}`, {
      cause: error,
    })
  const cause = connectionError ?? error
  const why = cause instanceof Error && cause !== error ? cause.message : error.details
  return new ControlError('CONTROL_UNAVAILABLE', `The controller is not available: ${why}`, { cause })
}
