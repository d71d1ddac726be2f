import { equalBytes } from '../../bytes/bytes.ts'
import type { GroupName } from '../../crypto/provider.ts'
import { TlsError } from '../errors.ts'
import type { Handshake, HandshakeContext } from '../handshake.ts'
import { earlyStage, type EarlyStage } from '../key-schedule.ts'
import type { ClientHello } from '../messages/client-hello.ts'
import { decodeEncryptedExtensions } from '../messages/encrypted-extensions.ts'
import type { HandshakeMessage } from '../messages/handshake-message.ts'
import {
  decodeServerHello,
  selectedVersion,
  type HelloRetryRequest,
  type ServerHello,
} from '../messages/server-hello.ts'
import { plaintextLimit, suiteOf } from '../policy.ts'
import {
  ExtensionType,
  HandshakeType,
  isGrease,
  NamedGroup,
  nameOf,
  ProtocolVersion,
  type CipherSuiteParameters,
} from '../registry.ts'
import type { Session } from '../session.ts'
import type { ClientTicket } from '../session/resumption.ts'
import { judgeAnswer } from './ech.ts'
import type { SelectedTypes } from './authentication.ts'
import { echoes, forgetKeys, type Offer } from './offer.ts'
import type { OfferedPsk } from './psks.ts'

/** The end of ServerHello.random when a TLS 1.3 server was talked into an older version (RFC 8446 §4.1.3). */
const DOWNGRADE_SENTINEL = Uint8Array.fromHex('444f574e475244')

interface ServerAnswer {
  /** What the answer is to: with ECH it says which of the two hellos counts. */
  readonly offer: Offer
  readonly hello: ServerHello | HelloRetryRequest
  readonly message: HandshakeMessage
}

/** Awaits the server's answer and holds it against our offer. A HelloRetryRequest may come only once. */
export function* receiveServerHello(
  hs: HandshakeContext,
  offer: Offer,
  retry?: HelloRetryRequest,
): Handshake<ServerAnswer> {
  const message = yield* hs.receive(HandshakeType.server_hello)
  const hello = decodeServerHello(message.body)
  if (retry !== undefined && selectedVersion(hello) !== ProtocolVersion.tls13) {
    throw new TlsError(
      'TLS_ILLEGAL_PARAMETER',
      'ServerHello changes the version that HelloRetryRequest chose',
    )
  }
  checkVersion(hello)
  if (!echoes(offer, hello.sessionId)) {
    throw new TlsError('TLS_ILLEGAL_PARAMETER', 'The server did not echo our legacy_session_id')
  }
  if (hello.compressionMethod !== 0) {
    throw new TlsError(
      'TLS_DECODE_ERROR',
      `The server chose compression method ${hello.compressionMethod}, expected 0`,
    )
  }
  const suite = chosenSuite(offer, hello.cipherSuite)
  const counted = countedOffer(hs, offer, hello, suite)
  if (hello.kind === 'hello_retry_request') {
    checkRetry(hello, counted, retry)
    return { offer: counted, hello, message }
  }
  refuseUnsolicited(hello.extensions.types, counted.hello, 'ServerHello')
  if (retry !== undefined && retry.cipherSuite !== hello.cipherSuite) {
    throw new TlsError(
      'TLS_ILLEGAL_PARAMETER',
      'ServerHello changes the cipher suite that HelloRetryRequest chose',
    )
  }
  hs.transcript.begin(suite.hash)
  hs.transcript.add(message.bytes)
  return { offer: counted, hello, message }
}

/** The offer with the hello that the server has read: once it rejects the one inside, the other is as good as any. */
function countedOffer(
  hs: HandshakeContext,
  offer: Offer,
  answer: ServerHello | HelloRetryRequest,
  suite: CipherSuiteParameters,
): Offer {
  const { ech, hello } = offer
  if (ech === undefined || ech.status === 'rejected') return offer
  const status = judgeAnswer(hs, { ech, hello }, answer, suite)
  if (status === 'accepted') {
    hs.padMessages()
    return { ...offer, ech: { ...ech, status } }
  }
  hs.transcript = ech.outerTranscript
  return { ...offer, hello: ech.outer, psks: [], ech: { ...ech, status } }
}

function checkVersion(hello: ServerHello | HelloRetryRequest): void {
  const version = selectedVersion(hello)
  if (version === ProtocolVersion.tls13 && hello.legacyVersion === ProtocolVersion.tls12) return
  if (version !== undefined) {
    const chosen = version.toString(16)
    throw new TlsError(
      'TLS_ILLEGAL_PARAMETER',
      `The server selected version 0x${chosen}, expected 0x304 under legacy version 0x303`,
    )
  }
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

function checkRetry(hello: HelloRetryRequest, offer: Offer, earlier: HelloRetryRequest | undefined): void {
  if (earlier !== undefined) throw new TlsError('TLS_UNEXPECTED_MESSAGE', 'A second HelloRetryRequest came')
  // The cookie is the one extension that a server may send unasked (RFC 8446 §4.2.2).
  const types = hello.extensions.types.filter((type) => type !== ExtensionType.cookie)
  refuseUnsolicited(types, offer.hello, 'HelloRetryRequest')
  if (!hello.extensions.has(ExtensionType.key_share) && !hello.extensions.has(ExtensionType.cookie)) {
    throw new TlsError('TLS_ILLEGAL_PARAMETER', 'HelloRetryRequest would change nothing in our ClientHello')
  }
}

function chosenSuite(offer: Offer, code: number): CipherSuiteParameters {
  const suite = suiteOf(code, offer.policy.suites)
  if (suite !== undefined) return suite
  throw new TlsError(
    'TLS_ILLEGAL_PARAMETER',
    `The server chose cipher suite 0x${code.toString(16)}, which was not offered`,
  )
}

function refuseUnsolicited(types: readonly number[], hello: ClientHello, message: string): void {
  const unsolicited = types.find((type) => !hello.extensions.has(type) || isGrease(type))
  if (unsolicited === undefined) return
  const name = nameOf(ExtensionType, unsolicited)
  throw new TlsError('TLS_UNSOLICITED_EXTENSION', `${message} carries ${name}, which was not offered`)
}

export interface Agreement {
  readonly suite: CipherSuiteParameters
  readonly group: GroupName
  readonly sharedSecret: Uint8Array
  /** What the key schedule begins with. */
  readonly stage: EarlyStage
  /** The pre-shared key that it begins with, if the server took one. */
  readonly psk: OfferedPsk | undefined
}

/** From here on both sides can derive keys. */
export function agree(hs: HandshakeContext, { offer, hello }: ServerAnswer): Agreement {
  // receiveServerHello lets one retry through, and the handshake has acted on it.
  if (hello.kind !== 'server_hello')
    throw new TlsError('TLS_UNEXPECTED_MESSAGE', 'A second HelloRetryRequest came')
  const suite = chosenSuite(offer, hello.cipherSuite)
  const psk = selectedPsk(offer, hello, suite)
  const share = hello.extensions.value('key_share')
  if (share === undefined) throw new TlsError('TLS_MISSING_EXTENSION', 'ServerHello carries no key_share')
  const pending = offer.keyAgreements.find(({ group }) => NamedGroup[group] === share.group)
  if (pending === undefined) {
    throw new TlsError(
      'TLS_ILLEGAL_PARAMETER',
      `The server chose group ${nameOf(NamedGroup, share.group)}, for which we sent no share`,
    )
  }
  const { group } = pending
  const sharedSecret = pending.complete(share.share)
  forgetKeys(offer.keyAgreements)
  for (const other of offer.psks) if (other !== psk) other.stage.wipe()
  hs.trace({
    kind: 'agreed',
    version: 'TLS 1.3',
    cipherSuite: suite.name,
    group,
    resumed: psk?.origin === 'resumption',
    ...externalOf(psk),
    atMs: hs.nowMs,
  })
  const stage = psk?.stage ?? earlyStage(hs.crypto, suite.hash)
  return { suite, group, sharedSecret, stage, psk }
}

function selectedPsk(
  { psks, ech, acceptsCertificates }: Offer,
  hello: ServerHello,
  suite: CipherSuiteParameters,
): OfferedPsk | undefined {
  const selected = hello.extensions.value('pre_shared_key')
  if (selected === undefined) {
    // Whoever rejects our encrypted hello proves the public name, and that by certificate.
    if (acceptsCertificates || ech?.status === 'rejected') return undefined
    throw new TlsError(
      'TLS_MISSING_EXTENSION',
      'ServerHello carries no pre_shared_key, and the server must take one of ours',
    )
  }
  const psk = psks[selected]
  if (psk === undefined) {
    const expected = psks.length === 0 ? 'none' : psks.length === 1 ? '0' : `0 to ${psks.length - 1}`
    throw new TlsError(
      'TLS_ILLEGAL_PARAMETER',
      `The server selected pre-shared key ${selected}, expected ${expected}`,
    )
  }
  if (psk.hash === suite.hash) return psk
  const what = psk.origin === 'resumption' ? 'ticket' : 'pre-shared key'
  throw new TlsError('TLS_ILLEGAL_PARAMETER', `The server takes a ${psk.hash} ${what} with ${suite.name}`)
}

/** The key given beforehand that the connection rests on, itself or by the handshake that it resumes. */
export function externalOf(psk: OfferedPsk | undefined): Pick<Session, 'externalPsk'> {
  const externalPsk = psk?.origin === 'resumption' ? psk.ticket.externalPsk : psk?.external.identity
  return externalPsk === undefined ? {} : { externalPsk }
}

export interface ServerExtensions {
  readonly alpn: string | undefined
  /** Whether the server takes our early data. */
  readonly earlyData: boolean
  /** What to encrypt the next hello to, from a server that could not read this one. */
  readonly echRetryConfigs: Uint8Array | undefined
  readonly selected: SelectedTypes
}

/** Awaits EncryptedExtensions and holds them against our offer. */
export function* receiveEncryptedExtensions(
  hs: HandshakeContext,
  offer: Offer,
  { suite, psk }: Agreement,
): Handshake<ServerExtensions> {
  const { body } = yield* hs.expect(HandshakeType.encrypted_extensions)
  const extensions = decodeEncryptedExtensions(body)
  refuseUnsolicited(extensions.types, offer.hello, 'EncryptedExtensions')
  const limit = extensions.value('record_size_limit')
  if (limit !== undefined) {
    hs.limitWriting(plaintextLimit(limit))
    // Both limits hold once both sides have said theirs.
    if (offer.policy.recordSizeLimit !== undefined) hs.limitReading(offer.policy.recordSizeLimit - 1)
  }
  const alpn = selectedProtocol(extensions.value('application_layer_protocol_negotiation'), offer)
  const earlyData = extensions.has(ExtensionType.early_data)
  if (earlyData) checkSameSession(psk?.origin === 'resumption' ? psk.ticket : undefined, { suite, alpn })
  const echRetryConfigs = extensions.value('encrypted_client_hello')
  if (echRetryConfigs !== undefined && offer.ech?.status === 'accepted') {
    throw new TlsError(
      'TLS_UNSOLICITED_EXTENSION',
      'EncryptedExtensions carries configs to retry with, although our encrypted ClientHello was accepted',
    )
  }
  const selected = {
    server: extensions.value('server_certificate_type'),
    client: extensions.value('client_certificate_type'),
  }
  return { alpn, earlyData, selected, echRetryConfigs }
}

/** RFC 8446 §4.2.10: early data was sent under the ticket's suite and protocol, and can be taken under no other. */
function checkSameSession(
  resumed: ClientTicket | undefined,
  { suite, alpn }: { readonly suite: CipherSuiteParameters; readonly alpn: string | undefined },
): void {
  const changed =
    resumed === undefined
      ? 'without resuming its session'
      : resumed.cipherSuite !== suite.name
        ? `under another cipher suite, ${suite.name}`
        : resumed.alpn !== alpn
          ? `under another application protocol, ${alpn ?? 'none'}`
          : undefined
  if (changed === undefined) return
  throw new TlsError('TLS_ILLEGAL_PARAMETER', `The server accepts early data ${changed}`)
}

function selectedProtocol(
  protocols: readonly string[] | undefined,
  { policy, acceptsUnofferedAlpn }: Offer,
): string | undefined {
  if (protocols === undefined) return undefined
  if (protocols.length === 1 && (acceptsUnofferedAlpn || policy.alpn.includes(protocols[0]!)))
    return protocols[0]
  throw new TlsError(
    'TLS_ILLEGAL_PARAMETER',
    `The server chose the application protocols [${protocols.join(', ')}], expected one that was offered`,
  )
}
