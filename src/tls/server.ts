import type { CompletedKeyAgreement, GroupName } from '../crypto/provider.ts'
import {
  authenticatePeer,
  authenticateSelf,
  expectFinished,
  schemeFor,
  sendFinished,
  type AuthenticatedPeer,
} from './authenticate.ts'
import { TlsError } from './errors.ts'
import { ask, type Established, type Handshake, type HandshakeContext } from './handshake.ts'
import { exportKeyingMaterial } from './key-schedule.ts'
import { encodeCertificateRequest } from './messages/authentication.ts'
import {
  checkClientHello,
  checkSecondClientHello,
  decodeClientHello,
  RANDOM_BYTES,
  type ClientHello,
} from './messages/client-hello.ts'
import { encodeEncryptedExtensions } from './messages/encrypted-extensions.ts'
import { Extensions } from './messages/extensions.ts'
import { encodeServerHello, HELLO_RETRY_RANDOM } from './messages/server-hello.ts'
import type { Credential, ServerOptions } from './options.ts'
import { beginApplicationPhase, beginHandshakePhase, endHandshakePhase } from './phases.ts'
import { groupOf, negotiationPolicy, type NegotiationPolicy } from './policy.ts'
import {
  CipherSuite,
  HandshakeType,
  NamedGroup,
  nameOf,
  ProtocolVersion,
  SignatureScheme,
  type CipherSuiteParameters,
  type SignatureSchemeParameters,
} from './registry.ts'

/** What the ClientHello settles. */
interface Negotiated {
  readonly hello: ClientHello
  readonly suite: CipherSuiteParameters
  readonly group: GroupName
  readonly share: Uint8Array
}

/** The server's side of RFC 8446 §2, from ClientHello to Finished. */
export function* serverHandshake(hs: HandshakeContext, options: ServerOptions): Handshake<Established> {
  const policy = negotiationPolicy(options)
  const { hello, suite, group, share } = yield* receiveClientHello(hs, policy)
  const serverName = hello.extensions.value('server_name')
  const { credential, scheme } = yield* chooseCredential(hello, policy, serverName)
  const alpn = chooseProtocol(hello, policy)

  const agreement = hs.crypto.answerKeyAgreement(group, share)
  sendServerHello(hs, hello, suite, { group, share: agreement.share })
  hs.trace({ kind: 'agreed', version: 'TLS 1.3', cipherSuite: suite.name, group, atMs: hs.nowMs })
  const handshake = beginHandshakePhase(hs, suite, hello.random, agreement.secret)
  if (hello.sessionId.length > 0) hs.sendChangeCipherSpec()
  hs.protectWriting(suite, handshake.secrets.server, 'handshake')
  hs.protectReading(suite, handshake.secrets.client, 'handshake')

  sendEncryptedExtensions(hs, hello, alpn)
  if (options.clientVerifier !== undefined)
    sendCertificateRequest(hs, policy, options.clientVerifier.authorities ?? [])
  yield* authenticateSelf(hs, 'server', credential, scheme)
  sendFinished(hs, suite, handshake.secrets.server)

  const { secrets, exporterSecret } = beginApplicationPhase(hs, handshake.stage, hello.random)
  hs.protectWriting(suite, secrets.server, 'application')
  const client = yield* authenticateClient(hs, policy, options)
  yield* expectFinished(hs, suite, handshake.secrets.client)
  hs.protectReading(suite, secrets.client, 'application')
  endHandshakePhase(handshake)

  return {
    suite,
    exporterSecret,
    readSecret: secrets.client,
    writeSecret: secrets.server,
    session: {
      role: 'server',
      version: 'TLS 1.3',
      cipherSuite: suite.name,
      group,
      credential,
      ...(client === undefined ? {} : { peer: client.peer, peerSignatureScheme: client.scheme }),
      ...(alpn === undefined ? {} : { alpn }),
      ...(serverName === undefined ? {} : { serverName }),
      exportKeyingMaterial: (label, context, length) =>
        exportKeyingMaterial(hs.crypto, suite.hash, exporterSecret, { label, context, length }),
    },
  }
}

/** Awaits a ClientHello that holds a share we can use, asking once for another. */
function* receiveClientHello(hs: HandshakeContext, policy: NegotiationPolicy): Handshake<Negotiated> {
  const first = decodeClientHello((yield* hs.expect(HandshakeType.client_hello)).body)
  checkClientHello(first)
  const suite = chooseSuite(first, policy)
  const group = chooseGroup(first, policy)
  const share = shareOf(first, group)
  if (share !== undefined) {
    hs.transcript.begin(suite.hash)
    return { hello: first, suite, group, share }
  }
  sendHelloRetryRequest(hs, first, suite, group)
  const second = decodeClientHello((yield* hs.expect(HandshakeType.client_hello)).body)
  checkClientHello(second)
  checkSecondClientHello(first, second)
  const retried = shareOf(second, group)
  if (retried === undefined || second.extensions.value('key_share')!.length > 1) {
    throw new TlsError(
      'TLS_ILLEGAL_PARAMETER',
      `The second ClientHello does not hold the one share of ${group} that was asked for`,
    )
  }
  return { hello: second, suite, group, share: retried }
}

function chooseSuite(hello: ClientHello, { suites }: NegotiationPolicy): CipherSuiteParameters {
  const suite = suites.find(({ code }) => hello.cipherSuites.includes(code))
  if (suite !== undefined) return suite
  throw new TlsError(
    'TLS_NO_COMMON_SUITE',
    `The client offers ${names(CipherSuite, hello.cipherSuites)}; accepted here: ${suites.map(({ name }) => name).join(', ')}`,
  )
}

/** Our preferred group among the client's; one that saves a round trip before one that does not. */
function chooseGroup(hello: ClientHello, { groups }: NegotiationPolicy): GroupName {
  const offered = hello.extensions.value('supported_groups') ?? []
  const common = groups.filter((group) => offered.includes(NamedGroup[group]))
  const group = common.find((candidate) => shareOf(hello, candidate) !== undefined) ?? common[0]
  if (group !== undefined) return group
  throw new TlsError(
    'TLS_NO_COMMON_GROUP',
    `The client offers the groups ${names(NamedGroup, offered)}; accepted here: ${groups.join(', ')}`,
  )
}

function shareOf(hello: ClientHello, group: GroupName): Uint8Array | undefined {
  return hello.extensions.value('key_share')?.find((entry) => groupOf(entry.group, [group]) !== undefined)
    ?.share
}

function sendHelloRetryRequest(
  hs: HandshakeContext,
  hello: ClientHello,
  suite: CipherSuiteParameters,
  group: GroupName,
): void {
  hs.transcript.collapse(suite.hash)
  hs.send(
    encodeServerHello({
      kind: 'hello_retry_request',
      ...commonHelloFields(hello, suite),
      random: HELLO_RETRY_RANDOM,
      extensions: new Extensions('hello_retry_request')
        .add('supported_versions', ProtocolVersion.tls13)
        .add('key_share', NamedGroup[group]),
    }),
  )
  if (hello.sessionId.length > 0) hs.sendChangeCipherSpec()
}

function sendServerHello(
  hs: HandshakeContext,
  hello: ClientHello,
  suite: CipherSuiteParameters,
  { group, share }: { readonly group: GroupName } & Pick<CompletedKeyAgreement, 'share'>,
): void {
  hs.send(
    encodeServerHello({
      kind: 'server_hello',
      ...commonHelloFields(hello, suite),
      random: hs.crypto.random(RANDOM_BYTES),
      extensions: new Extensions('server_hello')
        .add('key_share', { group: NamedGroup[group], share })
        .add('supported_versions', ProtocolVersion.tls13),
    }),
  )
}

function commonHelloFields(
  hello: ClientHello,
  suite: CipherSuiteParameters,
): { legacyVersion: number; sessionId: Uint8Array; cipherSuite: number; compressionMethod: number } {
  return {
    legacyVersion: ProtocolVersion.tls12,
    sessionId: hello.sessionId,
    cipherSuite: suite.code,
    compressionMethod: 0,
  }
}

interface ChosenCredential {
  readonly credential: Credential
  readonly scheme: SignatureSchemeParameters
}

function* chooseCredential(
  hello: ClientHello,
  { schemes }: NegotiationPolicy,
  serverName: string | undefined,
): Handshake<ChosenCredential> {
  const credential = yield* ask({ kind: 'credential', serverName })
  if (credential === undefined) {
    throw new TlsError(
      'TLS_UNRECOGNIZED_NAME',
      `There is no certificate for ${serverName === undefined ? 'a client that names no server' : `the name "${serverName}"`}`,
    )
  }
  const offered = hello.extensions.value('signature_algorithms') ?? []
  const scheme = schemeFor(credential, schemes, offered)
  if (scheme !== undefined) return { credential, scheme }
  throw new TlsError(
    'TLS_NO_COMMON_SIGNATURE_SCHEME',
    `The client accepts ${names(SignatureScheme, offered)}; our ${credential.key.kind} key makes none of them`,
  )
}

/** RFC 7301 §3.2: our preference among the client's; no list on either side means no protocol. */
function chooseProtocol(hello: ClientHello, { alpn }: NegotiationPolicy): string | undefined {
  const offered = hello.extensions.value('application_layer_protocol_negotiation')
  if (offered === undefined || alpn.length === 0) return undefined
  const protocol = alpn.find((candidate) => offered.includes(candidate))
  if (protocol !== undefined) return protocol
  throw new TlsError(
    'TLS_NO_APPLICATION_PROTOCOL',
    `The client offers the protocols ${offered.join(', ')}; spoken here: ${alpn.join(', ')}`,
  )
}

function sendEncryptedExtensions(hs: HandshakeContext, hello: ClientHello, alpn: string | undefined): void {
  const extensions = new Extensions('encrypted_extensions')
  // RFC 6066 §3: the acknowledgement that the name chose the certificate.
  if (hello.extensions.value('server_name') !== undefined) extensions.add('server_name', true)
  if (alpn !== undefined) extensions.add('application_layer_protocol_negotiation', [alpn])
  hs.send(encodeEncryptedExtensions(extensions))
}

function sendCertificateRequest(
  hs: HandshakeContext,
  { schemes }: NegotiationPolicy,
  authorities: readonly Uint8Array[],
): void {
  const extensions = new Extensions('certificate_request').add(
    'signature_algorithms',
    schemes.map(({ code }) => code),
  )
  if (authorities.length > 0) extensions.add('certificate_authorities', authorities)
  hs.send(encodeCertificateRequest({ context: new Uint8Array(0), extensions }))
}

function* authenticateClient(
  hs: HandshakeContext,
  { schemes }: NegotiationPolicy,
  { clientVerifier, allowAnonymousClient = false }: ServerOptions,
): Handshake<AuthenticatedPeer | undefined> {
  if (clientVerifier === undefined) return undefined
  return yield* authenticatePeer(hs, yield* hs.expect(HandshakeType.certificate), {
    peerRole: 'client',
    verifier: clientVerifier,
    schemes,
    serverName: undefined,
    optional: allowAnonymousClient,
  })
}

function names(registry: Readonly<Record<string, number>>, codes: readonly number[]): string {
  return codes.map((code) => nameOf(registry, code)).join(', ')
}
