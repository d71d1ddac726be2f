/** How the peer's proof of who it is is judged (RFC 8446 §4.4.2, §4.4.3). */
import { CryptoError } from '../crypto/errors.ts'
import type { PublicKey } from '../crypto/provider.ts'
import { parseSubjectPublicKey } from '../pki/algorithms.ts'
import { parseCertificate, type Certificate } from '../pki/certificate.ts'
import { CertificateError } from '../pki/errors.ts'
import { publicKeyOf } from '../pki/public-keys.ts'
import type { VerificationContext, VerifiedPeer } from '../pki/verifier.ts'
import { restoreCertificate } from './certificate-compression.ts'
import { TlsError } from './errors.ts'
import { settled, type Handshake, type HandshakeContext } from './handshake.ts'
import { decodeCertificate, decodeCertificateVerify } from './messages/authentication.ts'
import type { Extensions } from './messages/extensions.ts'
import type { HandshakeMessage } from './messages/handshake-message.ts'
import type { EndpointOptions, PeerVerifier } from './options.ts'
import type { Eventually } from './eventually.ts'
import {
  CertificateType,
  ExtensionType,
  HandshakeType,
  nameOf,
  SignatureScheme,
  type SignatureSchemeName,
  type SignatureSchemeParameters,
} from './registry.ts'
import { signedContent } from './signed-content.ts'

/** What the peer has proven. */
export interface AuthenticatedPeer {
  readonly peer: VerifiedPeer
  readonly scheme: SignatureSchemeName
}

export interface PeerExpectation {
  readonly peerRole: 'client' | 'server'
  /** What we have asked of the peer, and the verifier of raw public keys. */
  readonly options: EndpointOptions
  /** Of certificates; absent when only raw public keys are accepted. */
  readonly verifier: PeerVerifier | undefined
  /** The code point that was negotiated. */
  readonly certificateType: number
  /** The schemes that we offered. */
  readonly schemes: readonly SignatureSchemeParameters[]
  readonly serverName: string | undefined
  /** Whether the peer may show nothing. */
  readonly optional: boolean
}

/**
 * Judges the peer's Certificate and awaits its CertificateVerify; undefined when an optional peer shows nothing.
 *
 * @throws TlsError TLS_CERTIFICATE_REQUIRED, TLS_CERTIFICATE_REJECTED, TLS_BAD_SIGNATURE, …
 */
export function* authenticatePeer(
  hs: HandshakeContext,
  message: HandshakeMessage,
  expectation: PeerExpectation,
): Handshake<AuthenticatedPeer | undefined> {
  const shown = readShown(message, expectation)
  if (shown === undefined) return refuseNothing(expectation)
  const peer = yield* verify(shown, verificationContext(hs, expectation, shown))
  const { name, expiresAtMs, path } = peer
  hs.trace({ kind: 'identity', name, expiresAtMs, path, atMs: hs.nowMs })
  const scheme = yield* checkPossession(hs, shown, expectation)
  hs.trace({ kind: 'possession', scheme, atMs: hs.nowMs })
  return { peer, scheme }
}

/** What the peer's Certificate holds: how to judge it, and the key to prove. */
interface Shown {
  readonly spki: Uint8Array
  /** Absent for a raw public key. */
  readonly leaf?: Certificate
  /** Of the leaf. */
  readonly extensions: Extensions<'certificate'>
  verify(context: VerificationContext): Eventually<VerifiedPeer>
}

function readShown(message: HandshakeMessage, expectation: PeerExpectation): Shown | undefined {
  const { options, certificateType } = expectation
  const { body } =
    message.type === HandshakeType.compressed_certificate
      ? restoreCertificate(message, options.certificateCompression ?? [], options.maxMessageBytes)
      : message
  const isRaw = certificateType === CertificateType.RawPublicKey
  const { context, entries } = decodeCertificate(body, {
    field: isRaw ? 'ASN1_subjectPublicKeyInfo' : 'cert_data',
    maxCertificates: options.maxCertificates,
  })
  if (context.length > 0) {
    throw new TlsError('TLS_ILLEGAL_PARAMETER', 'certificate_request_context is not empty in the handshake')
  }
  for (const { extensions } of entries) refuseUnsolicited(extensions, options)
  const [first] = entries
  if (first === undefined) return undefined
  const { extensions } = first
  if (isRaw) {
    const spki = readRawPublicKey(entries.map(({ certificate }) => certificate))
    return { spki, extensions, verify: (context) => options.rawPublicKeyVerifier!.verify(spki, context) }
  }
  const chain = entries.map(({ certificate }) => readCertificate(certificate, options))
  const leaf = chain[0]!
  return {
    spki: leaf.publicKey.spki,
    leaf,
    extensions,
    verify: (context) => expectation.verifier!.verify(chain, context),
  }
}

/** A raw public key in the place of a certificate is not a bad certificate: it is none. */
function readCertificate(der: Uint8Array, { certificates }: EndpointOptions): Certificate {
  try {
    return certificates?.read(der) ?? parseCertificate(der)
  } catch (thrown) {
    if (!isRawPublicKey(der)) throw asRejection(thrown)
    throw new TlsError('TLS_DECODE_ERROR', 'Certificate holds a raw public key, but X.509 was agreed', {
      cause: thrown,
    })
  }
}

function isRawPublicKey(der: Uint8Array): boolean {
  try {
    parseSubjectPublicKey(der)
    return true
  } catch {
    return false
  }
}

/** RFC 8446 §4.4.2: one entry that is a SubjectPublicKeyInfo and nothing else. */
function readRawPublicKey(entries: readonly Uint8Array[]): Uint8Array {
  if (entries.length > 1)
    throw new TlsError(
      'TLS_DECODE_ERROR',
      `Certificate holds ${entries.length} raw public keys, expected one`,
    )
  try {
    return parseSubjectPublicKey(entries[0]!).spki
  } catch (cause) {
    if (!(cause instanceof CertificateError)) throw cause
    throw new TlsError('TLS_DECODE_ERROR', `The raw public key cannot be read: ${cause.message}`, { cause })
  }
}

function refuseUnsolicited(
  extensions: Extensions<'certificate'>,
  { requestOcspResponse = false, requestCertificateTimestamps = false }: EndpointOptions,
): void {
  const asked = new Set<number>()
  if (requestOcspResponse) asked.add(ExtensionType.status_request)
  if (requestCertificateTimestamps) asked.add(ExtensionType.signed_certificate_timestamp)
  const unsolicited = extensions.types.find((type) => !asked.has(type))
  if (unsolicited === undefined) return
  const name = nameOf(ExtensionType, unsolicited)
  throw new TlsError('TLS_UNSOLICITED_EXTENSION', `Certificate carries ${name}, which was not asked for`)
}

function refuseNothing({ peerRole, optional }: PeerExpectation): undefined {
  if (optional) return undefined
  if (peerRole === 'server')
    throw new TlsError('TLS_DECODE_ERROR', 'The server sent an empty Certificate (RFC 8446 §4.4.2.4)')
  throw new TlsError('TLS_CERTIFICATE_REQUIRED', 'The client sent no certificate, and one is required here')
}

function verificationContext(
  hs: HandshakeContext,
  { peerRole, serverName }: PeerExpectation,
  { extensions }: Shown,
): VerificationContext {
  const ocspResponse = extensions.value('status_request')
  const signedCertificateTimestamps = extensions.value('signed_certificate_timestamp')
  return {
    peerRole,
    nowMs: hs.nowMs,
    ...(serverName === undefined ? {} : { serverName }),
    ...(ocspResponse === undefined ? {} : { ocspResponse }),
    ...(signedCertificateTimestamps === undefined ? {} : { signedCertificateTimestamps }),
  }
}

function* verify(shown: Shown, context: VerificationContext): Handshake<VerifiedPeer> {
  try {
    return yield* settled(shown.verify(context))
  } catch (thrown) {
    throw asRejection(thrown)
  }
}

function* checkPossession(
  hs: HandshakeContext,
  shown: Shown,
  { peerRole, schemes }: PeerExpectation,
): Handshake<SignatureSchemeName> {
  const transcriptHash = hs.transcript.hash()
  const { scheme: code, signature } = decodeCertificateVerify(
    (yield* hs.expect(HandshakeType.certificate_verify)).body,
  )
  const scheme = schemes.find((offered) => offered.code === code)
  if (scheme === undefined) {
    throw new TlsError(
      'TLS_ILLEGAL_PARAMETER',
      `CertificateVerify uses ${nameOf(SignatureScheme, code)}, which was not offered`,
    )
  }
  const key = importKey(hs, shown)
  if (key.kind !== scheme.keyKind) {
    throw new TlsError(
      'TLS_ILLEGAL_PARAMETER',
      `CertificateVerify uses ${scheme.name} with a certificate whose key is ${key.kind}`,
    )
  }
  if (!key.verify(scheme.parameters, signedContent(peerRole, transcriptHash), signature)) {
    throw new TlsError(
      'TLS_BAD_SIGNATURE',
      `The ${peerRole}'s CertificateVerify (${scheme.name}) does not match its certificate`,
    )
  }
  return scheme.name
}

/** The peer's key, if its leaf may sign with it (RFC 8446 §4.4.2.2) and we can verify with it. */
function importKey({ crypto }: HandshakeContext, { leaf, spki }: Shown): PublicKey {
  if (leaf?.keyUsage !== undefined && !leaf.keyUsage.usages.includes('digitalSignature')) {
    const cause = new CertificateError(
      'PKI_KEY_USAGE',
      "The key usage of the peer's certificate does not include digitalSignature",
      { certificate: leaf },
    )
    throw asRejection(cause)
  }
  try {
    return leaf === undefined ? crypto.importPublicKey(spki) : publicKeyOf(leaf, crypto)
  } catch (cause) {
    if (!(cause instanceof CryptoError)) throw cause
    throw new TlsError(
      'TLS_CERTIFICATE_REJECTED',
      `The key of the certificate cannot be used: ${cause.message}`,
      { cause },
    )
  }
}

function asRejection(thrown: unknown): unknown {
  return thrown instanceof CertificateError
    ? new TlsError('TLS_CERTIFICATE_REJECTED', thrown.message, { cause: thrown })
    : thrown
}
