/** A trust bundle as it is published: the SPIFFE standard Trust Domain and Bundle §4, a key set of RFC 7517. */
import { CryptoError } from '../crypto/errors.ts'
import { parseJsonObject } from '../crypto/jose-encoding.ts'
import { encodeJwk, type Jwk } from '../crypto/jwk.ts'
import { type JwsKey, readJwsKey } from '../crypto/jws.ts'
import type { CryptoProvider } from '../crypto/provider.ts'
import { messageOf } from '../errors.ts'
import { type Certificate, parseCertificate } from '../pki/certificate.ts'
import { CertificateError } from '../pki/errors.ts'
import { BundleError } from './errors.ts'
import { type JwtAuthority, type TrustBundle, trustBundle } from './trust-bundle.ts'

/** A bundle, and what its publisher says of it. */
export interface BundleDocument {
  /** Undefined when it is empty: the trust domain vouches for nobody any more (§4.2.3). */
  readonly bundle: TrustBundle | undefined
  /** Grows with every change. @default the publisher does not count */
  readonly sequence: number | undefined
  /** How soon to look again. @default the publisher does not say */
  readonly refreshHintSeconds: number | undefined
}

/** Rotation has a few of each at a time; a document with more is there to make work. */
const MAX_KEYS = 256

const USE = { x509: 'x509-svid', jwt: 'jwt-svid' } as const

/**
 * Reads what a trust domain has published. Keys of unknown use or kind are passed over (§4.2); a key of known use that
 * cannot be read refuses the document as a whole, so that nobody runs on a part of a bundle.
 *
 * @param options.trustDomain whose bundle it must be; the document does not say
 * @throws BundleError BUNDLE_MALFORMED
 */
export function decodeBundleDocument(
  text: string,
  { trustDomain, crypto }: { readonly trustDomain: string; readonly crypto: CryptoProvider },
): BundleDocument {
  try {
    const json = parseJsonObject(text, 'The bundle')
    const { keys, spiffe_sequence: sequence, spiffe_refresh_hint: refreshHint } = json
    if (!Array.isArray(keys)) throw refused('has no list of keys')
    if (keys.length > MAX_KEYS) throw refused(`has ${keys.length} keys, and at most ${MAX_KEYS} are read`)
    const anchors: Certificate[] = []
    const jwtAuthorities: JwtAuthority[] = []
    for (const [place, value] of keys.entries()) {
      const key = readKey(Object(value) as Jwk, place, crypto)
      if (key?.kind === 'x509') anchors.push(key.certificate)
      if (key?.kind === 'jwt') jwtAuthorities.push(key.authority)
    }
    const isEmpty = anchors.length + jwtAuthorities.length === 0
    return {
      bundle: isEmpty ? undefined : trustBundle(trustDomain, anchors, jwtAuthorities),
      sequence: count(sequence, 'spiffe_sequence'),
      refreshHintSeconds: count(refreshHint, 'spiffe_refresh_hint') || undefined,
    }
  } catch (error) {
    if (!(error instanceof CryptoError) && !(error instanceof CertificateError)) throw error
    throw refused(`cannot be read: ${messageOf(error)}`, error)
  }
}

/** Writes a bundle the way {@link decodeBundleDocument} reads it, in two-space JSON. */
export function encodeBundleDocument({ bundle, sequence, refreshHintSeconds }: BundleDocument): string {
  const { anchors = [], jwtAuthorities = [] } = bundle ?? {}
  const document = {
    ...(sequence !== undefined && { spiffe_sequence: sequence }),
    ...(refreshHintSeconds !== undefined && { spiffe_refresh_hint: refreshHintSeconds }),
    keys: [
      ...anchors.map(({ publicKey, der }) =>
        Object.assign({ use: USE.x509 }, encodeJwk(publicKey), { x5c: [der.toBase64()] }),
      ),
      ...encodeJwtKeys(jwtAuthorities, { use: USE.jwt }),
    ],
  }
  return `${JSON.stringify(document, undefined, 2)}\n`
}

/** The keys for JWT-SVIDs alone, as the Workload API gives them (its standard, §6.2.3). */
export function encodeJwtKeySet({ jwtAuthorities }: Pick<TrustBundle, 'jwtAuthorities'>): string {
  return JSON.stringify({ keys: encodeJwtKeys(jwtAuthorities, {}) })
}

function encodeJwtKeys(
  authorities: readonly JwtAuthority[],
  members: Readonly<Record<string, string>>,
): readonly Record<string, string>[] {
  return authorities.map(({ keyId, spki }) => Object.assign({ ...members, kid: keyId }, encodeJwk({ spki })))
}

type ReadKey =
  | { readonly kind: 'x509'; readonly certificate: Certificate }
  | { readonly kind: 'jwt'; readonly authority: JwtAuthority }

function readKey(jwk: Jwk, place: number, crypto: CryptoProvider): ReadKey | undefined {
  if (jwk['use'] === USE.x509) return readAnchor(jwk, place, crypto)
  if (jwk['use'] !== USE.jwt) return undefined
  const key = readJwsKey(jwk, crypto)
  if (key === undefined) return undefined
  return { kind: 'jwt', authority: named(key, place) }
}

/** What is in the certificate counts; the parameters of the key beside it say the same, or are of no interest. */
function readAnchor({ kty, x5c }: Jwk, place: number, crypto: CryptoProvider): ReadKey | undefined {
  if (typeof kty !== 'string') return undefined
  if (!Array.isArray(x5c) || x5c.length !== 1 || typeof x5c[0] !== 'string')
    throw refused(`has no x5c with one certificate in key ${place}`)
  let der: Uint8Array
  try {
    // RFC 7517 §4.7: base64, not base64url.
    der = Uint8Array.fromBase64(x5c[0], { lastChunkHandling: 'strict' })
  } catch (cause) {
    throw refused(`has no base64 in the x5c of key ${place}`, cause)
  }
  const certificate = parseCertificate(der)
  return canVerify(certificate, crypto) ? { kind: 'x509', certificate } : undefined
}

/** An authority with a kind of key that is not known here can vouch for nobody. @throws CryptoError for a broken key */
function canVerify({ publicKey }: Certificate, crypto: CryptoProvider): boolean {
  try {
    crypto.importPublicKey(publicKey.spki)
    return true
  } catch (error) {
    if (error instanceof CryptoError && error.code === 'CRYPTO_UNSUPPORTED') return false
    throw error
  }
}

/** JWT-SVID §5.1: without a name no token could mean it. */
function named({ keyId, key }: JwsKey, place: number): JwtAuthority {
  if (keyId !== undefined && keyId !== '') return { keyId, spki: key.spki }
  throw refused(`has no kid in key ${place}`)
}

function count(value: unknown, member: string): number | undefined {
  if (value === undefined) return undefined
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
  throw refused(`has a ${member} that is no whole number`)
}

function refused(problem: string, cause?: unknown): BundleError {
  return new BundleError('BUNDLE_MALFORMED', `The bundle ${problem}`, { cause })
}
