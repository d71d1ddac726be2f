import { HandfastError } from '../errors.ts'

/** Every way in which the certificate authority can refuse, or be unable to work. */
export const CA_ERROR_CODES = {
  CA_NO_EVIDENCE: 'The caller brought neither a token nor a verified certificate',
  CA_EVIDENCE_UNSUPPORTED: 'The authority does not take evidence of that kind',
  CA_TOKEN_UNKNOWN: 'The join token is not one that this authority gave out',
  CA_TOKEN_USED: 'The join token has been used as often as it may be',
  CA_TOKEN_EXPIRED: 'The token has expired',
  CA_TOKEN_NOT_YET_VALID: 'The token is not valid yet',
  CA_TOKEN_MALFORMED: 'The token is not of the form that tokens of its kind have',
  CA_TOKEN_ISSUER: 'The token comes from an issuer that is not trusted',
  CA_TOKEN_ALGORITHM: 'The token is signed in a way that is not accepted, or not at all',
  CA_TOKEN_KEY: 'The token names a key that its issuer does not publish',
  CA_TOKEN_SIGNATURE: 'The signature of the token does not hold',
  CA_TOKEN_AUDIENCE: 'The token is meant for somebody else',
  CA_TOKEN_CLAIMS: 'The token lacks a claim, or has one that proves no identity here',
  CA_TOKEN_REFUSED: 'The Kubernetes API does not accept the token',
  CA_POD_GONE: 'The pod that the token is bound to is no more',
  CA_ATTESTATION_UNAVAILABLE: 'What has to be asked about the evidence cannot be reached, or is of no use',
  CA_PEER_EXPIRED: 'The certificate that proved the caller has expired since the connection was made',
  CA_REVOKED: 'The identity of the caller, or the certificate that it shows, has been revoked',
  CA_WRONG_TRUST_DOMAIN: 'The identity belongs to a trust domain that this authority does not serve',
  CA_RESERVED_IDENTITY: "The identity is the controller's own, which no caller is given",
  CA_CSR_INVALID: 'The certificate request is malformed, or too large',
  CA_CSR_KEY: 'The certificate request is for a kind of key, or a strength, that is not certified',
  CA_CSR_SIGNATURE: 'The certificate request is not signed by its own key',
  CA_CSR_IDENTITY: 'The certificate request names another identity than the one its sender proved',
  CA_AUDIENCE: 'The request for a token names nobody that it is for, or too many',
  CA_INTERMEDIATE_VALIDITY:
    'The time is outside the validity of the intermediate certificate, or too near its end',
  CA_ISSUED_INVALID:
    'A certificate that was just signed did not pass our own verification; it was not handed out',
  CA_OPERATOR_AUTHORITY:
    'The certificate authority that the operator has configured cannot sign for the trust domain',
  CA_ROTATION_STAGE: 'The rotation is not at a stage from which this step can be taken',
  CA_ROTATION_WAITS:
    'The step would cut workloads off: some have yet to acknowledge, to renew or to come back',
  CA_REVOCATION_UNSOUND:
    'The revocation would cut off the mesh itself, or cannot be taken back, or names nothing',
  CA_REVOCATION_UNKNOWN: 'There is no such revocation to take back',
  CA_REVOCATION_LIMIT: 'As many revocations are in force as proxies are sent',
  CA_NOT_LEADER: 'Another replica of the controller leads, and is the one to ask',
  CA_CONTROLLER_AWAY: 'No controller answers on the admin socket of the state directory',
  CA_RATE_LIMITED: 'The caller has asked for more certificates than callers are given in so short a time',
  CA_BUSY: 'More requests are under way than the authority works on at a time',
  CA_STORE_LOCKED: 'Another process holds the state directory',
  CA_STORE_PERMISSIONS: 'A secret file can be read or written by others than its owner',
  CA_STORE_CORRUPT: 'A stored certificate, key or token cannot be read, or does not belong to the others',
  CA_STORE_TRUST_DOMAIN:
    'The stored certificate authority is of another trust domain than the configured one',
  CA_STORE_EXPIRED: 'A stored certificate authority has expired or is not yet valid',
  CA_JOURNAL_DAMAGED: 'The journal of what was issued is not as it was written',
  CA_JOURNAL_NO_ENTRY: 'The journal has no such entry, or never had that size',
  CA_JOURNAL_PROOF: 'A proof about the journal does not hold',
  CA_STORE_IO: 'The state directory could not be read or written',
} as const

export type CaErrorCode = keyof typeof CA_ERROR_CODES

export interface CaErrorOptions extends ErrorOptions {
  readonly path?: string
}

/** A refusal to issue (the caller's fault), or a store that cannot be worked with (the operator's to mend). */
export class CaError extends HandfastError<CaErrorCode> {
  /** The file or directory at fault. */
  readonly path?: string

  constructor(code: CaErrorCode, message: string, options?: CaErrorOptions) {
    super(code, message, options)
    if (options?.path !== undefined) this.path = options.path
  }
}

/** A file or directory of secrets that others than its owner can read or write. */
export class InsecureFileError extends CaError {
  declare readonly path: string
  /** As `ls` and `chmod` write it, such as 0644. */
  readonly mode: string
  readonly expectedMode: string

  constructor(path: string, mode: string, expectedMode: string) {
    super(
      'CA_STORE_PERMISSIONS',
      `${path} has mode ${mode}, expected ${expectedMode} because it holds secrets; run: chmod ${expectedMode} '${path}'`,
      { path },
    )
    this.mode = mode
    this.expectedMode = expectedMode
  }
}
