import { CertificateError } from '../pki/errors.ts'

/** Every way in which an identity can be refused. */
export const IDENTITY_ERROR_CODES = {
  IDENTITY_MALFORMED: 'A SPIFFE ID, or a trust domain name, is not well-formed',
  IDENTITY_MISSING: 'A certificate has no URI, hence no SPIFFE ID',
  IDENTITY_AMBIGUOUS: 'A certificate has more than one URI, where its SPIFFE ID must be the only one',
  IDENTITY_NOT_A_WORKLOAD: 'The SPIFFE ID of a leaf names a trust domain, not a workload in it',
  IDENTITY_SIGNING_LEAF: 'A leaf is allowed to sign certificates, so it must not authenticate',
  IDENTITY_UNKNOWN_TRUST_DOMAIN: 'There is no trust bundle for the trust domain of a SPIFFE ID',
  IDENTITY_MISMATCH: 'The certificate proves another SPIFFE ID than the one that is expected',
  IDENTITY_BUNDLE: 'A trust bundle holds no anchor, or one that cannot be an anchor',
} as const

export type IdentityErrorCode = keyof typeof IDENTITY_ERROR_CODES

/** An identity that is refused; as a {@link CertificateError}, so that one catch covers all a verifier throws. */
export class IdentityError extends CertificateError<IdentityErrorCode> {}
