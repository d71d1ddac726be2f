import { equalBytes } from '../bytes/bytes.ts'
import type { GroupName, PendingKeyAgreement } from '../crypto/provider.ts'
import {
  authenticatePeer,
  authenticateSelf,
  expectFinished,
  schemeFor,
  sendCertificate,
  sendFinished,
  type AuthenticatedPeer,
} from './authenticate.ts'
import { TlsError } from './errors.ts'
import type { Established, Handshake, HandshakeContext } from './handshake.ts'
import { exportKeyingMaterial } from './key-schedule.ts'
import { decodeCertificateRequest, type CertificateRequest } from './messages/authentication.ts'
import {
  decodeClientHello,
  encodeClientHello,
  RANDOM_BYTES,
  type ClientHello,
} from './messages/client-hello.ts'
import { decodeEncryptedExtensions } from './messages/encrypted-extensions.ts'
import { Extensions } from './messages/extensions.ts'
import type { HandshakeMessage } from './messages/handshake-message.ts'
import {
  decodeServerHello,
  selectedVersion,
  type HelloRetryRequest,
  type ServerHello,
} from './messages/server-hello.ts'
import type { ClientOptions, Credential } from './options.ts'
import { beginApplicationPhase, beginHandshakePhase, endHandshakePhase } from './phases.ts'
import { groupCodes, groupOf, negotiationPolicy, type NegotiationPolicy } from './policy.ts'
import {
  ExtensionType,
  HandshakeType,
  NamedGroup,
  nameOf,
  ProtocolVersion,
  type CipherSuiteParameters,
} from './registry.ts'

/** The end of ServerHello.random when a TLS 1.3 server was talked into TLS 1.2 (RFC 8446 §4.1.3). */
const DOWNGRADE_SENTINEL = Uint8Array.fromHex('444f574e475244')

/** RFC 8449 §4. */
const MIN_RECORD_SIZE_LIMIT = 64

/** What we have said, and the secrets behind it. */
interface Offer {
  readonly policy: NegotiationPolicy
  /** As it went out. */
  readonly hello: ClientHello
  readonly keyAgreements: readonly PendingKeyAgreement[]
}

/** The client's side of RFC 8446 §2, from ClientHello to Finished. */
export function* clientHandshake(hs: HandshakeContext, options: ClientOptions): Handshake<Established> {
  let offer = sendClientHello(hs, options)
  let answer = yield* receiveServerHello(hs, offer)
  if (answer.hello.kind === 'hello_retry_request') {
    offer = sendSecondClientHello(hs, offer, answer.hello, answer.message)
    answer = yield* receiveServerHello(hs, offer, answer.hello)
  }
  const { suite, group, sharedSecret } = agree(hs, offer, answer)
  const { random, sessionId } = offer.hello
  const handshake = beginHandshakePhase(hs, suite, random, sharedSecret)
  hs.protectReading(suite, handshake.secrets.server, 'handshake')
  if (sessionId.length > 0) hs.sendChangeCipherSpec()
  hs.protectWriting(suite, handshake.secrets.client, 'handshake')

  const alpn = yield* receiveEncryptedExtensions(hs, offer)
  const { server, request } = yield* authenticateServer(hs, offer, options)
  yield* expectFinished(hs, suite, handshake.secrets.server)

  const { secrets, exporterSecret } = beginApplicationPhase(hs, handshake.stage, random)
  hs.protectReading(suite, secrets.server, 'application')
  const credential =
    request === undefined ? undefined : yield* answerCertificateRequest(hs, request, offer.policy, options)
  sendFinished(hs, suite, handshake.secrets.client)
  hs.protectWriting(suite, secrets.client, 'application')
  endHandshakePhase(handshake)

  return {
    suite,
    exporterSecret,
    readSecret: secrets.server,
    writeSecret: secrets.client,
    session: {
      role: 'client',
      version: 'TLS 1.3',
      cipherSuite: suite.name,
      group,
      peer: server.peer,
      peerSignatureScheme: server.scheme,
      ...(alpn === undefined ? {} : { alpn }),
      ...(options.serverName === undefined ? {} : { serverName: options.serverName }),
      ...(credential === undefined ? {} : { credential }),
      exportKeyingMaterial: (label, context, length) =>
        exportKeyingMaterial(hs.crypto, suite.hash, exporterSecret, { label, context, length }),
    },
  }
}

function sendClientHello(hs: HandshakeContext, options: ClientOptions): Offer {
  const policy = negotiationPolicy(options)
  const keyAgreements = offeredShares(policy.groups).map((group) => hs.crypto.beginKeyAgreement(group))
  const extensions = new Extensions('client_hello')
  if (options.serverName !== undefined) extensions.add('server_name', options.serverName)
  extensions.add('supported_groups', groupCodes(policy.groups))
  extensions.add(
    'signature_algorithms',
    policy.schemes.map(({ code }) => code),
  )
  if (policy.alpn.length > 0) extensions.add('application_layer_protocol_negotiation', policy.alpn)
  extensions.add('supported_versions', [ProtocolVersion.tls13])
  extensions.add(
    'key_share',
    keyAgreements.map(({ group, share }) => ({ group: NamedGroup[group], share })),
  )
  const sent = hs.send(
    encodeClientHello({
      legacyVersion: ProtocolVersion.tls12,
      random: hs.crypto.random(RANDOM_BYTES),
      // A non-empty session id asks for the compatibility mode of RFC 8446 appendix D.4.
      sessionId: hs.crypto.random(32),
      cipherSuites: policy.suites.map(({ code }) => code),
      compressionMethods: Uint8Array.of(0),
      extensions,
    }),
  )
  return { policy, keyAgreements, hello: decodeClientHello(sent.body) }
}

/** A share for the preferred group, and with a hybrid one for the preferred classical group: that costs 32 bytes and saves a round trip. */
function offeredShares(groups: readonly GroupName[]): GroupName[] {
  const [preferred] = groups
  if (preferred !== 'X25519MLKEM768') return [preferred!]
  const classical = groups.find((group) => group !== preferred)
  return classical === undefined ? [preferred] : [preferred, classical]
}

/** Everything again, but with the share that the server asked for and its cookie (RFC 8446 §4.1.2). */
function sendSecondClientHello(
  hs: HandshakeContext,
  first: Offer,
  retry: HelloRetryRequest,
  message: HandshakeMessage,
): Offer {
  const { policy } = first
  const suite = chosenSuite(first, retry.cipherSuite)
  hs.transcript.collapse(suite.hash)
  hs.transcript.add(message.bytes)
  const keyAgreements = retriedShares(hs, first, retry.extensions.value('key_share'))
  const extensions = Extensions.from(first.hello.extensions).add(
    'key_share',
    keyAgreements.map(({ group, share }) => ({ group: NamedGroup[group], share })),
  )
  const cookie = retry.extensions.value('cookie')
  if (cookie !== undefined) extensions.add('cookie', cookie)
  if (first.hello.sessionId.length > 0) hs.sendChangeCipherSpec()
  const sent = hs.send(encodeClientHello({ ...first.hello, extensions }))
  return { policy, keyAgreements, hello: decodeClientHello(sent.body) }
}

function retriedShares(
  hs: HandshakeContext,
  first: Offer,
  code: number | undefined,
): readonly PendingKeyAgreement[] {
  if (code === undefined) return first.keyAgreements
  const group = groupOf(code, first.policy.groups)
  if (group === undefined || first.keyAgreements.some((pending) => pending.group === group)) {
    throw new TlsError(
      'TLS_ILLEGAL_PARAMETER',
      `HelloRetryRequest asks for ${nameOf(NamedGroup, code)}, which was ${group === undefined ? 'not offered' : 'already shared'}`,
    )
  }
  return [hs.crypto.beginKeyAgreement(group)]
}

interface ServerAnswer {
  readonly hello: ServerHello | HelloRetryRequest
  readonly message: HandshakeMessage
}

/** Awaits the server's answer and holds it against our offer. A HelloRetryRequest may come only once. */
function* receiveServerHello(
  hs: HandshakeContext,
  offer: Offer,
  retry?: HelloRetryRequest,
): Handshake<ServerAnswer> {
  const message = yield* hs.receive(HandshakeType.server_hello)
  const hello = decodeServerHello(message.body)
  checkVersion(hello)
  if (!equalBytes(hello.sessionId, offer.hello.sessionId)) {
    throw new TlsError('TLS_ILLEGAL_PARAMETER', 'The server did not echo our legacy_session_id')
  }
  if (hello.compressionMethod !== 0) {
    throw new TlsError(
      'TLS_ILLEGAL_PARAMETER',
      `The server chose compression method ${hello.compressionMethod}, expected 0`,
    )
  }
  const suite = chosenSuite(offer, hello.cipherSuite)
  if (hello.kind === 'hello_retry_request') {
    if (retry !== undefined) throw new TlsError('TLS_UNEXPECTED_MESSAGE', 'A second HelloRetryRequest came')
    refuseUnsolicited(
      hello.extensions.types.filter((type) => type !== ExtensionType.cookie),
      offer.hello,
      'HelloRetryRequest',
    )
    if (!hello.extensions.has(ExtensionType.key_share) && !hello.extensions.has(ExtensionType.cookie)) {
      throw new TlsError('TLS_ILLEGAL_PARAMETER', 'HelloRetryRequest would change nothing in our ClientHello')
    }
    return { hello, message }
  }
  refuseUnsolicited(hello.extensions.types, offer.hello, 'ServerHello')
  if (retry !== undefined && retry.cipherSuite !== hello.cipherSuite) {
    throw new TlsError(
      'TLS_ILLEGAL_PARAMETER',
      'ServerHello changes the cipher suite that HelloRetryRequest chose',
    )
  }
  hs.transcript.begin(suite.hash)
  hs.transcript.add(message.bytes)
  return { hello, message }
}

function checkVersion(hello: ServerHello | HelloRetryRequest): void {
  const version = selectedVersion(hello)
  if (version === ProtocolVersion.tls13 && hello.legacyVersion === ProtocolVersion.tls12) return
  if (version === undefined) {
    if (equalBytes(hello.random.subarray(24, 31), DOWNGRADE_SENTINEL)) {
      throw new TlsError(
        'TLS_DOWNGRADE',
        'A server that speaks TLS 1.3 was steered to an older version by somebody on the way',
      )
    }
    const chosen = hello.legacyVersion.toString(16)
    throw new TlsError(
      'TLS_NO_COMMON_VERSION',
      `The server chose version 0x${chosen}, but only TLS 1.3 is spoken here`,
    )
  }
  throw new TlsError(
    'TLS_ILLEGAL_PARAMETER',
    `The server selected version 0x${version.toString(16)}, expected 0x304 under legacy version 0x303`,
  )
}

function chosenSuite(offer: Offer, code: number): CipherSuiteParameters {
  const suite = offer.policy.suites.find((candidate) => candidate.code === code)
  if (suite !== undefined) return suite
  throw new TlsError(
    'TLS_ILLEGAL_PARAMETER',
    `The server chose cipher suite 0x${code.toString(16)}, which was not offered`,
  )
}

function refuseUnsolicited(types: readonly number[], hello: ClientHello, message: string): void {
  const unsolicited = types.find((type) => !hello.extensions.has(type))
  if (unsolicited === undefined) return
  const name = nameOf(ExtensionType, unsolicited)
  throw new TlsError('TLS_UNSOLICITED_EXTENSION', `${message} carries ${name}, which was not offered`)
}

interface Agreement {
  readonly suite: CipherSuiteParameters
  readonly group: GroupName
  readonly sharedSecret: Uint8Array
}

/** From here on both sides can derive keys. */
function agree(hs: HandshakeContext, offer: Offer, { hello }: ServerAnswer): Agreement {
  if (hello.kind !== 'server_hello')
    throw new TlsError('TLS_UNEXPECTED_MESSAGE', 'A second HelloRetryRequest came')
  const suite = chosenSuite(offer, hello.cipherSuite)
  const share = hello.extensions.value('key_share')
  if (share === undefined) throw new TlsError('TLS_MISSING_EXTENSION', 'ServerHello carries no key_share')
  const pending = offer.keyAgreements.find(({ group }) => NamedGroup[group] === share.group)
  if (pending === undefined) {
    throw new TlsError(
      'TLS_ILLEGAL_PARAMETER',
      `The server chose group ${nameOf(NamedGroup, share.group)}, for which we sent no share`,
    )
  }
  const sharedSecret = pending.complete(share.share)
  const { group } = pending
  hs.trace({ kind: 'agreed', version: 'TLS 1.3', cipherSuite: suite.name, group, atMs: hs.nowMs })
  return { suite, group, sharedSecret }
}

/** Awaits EncryptedExtensions; yields the application protocol. */
function* receiveEncryptedExtensions(hs: HandshakeContext, offer: Offer): Handshake<string | undefined> {
  const { body } = yield* hs.expect(HandshakeType.encrypted_extensions)
  const extensions = decodeEncryptedExtensions(body)
  refuseUnsolicited(extensions.types, offer.hello, 'EncryptedExtensions')
  const limit = extensions.value('record_size_limit')
  if (limit !== undefined) {
    if (limit < MIN_RECORD_SIZE_LIMIT)
      throw new TlsError(
        'TLS_ILLEGAL_PARAMETER',
        `record_size_limit is ${limit}, expected at least ${MIN_RECORD_SIZE_LIMIT}`,
      )
    hs.limitWriting(limit - 1)
  }
  const protocols = extensions.value('application_layer_protocol_negotiation')
  if (protocols === undefined) return undefined
  if (protocols.length === 1 && offer.policy.alpn.includes(protocols[0]!)) return protocols[0]
  throw new TlsError(
    'TLS_ILLEGAL_PARAMETER',
    `The server chose the application protocols [${protocols.join(', ')}], expected one that was offered`,
  )
}

interface ServerAuthentication {
  readonly server: AuthenticatedPeer
  /** Set when the server wants to know us in turn; the answer waits for its Finished. */
  readonly request: CertificateRequest | undefined
}

function* authenticateServer(
  hs: HandshakeContext,
  offer: Offer,
  options: ClientOptions,
): Handshake<ServerAuthentication> {
  let message = yield* hs.expect(HandshakeType.certificate_request, HandshakeType.certificate)
  let request: CertificateRequest | undefined
  if (message.type === HandshakeType.certificate_request) {
    request = readCertificateRequest(message)
    message = yield* hs.expect(HandshakeType.certificate)
  }
  const server = yield* authenticatePeer(hs, message, {
    peerRole: 'server',
    verifier: options.verifier,
    schemes: offer.policy.schemes,
    serverName: options.serverName,
    optional: false,
  })
  // A peer that is not optional is authenticated or refused.
  return { server: server!, request }
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

/** Shows our credential when it suits the server, else nothing: then the server decides (RFC 8446 §4.4.2.3). */
function* answerCertificateRequest(
  hs: HandshakeContext,
  request: CertificateRequest,
  policy: NegotiationPolicy,
  { credential }: ClientOptions,
): Handshake<Credential | undefined> {
  const accepted = request.extensions.value('signature_algorithms') ?? []
  const scheme = credential === undefined ? undefined : schemeFor(credential, policy.schemes, accepted)
  if (credential === undefined || scheme === undefined) {
    sendCertificate(hs, [])
    return undefined
  }
  yield* authenticateSelf(hs, 'client', credential, scheme)
  return credential
}
