import { equalBytes } from '../../bytes/bytes.ts'
import type { GroupName } from '../../crypto/provider.ts'
import { TlsError } from '../errors.ts'
import { settled, type Handshake, type HandshakeContext } from '../handshake.ts'
import { checkClientHello, checkSecondClientHello, type ClientHello } from '../messages/client-hello.ts'
import { Extensions } from '../messages/extensions.ts'
import type { HandshakeMessage } from '../messages/handshake-message.ts'
import { encodeServerHello, HELLO_RETRY_RANDOM } from '../messages/server-hello.ts'
import type { ServerOptions } from '../options.ts'
import { checkProtocolName, groupOf, type NegotiationPolicy } from '../policy.ts'
import {
  CipherSuite,
  ExtensionType,
  HandshakeType,
  isGrease,
  NamedGroup,
  nameOf,
  ProtocolVersion,
  type CipherSuiteParameters,
} from '../registry.ts'
import { openCookie, sealCookie } from './cookie.ts'
import {
  openClientHello,
  openSecondClientHello,
  unconfirmed,
  withEchConfirmation,
  type ReceivedHello,
} from './ech.ts'

/** What the ClientHello settles. */
export interface Chosen {
  readonly hello: ClientHello
  /** The ClientHello as it came, not yet in the transcript: binders cover a part of it. */
  readonly message: HandshakeMessage
  readonly suite: CipherSuiteParameters
  readonly group: GroupName
  readonly share: Uint8Array
  /** Before a HelloRetryRequest that this connection has sent. */
  readonly firstHello: ClientHello | undefined
  /** Whether it took a HelloRetryRequest. */
  readonly retried: boolean
  /** Whether the client said, in its first hello, that it sends early data. */
  readonly announcesEarlyData: boolean
  /** Whether the hello came encrypted. */
  readonly echAccepted: boolean
  /** Whether there is a hello inside that we could not read, or that never was. */
  readonly echRejected: boolean
}

/** Awaits a ClientHello that holds a share we can use, asking once for another. */
export function* receiveClientHello(
  hs: HandshakeContext,
  policy: NegotiationPolicy,
  { cookieKey, ech, equalGroups = [] }: Pick<ServerOptions, 'cookieKey' | 'ech' | 'equalGroups'>,
): Handshake<Chosen> {
  const first = openClientHello(hs, ech, yield* hs.receive(HandshakeType.client_hello))
  const { hello, message, echRejected } = first
  const echAccepted = first.opening !== undefined
  checkClientHello(hello)
  const cookie = hello.extensions.value('cookie')
  if (cookieKey !== undefined && cookie !== undefined)
    return resumeRetry(hs, policy, { hello, message, cookie, cookieKey })
  const suite = chooseSuite(hello, policy)
  const group = chooseGroup(hello, policy, equalGroups)
  const share = shareOf(hello, group)
  const announcesEarlyData = hello.extensions.has(ExtensionType.early_data)
  const settled = { announcesEarlyData, echAccepted, echRejected }
  if (share !== undefined)
    return { hello, firstHello: undefined, message, suite, group, share, retried: false, ...settled }
  hs.expectPause('a ClientHello that must be sent again')
  hs.transcript.add(message.bytes)
  const sent = sendHelloRetryRequest(hs, first, { suite, group, cookieKey })
  // What the client has sent early by now is lost; it will not send more.
  if (announcesEarlyData) hs.skipEarlyData()
  const second = openSecondClientHello(hs, first, yield* hs.receive(HandshakeType.client_hello))
  const secondHello = second.hello
  checkClientHello(secondHello)
  checkSecondClientHello(hello, secondHello, suite)
  const echoed = secondHello.extensions.value('cookie')
  if (sent !== undefined && (echoed === undefined || !equalBytes(echoed, sent))) {
    throw new TlsError('TLS_ILLEGAL_PARAMETER', 'The second ClientHello does not echo the cookie')
  }
  return { ...retried(secondHello, second.message, { suite, group }), firstHello: hello, ...settled }
}

interface RetriedHello {
  readonly hello: ClientHello
  readonly message: HandshakeMessage
  readonly cookie: Uint8Array
  readonly cookieKey: Uint8Array
}

/** Goes on where another connection, or another replica, sent the HelloRetryRequest. */
function resumeRetry(
  hs: HandshakeContext,
  policy: NegotiationPolicy,
  { hello, message, cookie, cookieKey }: RetriedHello,
): Chosen {
  const { suite, group, helloHash } = openCookie(hs.crypto, cookieKey, cookie, policy)
  hs.transcript.restart(suite.hash, helloHash)
  hs.transcript.add(encodeRetry(hs, hello, { suite, group, cookie, confirmation: undefined }))
  // The first hello is known by its hash only; early data that follows the second would be against the rules.
  const settled = {
    firstHello: undefined,
    announcesEarlyData: false,
    echAccepted: false,
    echRejected: false,
  }
  return { ...retried(hello, message, { suite, group }), ...settled }
}

function retried(
  hello: ClientHello,
  message: HandshakeMessage,
  { suite, group }: Pick<Chosen, 'suite' | 'group'>,
): Pick<Chosen, 'hello' | 'message' | 'suite' | 'group' | 'share' | 'retried'> {
  const share = shareOf(hello, group)
  if (share === undefined || hello.extensions.value('key_share')!.length > 1) {
    throw new TlsError(
      'TLS_ILLEGAL_PARAMETER',
      `The second ClientHello does not hold the one share of ${group} that was asked for`,
    )
  }
  return { hello, message, suite, group, share, retried: true }
}

/**
 * Our preferred suite among the client's. What comes in hardware differs more than what the suites are worth: a client
 * that prefers ChaCha20 has no AES in hardware, and gets it.
 */
function chooseSuite(hello: ClientHello, { suites }: NegotiationPolicy): CipherSuiteParameters {
  const common = suites.filter(({ code }) => hello.cipherSuites.includes(code))
  const wanted = hello.cipherSuites.find((code) => common.some((suite) => suite.code === code))
  const suite = common.find(({ code, aead }) => code === wanted && aead === 'chacha20-poly1305') ?? common[0]
  if (suite !== undefined) return suite
  const accepted = suites.map(({ name }) => name).join(', ')
  throw new TlsError(
    'TLS_NO_COMMON_SUITE',
    `The client offers ${names(CipherSuite, hello.cipherSuites)}; accepted here: ${accepted}`,
  )
}

/**
 * Our preferred group among the client's, or what the client prefers to it of those that are its equals. Whether it
 * comes with a share does not matter: what a client happens to predict must not weaken what both can do.
 */
function chooseGroup(
  hello: ClientHello,
  { groups }: NegotiationPolicy,
  equalGroups: readonly GroupName[],
): GroupName {
  const offered = hello.extensions.value('supported_groups') ?? []
  const group = groups.find((candidate) => offered.includes(NamedGroup[candidate]))
  if (group !== undefined && equalGroups.includes(group)) {
    const equals = equalGroups.filter((equal) => groups.includes(equal))
    return offered.map((code) => groupOf(code, equals)).find((equal) => equal !== undefined)!
  }
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

/** Yields the cookie that must come back, if one was sent. */
function sendHelloRetryRequest(
  hs: HandshakeContext,
  { hello, echRejected }: ReceivedHello,
  {
    suite,
    group,
    cookieKey,
  }: Pick<Chosen, 'suite' | 'group'> & { readonly cookieKey: Uint8Array | undefined },
): Uint8Array | undefined {
  hs.transcript.begin(suite.hash)
  const helloHash = hs.transcript.hash()
  const cookie =
    cookieKey === undefined ? undefined : sealCookie(hs.crypto, cookieKey, { suite, group, helloHash })
  hs.transcript.restart(suite.hash, helloHash)
  // A cookie may come back to a connection that does not know the random bytes.
  const confirmation = echRejected && cookie === undefined ? unconfirmed(hs.crypto) : undefined
  hs.send(encodeRetry(hs, hello, { suite, group, cookie, confirmation }))
  if (hello.sessionId.length > 0) hs.sendChangeCipherSpec()
  return cookie
}

interface RetryContents extends Pick<Chosen, 'suite' | 'group'> {
  readonly cookie: Uint8Array | undefined
  /** Stands where a confirmation would if there were one. */
  readonly confirmation: Uint8Array | undefined
}

function encodeRetry(
  hs: HandshakeContext,
  hello: ClientHello,
  { suite, group, cookie, confirmation }: RetryContents,
): Uint8Array {
  const extensions = new Extensions('hello_retry_request')
    .add('supported_versions', ProtocolVersion.tls13)
    .add('key_share', NamedGroup[group])
  if (cookie !== undefined) extensions.add('cookie', cookie)
  if (confirmation !== undefined) extensions.add('encrypted_client_hello', confirmation)
  const retry = {
    kind: 'hello_retry_request',
    legacyVersion: ProtocolVersion.tls12,
    random: HELLO_RETRY_RANDOM,
    sessionId: hello.sessionId,
    cipherSuite: suite.code,
    compressionMethod: 0,
    extensions,
  } as const
  return encodeServerHello(withEchConfirmation(hs, hello, retry, suite))
}

/**
 * RFC 7301 §3.2: our preference among the client's, or the choice of somebody else; no list on either side means no
 * protocol.
 */
export function* chooseProtocol(
  hello: ClientHello,
  { alpn }: NegotiationPolicy,
  { chooseAlpn }: Pick<ServerOptions, 'chooseAlpn'>,
): Handshake<string | undefined> {
  const offered = hello.extensions.value('application_layer_protocol_negotiation')
  if (offered === undefined) return undefined
  if (chooseAlpn !== undefined) {
    const chosen = yield* settled(chooseAlpn(offered, hello.extensions.value('server_name')))
    return chosen === undefined ? undefined : checkProtocolName(chosen)
  }
  if (alpn.length === 0) return undefined
  const protocol = alpn.find((candidate) => offered.includes(candidate))
  if (protocol !== undefined) return protocol
  throw new TlsError(
    'TLS_NO_APPLICATION_PROTOCOL',
    `The client offers the protocols ${offered.join(', ')}; spoken here: ${alpn.join(', ')}`,
  )
}

/** The names of code points, for an error; values that mean nothing are left out. */
function names(registry: Readonly<Record<string, number>>, codes: readonly number[]): string {
  return codes
    .filter((code) => !isGrease(code))
    .map((code) => nameOf(registry, code))
    .join(', ')
}
