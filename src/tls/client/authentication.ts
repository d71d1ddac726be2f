/** Who the server is, and who we are to it: the client's side of RFC 8446 §4.3.2 and §4.4. */
import { certificateMessages } from '../certificate-compression.ts'
import { authenticatePeer, type AuthenticatedPeer, type PeerExpectation } from '../authenticate-peer.ts'
import { authenticateSelf, certificateTerms, sendEmptyCertificate } from '../authenticate-self.ts'
import { checkSelectedType, ownTypes, typesOfServers, X509_ONLY } from '../certificate-types.ts'
import { credentialsFor, suitableCredential } from '../credentials.ts'
import { TlsError } from '../errors.ts'
import { settled, type Handshake, type HandshakeContext } from '../handshake.ts'
import { decodeCertificateRequest, type CertificateRequest } from '../messages/authentication.ts'
import type { HandshakeMessage } from '../messages/handshake-message.ts'
import type { AnyCredential, ClientOptions } from '../options.ts'
import { HandshakeType } from '../registry.ts'
import type { Offer } from './offer.ts'

/** What EncryptedExtensions selected; for our Certificate undefined when the server said nothing. */
export interface SelectedTypes {
  readonly server: number | undefined
  readonly client: number | undefined
}

interface Negotiated {
  readonly options: ClientOptions
  readonly selected: SelectedTypes
}

interface ServerAuthentication {
  readonly server: AuthenticatedPeer
  /** Set when the server wants to know us in turn; the answer waits for its Finished. */
  readonly request: CertificateRequest | undefined
}

/** Judges the server, and notes whether it wants to know us. @throws TlsError */
export function* authenticateServer(
  hs: HandshakeContext,
  offer: Offer,
  { options, selected }: Negotiated,
): Handshake<ServerAuthentication> {
  const certificateType = checkSelectedType(selected.server, typesOfServers(options), 'server')
  // What the server explicitly selects for us must hold; what it leaves unsaid matters only if it asks.
  if (selected.client !== undefined) checkSelectedType(selected.client, ownTypes(options), 'client')
  const certificates = certificateMessages(options.certificateCompression)
  let message = yield* hs.expect(HandshakeType.certificate_request, ...certificates)
  let request: CertificateRequest | undefined
  if (message.type === HandshakeType.certificate_request) {
    request = readCertificateRequest(message)
    if (selected.client === undefined) checkDefaultType(options)
    message = yield* hs.expect(...certificates)
  }
  const server = yield* authenticatePeer(hs, message, {
    peerRole: 'server',
    options,
    ...expectedServer(offer, options),
    certificateType,
    schemes: offer.policy.schemes,
    optional: false,
  })
  // A peer that is not optional is authenticated or refused.
  return { server: server!, request }
}

/** Whoever rejects our encrypted hello proves the public name, and thereby that it may (RFC 9849 §6.1.7). */
function expectedServer(
  { ech }: Offer,
  { verifier, serverName, ech: options }: ClientOptions,
): Pick<PeerExpectation, 'verifier' | 'serverName'> {
  if (ech?.status !== 'rejected') return { verifier, serverName }
  return { verifier: options?.publicNameVerifier ?? verifier, serverName: ech.config.publicName }
}

/** RFC 7250 §4.2: a server that says nothing asks for X.509. */
function checkDefaultType(options: ClientOptions): void {
  checkSelectedType(undefined, ownTypes(options), 'client')
}

function readCertificateRequest({ body }: HandshakeMessage): CertificateRequest {
  const request = decodeCertificateRequest(body)
  if (request.context.length > 0) {
    throw new TlsError('TLS_ILLEGAL_PARAMETER', 'CertificateRequest has a context in the handshake')
  }
  if (request.extensions.value('signature_algorithms') === undefined) {
    throw new TlsError('TLS_MISSING_EXTENSION', 'CertificateRequest carries no signature_algorithms')
  }
  return request
}

/** Shows what suits the server, or nothing if we have nothing: then the server decides (RFC 8446 §4.4.2.4). */
export function* answerCertificateRequest(
  hs: HandshakeContext,
  request: CertificateRequest,
  { own, options, selected }: Negotiated & { readonly own: ClientOptions['credential'] },
): Handshake<AnyCredential | undefined> {
  const { extensions } = request
  const schemes = extensions.value('signature_algorithms') ?? []
  const wishes = {
    serverName: undefined,
    schemes,
    certificateSchemes: extensions.value('signature_algorithms_cert') ?? schemes,
    certificateAuthorities: extensions.value('certificate_authorities') ?? [],
    certificateTypes: selected.client === undefined ? X509_ONLY : [selected.client],
  }
  const candidates = yield* settled(credentialsFor(own, wishes))
  if (candidates === undefined) {
    sendEmptyCertificate(hs)
    return undefined
  }
  const chosen = suitableCredential(candidates, wishes, 'client')
  yield* authenticateSelf(hs, 'client', chosen, certificateTerms(request, options))
  return chosen.credential
}
