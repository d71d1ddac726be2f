import { HandfastError } from '../errors.ts'

/** Every way in which the certificate authority can refuse, or be unable to work. */
export const CA_ERROR_CODES = {
  CA_NO_EVIDENCE: 'The caller brought neither a join token nor a verified certificate',
  CA_TOKEN_UNKNOWN: 'The join token is not one that this authority gave out',
  CA_TOKEN_EXPIRED: 'The join token has expired',
  CA_PEER_EXPIRED: 'The certificate that proved the caller has expired since the connection was made',
  CA_WRONG_TRUST_DOMAIN: 'The identity belongs to a trust domain that this authority does not serve',
  CA_RESERVED_IDENTITY: "The identity is the controller's own, which no caller is given",
  CA_CSR_INVALID:
    'The certificate request is malformed, too large, for a kind of key that is not certified, or not signed by its key',
  CA_CSR_IDENTITY: 'The certificate request names another identity than the one its sender proved',
  CA_INTERMEDIATE_VALIDITY:
    'The time is outside the validity of the intermediate certificate, or too near its end',
  CA_ISSUED_INVALID:
    'A certificate that was just signed did not pass our own verification; it was not handed out',
  CA_ROTATION_STAGE: 'The rotation is not at a stage from which this step can be taken',
  CA_ROTATION_WAITS:
    'The step would cut workloads off: some have yet to acknowledge, to renew or to come back',
  CA_CONTROLLER_AWAY: 'No controller answers on the admin socket of the state directory',
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
