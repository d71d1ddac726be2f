/** What makes a certificate an X509-SVID (the SPIFFE standard X509-SVID, §2 to §5). */
import type { PrivateKey } from '../crypto/provider.ts'
import type { Certificate } from '../pki/certificate.ts'
import { certificateLabel, listText } from '../pki/label.ts'
import { checkKeyMatch } from '../pki/private-key.ts'
import { IdentityError } from './errors.ts'
import type { IdentityErrorCode } from './errors.ts'
import { SpiffeId } from './spiffe-id.ts'

/** An identity document with its key; a TLS credential. */
export interface X509Svid {
  readonly id: SpiffeId
  /** Leaf first, without the anchor. */
  readonly chain: readonly Certificate[]
  readonly key: PrivateKey
  /** The earliest notAfter of the chain, in milliseconds since the Unix epoch. */
  readonly expiresAtMs: number
}

/**
 * Puts a chain and its key together. Who signed it and when it is valid is for `svidVerifier` to say.
 *
 * @param chain leaf first; not empty
 * @throws IdentityError when the leaf is not an X509-SVID
 * @throws CertificateError PKI_KEY_MISMATCH
 */
export function parseX509Svid(chain: readonly Certificate[], key: PrivateKey): X509Svid {
  const [leaf] = chain
  if (leaf === undefined) throw new TypeError('A chain has at least its leaf')
  const id = svidIdentity(leaf)
  checkKeyMatch(leaf, key)
  return { id, chain, key, expiresAtMs: Math.min(...chain.map(({ notAfterMs }) => notAfterMs)) }
}

/**
 * The SPIFFE ID that a leaf claims; nothing is verified but that it is in the form of an X509-SVID.
 *
 * @throws IdentityError
 */
export function svidIdentity(leaf: Certificate): SpiffeId {
  const known = identities.get(leaf)
  if (known !== undefined) return known
  const id = claimedIdentity(leaf)
  identities.set(leaf, id)
  return id
}

/** Those of certificates that are in use, which do not change: peers are judged again and again. */
const identities = new WeakMap<Certificate, SpiffeId>()

function claimedIdentity(leaf: Certificate): SpiffeId {
  const { uris } = leaf.subjectAltNames
  const [uri] = uris
  if (uri === undefined) throw refused('IDENTITY_MISSING', leaf, 'has no URI, hence no SPIFFE ID')
  if (uris.length > 1)
    throw refused(
      'IDENTITY_AMBIGUOUS',
      leaf,
      `has ${uris.length} URIs, expected its SPIFFE ID alone: ${listText(uris)}`,
    )
  const id = parseId(uri, leaf)
  if (id.isTrustDomain)
    throw refused(
      'IDENTITY_NOT_A_WORKLOAD',
      leaf,
      'names a trust domain, and only its authorities bear that name',
    )
  const usages = leaf.keyUsage?.usages ?? []
  if (leaf.basicConstraints?.ca === true)
    throw refused('IDENTITY_SIGNING_LEAF', leaf, 'is a certificate authority, so it must not authenticate')
  const signing = usages.find((usage) => usage === 'keyCertSign' || usage === 'cRLSign')
  if (signing !== undefined)
    throw refused('IDENTITY_SIGNING_LEAF', leaf, `has the keyUsage ${signing}, so it must not authenticate`)
  return id
}

function parseId(uri: string, certificate: Certificate): SpiffeId {
  try {
    return SpiffeId.parse(uri)
  } catch (cause) {
    if (!(cause instanceof IdentityError)) throw cause
    throw new IdentityError(cause.code, `${cause.message}; it is the URI of a certificate`, {
      certificate,
      cause,
    })
  }
}

function refused(code: IdentityErrorCode, certificate: Certificate, problem: string): IdentityError {
  return new IdentityError(code, `The certificate ${certificateLabel(certificate)} ${problem}`, {
    certificate,
  })
}
