/** How a side proves who it is (RFC 8446 §4.4.2, §4.4.3). */
import { equalBytes } from '../bytes/bytes.ts'
import { compressCertificate, type CertificateCompressor } from './certificate-compression.ts'
import type { ChosenCredential } from './credentials.ts'
import { settled, type Handshake, type HandshakeContext } from './handshake.ts'
import {
  encodeCertificate,
  encodeCertificateVerify,
  type CertificateEntry,
} from './messages/authentication.ts'
import type { StatusRequest } from './messages/certificate-extensions.ts'
import { Extensions } from './messages/extensions.ts'
import type { AnyCredential, Credential, EndpointOptions } from './options.ts'
import { ExtensionType } from './registry.ts'
import { signedContent } from './signed-content.ts'

const NO_CONTEXT = new Uint8Array(0)

/** What the peer asks of our Certificate beside the chain. */
export interface CertificateTerms {
  readonly wantsOcspResponse: boolean
  readonly wantsTimestamps: boolean
  /** Ours among those that the peer takes. */
  readonly compressor: CertificateCompressor | undefined
}

/** Those of a ClientHello or a CertificateRequest. */
interface AskingExtensions {
  has(type: number): boolean
  value(name: 'status_request'): StatusRequest | true | undefined
  value(name: 'compress_certificate'): readonly number[] | undefined
}

/** Reads them from the message in which the peer asks for our Certificate. */
export function certificateTerms(
  { extensions }: { readonly extensions: AskingExtensions },
  { certificateCompression = [] }: EndpointOptions,
): CertificateTerms {
  const status = extensions.value('status_request')
  const algorithms = extensions.value('compress_certificate') ?? []
  return {
    wantsOcspResponse: status === true || status?.statusType === 'ocsp',
    wantsTimestamps: extensions.has(ExtensionType.signed_certificate_timestamp),
    compressor: certificateCompression.find(({ algorithm }) => algorithms.includes(algorithm)),
  }
}

/** Sends what proves us, and the proof of its key. */
export function* authenticateSelf(
  hs: HandshakeContext,
  role: 'client' | 'server',
  { credential, scheme }: ChosenCredential,
  terms: CertificateTerms,
): Handshake<void> {
  const certificate = encodeCertificate({ context: NO_CONTEXT, entries: entriesOf(credential, terms) })
  const { compressor } = terms
  hs.send(compressor === undefined ? certificate : compressedOnce(credential, certificate, compressor))
  const content = signedContent(role, hs.transcript.hash())
  const signature = yield* settled(credential.key.sign(scheme.parameters, content))
  hs.send(encodeCertificateVerify({ scheme: scheme.code, signature }))
}

/** A Certificate message, and what it was compressed to. */
interface Compressed {
  readonly certificate: Uint8Array
  readonly message: Uint8Array
}

/** Compression costs as much as a signature, and its outcome is the same for every peer that asks for the same. */
const COMPRESSED = new WeakMap<CertificateCompressor, WeakMap<AnyCredential, readonly Compressed[]>>()

/** With and without an OCSP response, with and without timestamps. */
const MAX_FORMS = 4

/** Compares the whole message, so that a credential whose staples are replaced in place is compressed anew. */
function compressedOnce(
  credential: AnyCredential,
  certificate: Uint8Array,
  compressor: CertificateCompressor,
): Uint8Array {
  const byCredential = COMPRESSED.get(compressor) ?? new WeakMap<AnyCredential, readonly Compressed[]>()
  COMPRESSED.set(compressor, byCredential)
  const known = byCredential.get(credential) ?? []
  const same = known.find((form) => equalBytes(form.certificate, certificate))
  if (same !== undefined) return same.message
  const message = compressCertificate(certificate, compressor)
  byCredential.set(credential, [{ certificate, message }, ...known.slice(0, MAX_FORMS - 1)])
  return message
}

/** Says that we have nothing to show. */
export function sendEmptyCertificate(hs: HandshakeContext): void {
  hs.send(encodeCertificate({ context: NO_CONTEXT, entries: [] }))
}

function entriesOf(credential: AnyCredential, terms: CertificateTerms): CertificateEntry[] {
  if ('rawPublicKey' in credential)
    return [{ certificate: credential.rawPublicKey, extensions: new Extensions('certificate') }]
  return credential.chain.map(({ der }, index) => ({
    certificate: der,
    extensions: index === 0 ? staples(credential, terms) : new Extensions('certificate'),
  }))
}

function staples(
  { ocspResponse, signedCertificateTimestamps }: Credential,
  { wantsOcspResponse, wantsTimestamps }: CertificateTerms,
): Extensions<'certificate'> {
  const extensions = new Extensions('certificate')
  if (wantsOcspResponse && ocspResponse !== undefined) extensions.add('status_request', ocspResponse)
  if (wantsTimestamps && signedCertificateTimestamps !== undefined)
    extensions.add('signed_certificate_timestamp', signedCertificateTimestamps)
  return extensions
}
