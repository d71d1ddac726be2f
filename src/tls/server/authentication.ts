/** Who we are to a client, and who it is: the server's side of RFC 8446 §4.3.2 and §4.4. */
import { certificateMessages } from '../certificate-compression.ts'
import { authenticatePeer, type AuthenticatedPeer } from '../authenticate-peer.ts'
import { chooseClientType, typesOfClients, X509_ONLY } from '../certificate-types.ts'
import { credentialsFor, suitableCredential, type ChosenCredential } from '../credentials.ts'
import { TlsError } from '../errors.ts'
import { settled, type Handshake, type HandshakeContext } from '../handshake.ts'
import { encodeCertificateRequest } from '../messages/authentication.ts'
import type { ClientHello } from '../messages/client-hello.ts'
import { Extensions } from '../messages/extensions.ts'
import type { ServerOptions } from '../options.ts'
import type { NegotiationPolicy } from '../policy.ts'
import { CertificateType, type CertificateTypeName } from '../registry.ts'
import type { ServerTicketState } from '../session/resumption.ts'

/** How both sides prove themselves in a full handshake. */
export interface Proofs {
  readonly own: ChosenCredential
  /** What the client's Certificate is to be; undefined when it is not asked for one. */
  readonly clientType: number | undefined
}

/**
 * Chooses what to show the client, and what it is to show.
 *
 * @throws TlsError TLS_MISSING_EXTENSION, TLS_UNRECOGNIZED_NAME, TLS_NO_COMMON_SIGNATURE_SCHEME,
 * TLS_NO_COMMON_CERTIFICATE_TYPE
 */
export function* chooseProofs(hello: ClientHello, options: ServerOptions): Handshake<Proofs> {
  const own = yield* chooseOwn(hello, options)
  const accepted = typesOfClients(options)
  const offered = hello.extensions.value('client_certificate_type') ?? X509_ONLY
  return { own, clientType: accepted.length === 0 ? undefined : chooseClientType(accepted, offered) }
}

function* chooseOwn({ extensions }: ClientHello, options: ServerOptions): Handshake<ChosenCredential> {
  const serverName = extensions.value('server_name')
  const schemes = extensions.value('signature_algorithms')
  if (schemes === undefined) {
    throw new TlsError('TLS_MISSING_EXTENSION', 'The client sent no signature_algorithms (RFC 8446 §9.2)')
  }
  const wishes = {
    serverName,
    schemes,
    certificateSchemes: extensions.value('signature_algorithms_cert') ?? schemes,
    certificateAuthorities: extensions.value('certificate_authorities') ?? [],
    certificateTypes: extensions.value('server_certificate_type') ?? X509_ONLY,
  }
  const candidates = yield* settled(credentialsFor(options.credential, wishes))
  if (candidates !== undefined) return suitableCredential(candidates, wishes, 'server')
  const asked = serverName === undefined ? 'a client that names no server' : `the name "${serverName}"`
  throw new TlsError('TLS_UNRECOGNIZED_NAME', `There is no certificate for ${asked}`)
}

/** How we prove ourselves, or did in the handshake that is gone on from; undefined where a key alone connects. */
export function typeShown(
  proofs: Proofs | undefined,
  state: Pick<ServerTicketState, 'serverCertificateType' | 'externalPsk'> | undefined,
): CertificateTypeName | undefined {
  if (proofs === undefined)
    return state === undefined || state.externalPsk !== undefined
      ? undefined
      : (state.serverCertificateType ?? 'X509')
  return 'rawPublicKey' in proofs.own.credential ? 'RawPublicKey' : 'X509'
}

/**
 * Tells the client in EncryptedExtensions which types were chosen, where it offered a choice (RFC 7250 §4.2). A client
 * that resumes hears of ours again: silence would mean X.509.
 */
export function addChosenTypes(
  extensions: Extensions<'encrypted_extensions'>,
  hello: ClientHello,
  {
    serverCertificateType,
    clientType,
  }: {
    readonly serverCertificateType: CertificateTypeName | undefined
    readonly clientType: number | undefined
  },
): void {
  if (serverCertificateType !== undefined && hello.extensions.value('server_certificate_type') !== undefined)
    extensions.add('server_certificate_type', CertificateType[serverCertificateType])
  if (clientType !== undefined && hello.extensions.value('client_certificate_type') !== undefined)
    extensions.add('client_certificate_type', clientType)
}

/** Asks the client who it is. */
export function sendCertificateRequest(
  hs: HandshakeContext,
  { schemes }: NegotiationPolicy,
  options: ServerOptions,
): void {
  const {
    clientVerifier,
    certificateCompression = [],
    requestOcspResponse,
    requestCertificateTimestamps,
  } = options
  const authorities = clientVerifier?.authorities ?? []
  const extensions = new Extensions('certificate_request').add(
    'signature_algorithms',
    schemes.map(({ code }) => code),
  )
  if (authorities.length > 0) extensions.add('certificate_authorities', authorities)
  if (requestOcspResponse === true) extensions.add('status_request', true)
  if (requestCertificateTimestamps === true) extensions.add('signed_certificate_timestamp', true)
  if (certificateCompression.length > 0) {
    extensions.add(
      'compress_certificate',
      certificateCompression.map(({ algorithm }) => algorithm),
    )
  }
  hs.send(encodeCertificateRequest({ context: new Uint8Array(0), extensions }))
}

/** Judges the client's answer; undefined when it may be anonymous, and is. */
export function* authenticateClient(
  hs: HandshakeContext,
  { schemes }: NegotiationPolicy,
  options: ServerOptions,
  certificateType: number,
): Handshake<AuthenticatedPeer | undefined> {
  return yield* authenticatePeer(
    hs,
    yield* hs.expect(...certificateMessages(options.certificateCompression)),
    {
      peerRole: 'client',
      options,
      verifier: options.clientVerifier,
      certificateType,
      schemes,
      serverName: undefined,
      optional: options.allowAnonymousClient ?? false,
    },
  )
}
