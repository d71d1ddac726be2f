/** Which of several credentials suits a peer, and how it signs (RFC 8446 §4.4.2.2, §4.4.2.3). */
import { equalBytes } from '../bytes/bytes.ts'
import { DecodeError } from '../bytes/errors.ts'
import { HASH_BYTES, type SignatureParameters } from '../crypto/provider.ts'
import { parseSubjectPublicKey } from '../pki/algorithms.ts'
import type { Certificate } from '../pki/certificate.ts'
import { canonicalDnsName, dnsNameCovers } from '../pki/host-name.ts'
import { TlsError } from './errors.ts'
import type { Eventually } from './eventually.ts'
import { timestampList } from './messages/certificate-extensions.ts'
import type { AnyCredential, Credentials, CredentialSource, CredentialWishes } from './options.ts'
import {
  CertificateType,
  isGrease,
  nameOf,
  SIGNATURE_SCHEMES,
  SignatureScheme,
  type SignatureSchemeParameters,
} from './registry.ts'

/** What we prove ourselves with. */
export interface ChosenCredential {
  readonly credential: AnyCredential
  readonly scheme: SignatureSchemeParameters
}

/**
 * Those of `credentials` that have the name which a client asks for, by preference. A single one answers everyone, as
 * do all of them clients that name nothing. Which of them suits the peer otherwise, the handshake finds out.
 *
 * @returns undefined when there is none for the name
 */
export function chooseCredential<Candidate extends AnyCredential>(
  credentials: readonly Candidate[],
  { serverName }: Pick<CredentialWishes, 'serverName'>,
): readonly Candidate[] | undefined {
  if (credentials.length === 1 || serverName === undefined) return credentials
  const named = credentials.filter((credential) => hasName(credential, serverName))
  return named.length === 0 ? undefined : named
}

/**
 * The first of our credentials that suits the peer, with the first of its schemes that the peer accepts. Before the
 * others come those with an authority that the peer names, and of them those whose certificates are signed as it likes.
 *
 * @param candidates at least one, by preference
 * @param role ours
 * @throws TlsError TLS_BAD_OPTIONS; TLS_NO_COMMON_SIGNATURE_SCHEME, TLS_NO_MATCHING_ISSUER,
 * TLS_NO_COMMON_CERTIFICATE_TYPE, for what keeps the last candidate out: a side that was told to prove itself does not
 * go on without proof
 */
export function suitableCredential(
  candidates: Credentials,
  wishes: CredentialWishes,
  role: 'client' | 'server',
): ChosenCredential {
  const usable: ChosenCredential[] = []
  let refusal: TlsError | undefined
  checkCredentials(candidates)
  for (const credential of listOf(candidates)) {
    const scheme = signatureSchemes(credential, role).find(({ code }) => wishes.schemes.includes(code))
    if (!wishes.certificateTypes.includes(certificateTypeOf(credential)))
      refusal = noCommonType(credential, wishes, role)
    else if (scheme === undefined) refusal = noCommonScheme(credential, wishes)
    else if (isOnlyForNamedIssuers(credential) && !hasNamedIssuer(credential, wishes))
      refusal = noNamedIssuer()
    else usable.push({ credential, scheme })
  }
  const isSilent = wishes.certificateAuthorities.length === 0
  const named = usable.filter(({ credential }) => isSilent || hasNamedIssuer(credential, wishes))
  const chosen = named.find(({ credential }) => isSignedAsLiked(credential, wishes)) ?? named[0] ?? usable[0]
  if (chosen !== undefined) return chosen
  throw refusal ?? new TlsError('TLS_BAD_OPTIONS', 'The list of credentials is empty, expected at least one')
}

/** What the source has for a peer. */
export function credentialsFor(
  source: CredentialSource | undefined,
  wishes: CredentialWishes,
): Eventually<Credentials | undefined> {
  return typeof source === 'function' ? source(wishes) : source
}

/**
 * Holds credentials against what the wire can carry, before anybody asks for them.
 *
 * @throws TlsError TLS_BAD_OPTIONS
 */
export function checkCredentials(source: CredentialSource | undefined): void {
  if (source === undefined || typeof source === 'function') return
  for (const credential of listOf(source)) checkCredential(credential)
}

function checkCredential(credential: AnyCredential): void {
  if ('rawPublicKey' in credential) return
  const { chain, signedCertificateTimestamps } = credential
  if (chain.length === 0)
    throw new TlsError('TLS_BAD_OPTIONS', 'The chain of a credential is empty, expected its leaf at least')
  if (signedCertificateTimestamps === undefined) return
  try {
    timestampList.read(signedCertificateTimestamps)
  } catch (cause) {
    if (!(cause instanceof DecodeError)) throw cause
    throw new TlsError(
      'TLS_BAD_OPTIONS',
      `signedCertificateTimestamps of a credential is malformed: ${cause.message}`,
      { cause },
    )
  }
}

/** One or several, as several. */
export function listOf(candidates: Credentials): readonly AnyCredential[] {
  return 'key' in candidates ? [candidates] : candidates
}

/** How a credential proves its owner: a code point of {@link CertificateType}. */
export function certificateTypeOf(credential: AnyCredential): number {
  return 'rawPublicKey' in credential ? CertificateType.RawPublicKey : CertificateType.X509
}

/** What a credential signs with, by preference: TLS 1.3 ties each scheme to one kind of key. */
function signatureSchemes(credential: AnyCredential, role: 'client' | 'server'): SignatureSchemeParameters[] {
  const { key, signatureSchemes: names } = credential
  const fitting = SIGNATURE_SCHEMES.filter(
    ({ keyKind, parameters }) => keyKind === key.kind && hasRoomFor(credential, parameters),
  )
  const modern = fitting.filter(({ use }) => use !== 'legacy')
  if (names === undefined) return modern
  // draft-ietf-tls-tls13-pkcs1 §2: servers must not sign with what is left over from TLS 1.2.
  const allowed = role === 'client' ? fitting : modern
  return names.flatMap((name) => allowed.filter((scheme) => scheme.name === name))
}

/** RFC 8017 §9.1.1: an RSASSA-PSS encoding holds the hash, a salt of its length here, and two bytes. */
function hasRoomFor(credential: AnyCredential, parameters: SignatureParameters): boolean {
  if (parameters.kind !== 'rsa-pss') return true
  const publicKey =
    'rawPublicKey' in credential
      ? parseSubjectPublicKey(credential.rawPublicKey)
      : credential.chain[0]?.publicKey
  return Math.ceil(((publicKey?.bits ?? 0) - 1) / 8) >= 2 * HASH_BYTES[parameters.hash] + 2
}

/** A raw public key has no names: the client knows it. */
function hasName(credential: AnyCredential, serverName: string): boolean {
  const [leaf] = chainOf(credential)
  const name = canonicalDnsName(serverName)
  if (leaf === undefined) return true
  return (
    name !== undefined && leaf.subjectAltNames.dnsNames.some((presented) => dnsNameCovers(presented, name))
  )
}

function isOnlyForNamedIssuers(credential: AnyCredential): boolean {
  return 'onlyForNamedIssuers' in credential && (credential.onlyForNamedIssuers ?? false)
}

function hasNamedIssuer(credential: AnyCredential, { certificateAuthorities }: CredentialWishes): boolean {
  return chainOf(credential).some(({ issuer }) =>
    certificateAuthorities.some((name) => equalBytes(name, issuer.der)),
  )
}

/** RFC 8446 §4.2.3: the signature of a trust anchor is not checked, so it may be any. */
function isSignedAsLiked(credential: AnyCredential, { certificateSchemes }: CredentialWishes): boolean {
  return chainOf(credential)
    .filter(({ issuer, subject }) => !equalBytes(issuer.der, subject.der))
    .every(({ signature: { parameters } }) =>
      certificateSchemes.some((code) => parameters !== undefined && codesOf(parameters).includes(code)),
    )
}

function chainOf(credential: AnyCredential): readonly Certificate[] {
  return 'rawPublicKey' in credential ? [] : credential.chain
}

/** The code points under which RFC 8446 §4.2.3 knows the signature of a certificate. */
function codesOf(parameters: SignatureParameters): readonly number[] {
  switch (parameters.kind) {
    case 'ed25519':
      return [0x0807]
    case 'ml-dsa-44':
      return [0x0904]
    case 'ml-dsa-65':
      return [0x0905]
    case 'ml-dsa-87':
      return [0x0906]
    case 'ecdsa':
      return { sha256: [0x0403], sha384: [0x0503], sha512: [0x0603] }[parameters.hash]
    case 'rsa-pkcs1':
      return { sha256: [0x0401], sha384: [0x0501], sha512: [0x0601] }[parameters.hash]
    case 'rsa-pss':
      // Made by a key for any RSA signature, or by one for PSS alone.
      return { sha256: [0x0804, 0x0809], sha384: [0x0805, 0x080a], sha512: [0x0806, 0x080b] }[parameters.hash]
  }
}

function noCommonType(
  credential: AnyCredential,
  { certificateTypes }: CredentialWishes,
  role: 'client' | 'server',
): TlsError {
  const accepted = certificateTypes.map((type) => nameOf(CertificateType, type)).join(', ')
  const own = nameOf(CertificateType, certificateTypeOf(credential))
  const message = `The peer accepts the certificate types ${accepted}; our credential is of the type ${own}`
  // RFC 7250 §4.2 has an alert for clients that gave a choice; X.509 alone is what others take, who may not know of it.
  const wasChoice = certificateTypes.some((type) => type !== CertificateType.X509)
  const alert = role === 'server' && wasChoice ? 'unsupported_certificate' : 'handshake_failure'
  return new TlsError('TLS_NO_COMMON_CERTIFICATE_TYPE', message, { alert })
}

function noCommonScheme({ key }: AnyCredential, { schemes }: CredentialWishes): TlsError {
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
