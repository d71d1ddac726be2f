import type { GroupName } from '../../crypto/provider.ts'
import { TlsError } from '../errors.ts'
import type { Handshake, HandshakeContext } from '../handshake.ts'
import {
  checkClientHello,
  checkSecondClientHello,
  decodeClientHello,
  type ClientHello,
} from '../messages/client-hello.ts'
import { Extensions } from '../messages/extensions.ts'
import type { HandshakeMessage } from '../messages/handshake-message.ts'
import { encodeServerHello, HELLO_RETRY_RANDOM } from '../messages/server-hello.ts'
import { groupOf, type NegotiationPolicy } from '../policy.ts'
import {
  CipherSuite,
  ExtensionType,
  HandshakeType,
  NamedGroup,
  nameOf,
  ProtocolVersion,
  type CipherSuiteParameters,
} from '../registry.ts'

/** What the ClientHello settles. */
export interface Chosen {
  readonly hello: ClientHello
  /** The ClientHello as it came, not yet in the transcript: binders cover a part of it. */
  readonly message: HandshakeMessage
  readonly suite: CipherSuiteParameters
  readonly group: GroupName
  readonly share: Uint8Array
  /** Whether it took a HelloRetryRequest. */
  readonly retried: boolean
}

/** Awaits a ClientHello that holds a share we can use, asking once for another. */
export function* receiveClientHello(hs: HandshakeContext, policy: NegotiationPolicy): Handshake<Chosen> {
  const message = yield* hs.receive(HandshakeType.client_hello)
  const hello = decodeClientHello(message.body)
  checkClientHello(hello)
  const suite = chooseSuite(hello, policy)
  const group = chooseGroup(hello, policy)
  const share = shareOf(hello, group)
  if (share !== undefined) return { hello, message, suite, group, share, retried: false }
  hs.transcript.add(message.bytes)
  sendHelloRetryRequest(hs, hello, suite, group)
  // What the client has sent early by now is lost; it will not send more.
  if (hello.extensions.has(ExtensionType.early_data)) hs.skipEarlyData()
  return yield* receiveSecondClientHello(hs, hello, { suite, group })
}

function* receiveSecondClientHello(
  hs: HandshakeContext,
  first: ClientHello,
  { suite, group }: Pick<Chosen, 'suite' | 'group'>,
): Handshake<Chosen> {
  const message = yield* hs.receive(HandshakeType.client_hello)
  const hello = decodeClientHello(message.body)
  checkClientHello(hello)
  checkSecondClientHello(first, hello)
  const share = shareOf(hello, group)
  if (share === undefined || hello.extensions.value('key_share')!.length > 1) {
    throw new TlsError(
      'TLS_ILLEGAL_PARAMETER',
      `The second ClientHello does not hold the one share of ${group} that was asked for`,
    )
  }
  return { hello, message, suite, group, share, retried: true }
}

function chooseSuite(hello: ClientHello, { suites }: NegotiationPolicy): CipherSuiteParameters {
  const suite = suites.find(({ code }) => hello.cipherSuites.includes(code))
  if (suite !== undefined) return suite
  const accepted = suites.map(({ name }) => name).join(', ')
  throw new TlsError(
    'TLS_NO_COMMON_SUITE',
    `The client offers ${names(CipherSuite, hello.cipherSuites)}; accepted here: ${accepted}`,
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
      legacyVersion: ProtocolVersion.tls12,
      random: HELLO_RETRY_RANDOM,
      sessionId: hello.sessionId,
      cipherSuite: suite.code,
      compressionMethod: 0,
      extensions: new Extensions('hello_retry_request')
        .add('supported_versions', ProtocolVersion.tls13)
        .add('key_share', NamedGroup[group]),
    }),
  )
  if (hello.sessionId.length > 0) hs.sendChangeCipherSpec()
}

/** RFC 7301 §3.2: our preference among the client's; no list on either side means no protocol. */
export function chooseProtocol(hello: ClientHello, { alpn }: NegotiationPolicy): string | undefined {
  const offered = hello.extensions.value('application_layer_protocol_negotiation')
  if (offered === undefined || alpn.length === 0) return undefined
  const protocol = alpn.find((candidate) => offered.includes(candidate))
  if (protocol !== undefined) return protocol
  throw new TlsError(
    'TLS_NO_APPLICATION_PROTOCOL',
    `The client offers the protocols ${offered.join(', ')}; spoken here: ${alpn.join(', ')}`,
  )
}

/** The names of code points, for an error. */
export function names(registry: Readonly<Record<string, number>>, codes: readonly number[]): string {
  return codes.map((code) => nameOf(registry, code)).join(', ')
}
