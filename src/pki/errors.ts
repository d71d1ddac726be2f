import { HandfastError } from '../errors.ts'
import type { Certificate } from './certificate.ts'

/** Every way in which a certificate, a chain, a key or a request can be refused. */
export const PKI_ERROR_CODES = {
  PKI_MALFORMED: 'A certificate or key is not valid DER, or breaks a rule of its format',
  PKI_PEM: 'Text is not the PEM that was expected',
  PKI_UNSUPPORTED: 'A certificate or key uses an algorithm or a feature that is not accepted',
  PKI_EXPIRED: 'A certificate on the path is past its notAfter',
  PKI_NOT_YET_VALID: 'A certificate on the path is before its notBefore',
  PKI_REVOKED: 'The certificate, the identity that it proves, or an authority above it has been revoked',
  PKI_UNKNOWN_ISSUER: 'No presented certificate and no trust anchor issued this certificate',
  PKI_UNTRUSTED_ROOT: 'The presented chain is complete, but ends in a root that is not a trust anchor',
  PKI_BAD_SIGNATURE: 'A signature does not verify with the key that should have made it',
  PKI_NOT_A_CA: 'A certificate that issued another is not a certificate authority',
  PKI_PATH_LENGTH: 'The path is longer than a certificate authority on it, or the verifier, allows',
  PKI_KEY_USAGE: 'The key usage of a certificate does not allow what it was used for',
  PKI_EXTENDED_KEY_USAGE: 'The extended key usage of a certificate does not allow what it was used for',
  PKI_NAME_CONSTRAINT: 'A name lies outside what a certificate authority on the path may certify',
  PKI_UNKNOWN_CRITICAL_EXTENSION: 'A certificate demands that an extension be understood, and it is not',
  PKI_PROFILE: 'A certificate breaks a rule of RFC 5280 that its place on the path demands',
  PKI_NAME_MISMATCH: 'The certificate does not prove the host name that was asked for',
  PKI_WEAK_KEY: 'A public key is too weak, or of a shape that is not accepted',
  PKI_LIMIT: 'Verifying the certificates would take more work than is allowed',
  PKI_KEY_MISMATCH: 'A private key is not the one of the certificate',
  PKI_ENCRYPTED_KEY: 'A private key is encrypted',
  PKI_REQUEST: 'A certificate signing request is not one that is accepted',
} as const

export type PkiErrorCode = keyof typeof PKI_ERROR_CODES

/** The codes of {@link CertificateError} and of what extends it above. */
export type CertificateErrorCode = PkiErrorCode | `IDENTITY_${string}`

export interface CertificateErrorOptions extends ErrorOptions {
  /** The certificate at fault, when one was read. */
  readonly certificate?: Certificate
}

/** A certificate, chain, key or request that is refused. Whoever presented it is to blame. */
export class CertificateError<
  Code extends CertificateErrorCode = CertificateErrorCode,
> extends HandfastError<Code> {
  /** The certificate at fault, when it is known and could be read. */
  readonly certificate?: Certificate

  constructor(code: Code, message: string, options?: CertificateErrorOptions) {
    super(code, message, options)
    if (options?.certificate !== undefined) this.certificate = options.certificate
  }
}
