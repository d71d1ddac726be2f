/** How either side proves who it is, and checks the other (RFC 8446 §4.4). */
import { equalBytes, utf8 } from '../bytes/bytes.ts'
import { Writer } from '../bytes/writer.ts'
import { CryptoError } from '../crypto/errors.ts'
import type { PublicKey } from '../crypto/provider.ts'
import { CertificateError } from '../pki/errors.ts'
import { parseCertificate, type Certificate } from '../pki/certificate.ts'
import type { CertificateVerifier, VerificationContext, VerifiedPeer } from '../pki/verifier.ts'
import type { ChosenCredential } from './credentials.ts'
import { TlsError } from './errors.ts'
import { ask, type Handshake, type HandshakeContext } from './handshake.ts'
import { finishedMac } from './key-schedule.ts'
import {
  decodeCertificate,
  decodeCertificateVerify,
  encodeCertificate,
  encodeCertificateVerify,
  type CertificateEntry,
  type CertificateMessage,
} from './messages/authentication.ts'
import { Extensions } from './messages/extensions.ts'
import { encodeMessage, type HandshakeMessage } from './messages/handshake-message.ts'
import {
  ExtensionType,
  HandshakeType,
  nameOf,
  SignatureScheme,
  type CipherSuiteParameters,
  type SignatureSchemeName,
  type SignatureSchemeParameters,
} from './registry.ts'

type Role = 'client' | 'server'

const NO_CONTEXT = new Uint8Array(0)

/** What the peer has proven. */
export interface AuthenticatedPeer {
  readonly peer: VerifiedPeer
  readonly scheme: SignatureSchemeName
}

export interface PeerExpectation {
  readonly peerRole: Role
  readonly verifier: CertificateVerifier
  /** The schemes that we offered. */
  readonly schemes: readonly SignatureSchemeParameters[]
  readonly serverName: string | undefined
  /** Whether the peer may show nothing. */
  readonly optional: boolean
  /** The extensions that we asked for; the peer may answer them beside its certificates. */
  readonly requestedExtensions: ReadonlySet<number>
}

/**
 * Judges the peer's Certificate and awaits its CertificateVerify; undefined when an optional peer shows nothing.
 *
 * @throws TlsError TLS_CERTIFICATE_REQUIRED, TLS_CERTIFICATE_REJECTED, TLS_BAD_SIGNATURE, …
 */
export function* authenticatePeer(
  hs: HandshakeContext,
  certificate: HandshakeMessage,
  expectation: PeerExpectation,
): Handshake<AuthenticatedPeer | undefined> {
  const { peerRole, verifier, serverName } = expectation
  const message = decodeCertificate(certificate.body)
  const chain = readChain(message, expectation.requestedExtensions)
  if (chain.length === 0) return refuseEmptyChain(expectation)
  const context = {
    peerRole,
    nowMs: hs.nowMs,
    ...(serverName === undefined ? {} : { serverName }),
    ...evidenceOf(message.entries[0]!),
  }
  const peer = yield* verify(verifier, chain, context)
  const { name, expiresAtMs, path } = peer
  hs.trace({ kind: 'identity', name, expiresAtMs, path, atMs: hs.nowMs })
  const scheme = yield* checkPossession(hs, chain[0]!, expectation)
  hs.trace({ kind: 'possession', scheme, atMs: hs.nowMs })
  return { peer, scheme }
}

function refuseEmptyChain({ peerRole, optional }: PeerExpectation): undefined {
  if (optional) return undefined
  if (peerRole === 'server')
    throw new TlsError('TLS_DECODE_ERROR', 'The server sent an empty Certificate (RFC 8446 §4.4.2.4)')
  throw new TlsError('TLS_CERTIFICATE_REQUIRED', 'The client sent no certificate, and one is required here')
}

/** What the leaf brings along; only its own extensions count (RFC 8446 §4.4.2.1). */
function evidenceOf({
  extensions,
}: CertificateEntry): Pick<VerificationContext, 'ocspResponse' | 'signedCertificateTimestamps'> {
  const ocspResponse = extensions.value('status_request')
  const signedCertificateTimestamps = extensions.value('signed_certificate_timestamp')
  return {
    ...(ocspResponse === undefined ? {} : { ocspResponse }),
    ...(signedCertificateTimestamps === undefined ? {} : { signedCertificateTimestamps }),
  }
}

function readChain({ context, entries }: CertificateMessage, requested: ReadonlySet<number>): Certificate[] {
  if (context.length > 0) {
    throw new TlsError('TLS_ILLEGAL_PARAMETER', 'certificate_request_context is not empty in the handshake')
  }
  return entries.map(({ certificate, extensions }) => {
    const unsolicited = extensions.types.find((type) => !requested.has(type))
    if (unsolicited !== undefined) {
      const name = nameOf(ExtensionType, unsolicited)
      throw new TlsError('TLS_UNSOLICITED_EXTENSION', `Certificate carries ${name}, which was not asked for`)
    }
    return rejectingCertificateErrors(() => parseCertificate(certificate))
  })
}

function* verify(
  verifier: CertificateVerifier,
  chain: readonly Certificate[],
  context: VerificationContext,
): Handshake<VerifiedPeer> {
  try {
    return yield* ask({ kind: 'verification', verifier, chain, context })
  } catch (thrown) {
    throw asRejection(thrown)
  }
}

function* checkPossession(
  hs: HandshakeContext,
  leaf: Certificate,
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
  const key = importLeafKey(hs, leaf)
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

/** The leaf's key, if the leaf may sign with it (RFC 8446 §4.4.2.2) and we can verify with it. */
function importLeafKey({ crypto }: HandshakeContext, leaf: Certificate): PublicKey {
  if (leaf.keyUsage !== undefined && !leaf.keyUsage.usages.includes('digitalSignature')) {
    const cause = new CertificateError(
      'PKI_KEY_USAGE',
      "The key usage of the peer's certificate does not include digitalSignature",
      { certificate: leaf },
    )
    throw asRejection(cause)
  }
  try {
    return crypto.importPublicKey(leaf.publicKey.spki)
  } catch (cause) {
    if (!(cause instanceof CryptoError)) throw cause
    throw new TlsError(
      'TLS_CERTIFICATE_REJECTED',
      `The key of the certificate cannot be used: ${cause.message}`,
      { cause },
    )
  }
}

/** How we prove ourselves. */
interface OwnProof extends ChosenCredential {
  /** What stands beside our leaf. */
  readonly evidence?: Extensions<'certificate'>
}

/** Sends our chain and the proof of its key. */
export function* authenticateSelf(
  hs: HandshakeContext,
  role: Role,
  { credential, scheme, evidence }: OwnProof,
): Handshake<void> {
  sendCertificate(hs, credential.chain, evidence)
  const content = signedContent(role, hs.transcript.hash())
  const signature = yield* ask({
    kind: 'signature',
    key: credential.key,
    parameters: scheme.parameters,
    content,
  })
  hs.send(encodeCertificateVerify({ scheme: scheme.code, signature }))
}

/** Sends a chain; an empty one says that we have nothing to show. */
export function sendCertificate(
  hs: HandshakeContext,
  chain: readonly Certificate[],
  evidence: Extensions<'certificate'> = new Extensions('certificate'),
): void {
  const none = new Extensions('certificate')
  const entries = chain.map(({ der }, i) => ({ certificate: der, extensions: i === 0 ? evidence : none }))
  hs.send(encodeCertificate({ context: NO_CONTEXT, entries }))
}

/** Awaits the peer's Finished. @throws TlsError TLS_BAD_FINISHED */
export function* expectFinished(
  hs: HandshakeContext,
  suite: CipherSuiteParameters,
  peerSecret: Uint8Array,
): Handshake<void> {
  const expected = finishedMac(hs.crypto, suite.hash, peerSecret, hs.transcript.hash())
  const { body } = yield* hs.expect(HandshakeType.finished)
  if (!equalBytes(body, expected)) {
    throw new TlsError(
      'TLS_BAD_FINISHED',
      "The peer's Finished does not match the messages we saw: they were altered on the way",
    )
  }
  hs.trace({ kind: 'transcript', atMs: hs.nowMs })
}

export function sendFinished(
  hs: HandshakeContext,
  suite: CipherSuiteParameters,
  ownSecret: Uint8Array,
): void {
  const mac = finishedMac(hs.crypto, suite.hash, ownSecret, hs.transcript.hash())
  hs.send(encodeMessage(HandshakeType.finished, (body) => body.bytes(mac)))
}

/** What CertificateVerify signs (RFC 8446 §4.4.3). */
function signedContent(signer: Role, transcriptHash: Uint8Array): Uint8Array {
  return new Writer()
    .bytes(new Uint8Array(64).fill(0x20))
    .bytes(utf8(`TLS 1.3, ${signer} CertificateVerify`))
    .uint8(0)
    .bytes(transcriptHash)
    .finish()
}

function rejectingCertificateErrors<Result>(read: () => Result): Result {
  try {
    return read()
  } catch (thrown) {
    throw asRejection(thrown)
  }
}

function asRejection(thrown: unknown): unknown {
  return thrown instanceof CertificateError
    ? new TlsError('TLS_CERTIFICATE_REJECTED', thrown.message, { cause: thrown })
    : thrown
}
