/** Which of several credentials suits a peer, and how it signs (RFC 8446 §4.4.2.2, §4.4.2.3). */
import { equalBytes } from '../bytes/bytes.ts'
import { TlsError } from './errors.ts'
import type { Credential, Credentials } from './options.ts'
import {
  isGrease,
  nameOf,
  SIGNATURE_SCHEMES,
  SignatureScheme,
  type SignatureSchemeParameters,
} from './registry.ts'

/** What the peer says that it can verify. */
export interface PeerAcceptance {
  /** Code points. */
  readonly schemes: readonly number[]
  /** DER names of its authorities; empty when it names none. */
  readonly authorities: readonly Uint8Array[]
}

export interface ChosenCredential {
  readonly credential: Credential
  readonly scheme: SignatureSchemeParameters
}

/**
 * The first of our credentials that suits the peer, with the first of its schemes that the peer accepts.
 *
 * @param candidates at least one, by preference
 * @throws TlsError TLS_NO_COMMON_SIGNATURE_SCHEME, TLS_NO_MATCHING_ISSUER, for what keeps the last candidate out: a side
 * that was told to prove itself does not go on without proof
 */
export function suitableCredential(candidates: Credentials, peer: PeerAcceptance): ChosenCredential {
  let refusal: TlsError | undefined
  for (const credential of listOf(candidates)) {
    const scheme = signatureSchemes(credential).find(({ code }) => peer.schemes.includes(code))
    if (scheme === undefined) refusal = noCommonScheme(credential, peer)
    else if (credential.onlyForNamedIssuers === true && !hasNamedIssuer(credential, peer))
      refusal = noNamedIssuer()
    else return { credential, scheme }
  }
  throw refusal ?? new TlsError('TLS_BAD_OPTIONS', 'The list of credentials is empty, expected at least one')
}

function listOf(candidates: Credentials): readonly Credential[] {
  return 'key' in candidates ? [candidates] : candidates
}

/** What a credential signs with, by preference: TLS 1.3 ties each scheme to one kind of key. */
function signatureSchemes({ key, signatureSchemes: names }: Credential): SignatureSchemeParameters[] {
  const fitting = SIGNATURE_SCHEMES.filter(({ keyKind }) => keyKind === key.kind)
  return names === undefined
    ? fitting
    : names.flatMap((name) => fitting.filter((scheme) => scheme.name === name))
}

function hasNamedIssuer({ chain }: Credential, { authorities }: PeerAcceptance): boolean {
  return chain.some(({ issuer }) => authorities.some((name) => equalBytes(name, issuer.der)))
}

function noCommonScheme({ key }: Credential, { schemes }: PeerAcceptance): TlsError {
  const accepted = schemes
    .filter((code) => !isGrease(code))
    .map((code) => nameOf(SignatureScheme, code))
    .join(', ')
  return new TlsError(
    'TLS_NO_COMMON_SIGNATURE_SCHEME',
    `The peer accepts ${accepted}; our ${key.kind} key makes none of them, or may not`,
  )
}

function noNamedIssuer(): TlsError {
  return new TlsError(
    'TLS_NO_MATCHING_ISSUER',
    'None of our credentials for named issuers was issued by an authority that the peer names',
  )
}
