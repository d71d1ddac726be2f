import { HandfastError } from '../errors.ts'
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

/** Every way in which a signed token can be refused. */
export const TOKEN_ERROR_CODES = {
  TOKEN_MALFORMED: 'The token is no JWS with JSON claims',
  TOKEN_ISSUER: 'The token comes from an issuer that nobody configured',
  TOKEN_ALGORITHM: 'The token is signed in a way that its issuer may not use, or not at all',
  TOKEN_KEY: 'The token names a key that its issuer does not publish',
  TOKEN_SIGNATURE: 'The signature of the token does not hold',
  TOKEN_EXPIRED: 'The token has expired',
  TOKEN_NOT_YET_VALID: 'The token is not valid yet',
  TOKEN_AUDIENCE: 'The token is meant for somebody else',
  TOKEN_CLAIMS: 'The token lacks a claim that it must have, or has one that makes no sense',
  TOKEN_KEYS_MISSING: "There are no keys yet to verify the issuer's tokens with",
  TOKEN_AMBIGUOUS: 'The request carries several tokens, and it is not said which one counts',
} as const

export type TokenErrorCode = keyof typeof TOKEN_ERROR_CODES

/** A token that is not believed. */
export class TokenError extends HandfastError<TokenErrorCode> {}

/** Every way in which a published trust bundle can be refused. */
export const BUNDLE_ERROR_CODES = {
  BUNDLE_MALFORMED: 'A published trust bundle is not of the form that the SPIFFE standard gives it',
  BUNDLE_STALE: 'A published trust bundle is older than the one that is in use',
  BUNDLE_UNAVAILABLE: 'The bundle endpoint of another trust domain did not answer with a bundle',
} as const

export type BundleErrorCode = keyof typeof BUNDLE_ERROR_CODES

/** A published trust bundle that cannot be used. */
export class BundleError extends HandfastError<BundleErrorCode> {}
