import type { GroupName } from '../../crypto/provider.ts'
import type { AuthenticatedPeer } from '../authenticate-peer.ts'
import { authenticateSelf, certificateTerms } from '../authenticate-self.ts'
import { checkCredentials } from '../credentials.ts'
import { TlsError } from '../errors.ts'
import { expectFinished, sendFinished } from '../finished.ts'
import type { Established, Handshake, HandshakeContext } from '../handshake.ts'
import { earlyStage } from '../key-schedule.ts'
import { RANDOM_BYTES, type ClientHello } from '../messages/client-hello.ts'
import { encodeEncryptedExtensions } from '../messages/encrypted-extensions.ts'
import { Extensions } from '../messages/extensions.ts'
import type { HandshakeMessage } from '../messages/handshake-message.ts'
import { PSK_DHE_KE } from '../messages/pre-shared-key.ts'
import { encodeServerHello } from '../messages/server-hello.ts'
import type { ServerOptions } from '../options.ts'
import { beginApplicationPhase, beginEarlyPhase, beginHandshakePhase, endHandshakePhase } from '../phases.ts'
import { negotiationPolicy, plaintextLimit, type NegotiationPolicy } from '../policy.ts'
import { MAX_PLAINTEXT_BYTES } from '../record/protection.ts'
import { HandshakeType, NamedGroup, ProtocolVersion, type CertificateTypeName } from '../registry.ts'
import type { Session } from '../session.ts'
import { checkExternalPsks } from '../session/external-psk.ts'
import {
  addChosenTypes,
  authenticateClient,
  sendCertificateRequest,
  typeShown,
  type Proofs,
} from './authentication.ts'
import { chooseBasis } from './basis.ts'
import { chooseProtocol, receiveClientHello, type Chosen } from './choose.ts'
import { retryConfigsFor, withEchConfirmation } from './ech.ts'
import { tagOf, type SelectedPsk } from './psks.ts'
import { judgeEarlyData, type SelectedTicket } from './resume.ts'

/** The server's side of RFC 8446 §2, from ClientHello to Finished. */
export function* serverHandshake(hs: HandshakeContext, options: ServerOptions): Handshake<Established> {
  const policy = negotiationPolicy(options, 'server')
  checkProofs(options)
  const chosen = yield* receiveClientHello(hs, policy, options)
  const { hello, suite, group } = chosen
  const serverName = hello.extensions.value('server_name')
  const alpn = yield* chooseProtocol(hello, policy, options)
  const { psk, proofs } = yield* chooseBasis(hs, options, chosen)
  const ticket = psk?.origin === 'resumption' ? psk : undefined
  const earlyData = judgeEarlyData(options, chosen, ticket, alpn)
  if (chosen.announcesEarlyData) hs.trace({ kind: 'early_data', outcome: earlyData, atMs: hs.nowMs })
  const serverCertificateType = typeShown(proofs, ticket?.state)
  hs.transcript.add(chosen.message.bytes)
  hs.transcript.begin(suite.hash)
  const early =
    earlyData === 'accepted' ? beginEarlyPhase(hs, { suite, stage: ticket!.stage }, hello.random) : undefined

  const sharedSecret = sendServerHello(hs, chosen, psk)
  const outcome = { resumed: ticket !== undefined, ...externalOf(psk) }
  hs.trace({
    kind: 'agreed',
    version: 'TLS 1.3',
    cipherSuite: suite.name,
    group,
    ...outcome,
    atMs: hs.nowMs,
  })
  const stage = psk?.stage ?? earlyStage(hs.crypto, suite.hash)
  const handshake = beginHandshakePhase(hs, { stage, sharedSecret }, hello.random)
  if (hello.sessionId.length > 0 || options.alwaysSendChangeCipherSpec === true) hs.sendChangeCipherSpec()
  hs.protectWriting(suite, handshake.secrets.server, 'handshake')
  const echRetryConfigs = retryConfigsFor(options.ech, chosen)
  sendEncryptedExtensions(hs, policy, options, {
    hello,
    proofs,
    serverCertificateType,
    alpn,
    earlyData: early !== undefined,
    echRetryConfigs,
  })
  if (proofs?.clientType !== undefined) sendCertificateRequest(hs, policy, options)
  if (proofs !== undefined)
    yield* authenticateSelf(hs, 'server', proofs.own, certificateTerms(hello, options))
  sendFinished(hs, suite, handshake.secrets.server)
  const { master, secrets, exporter } = beginApplicationPhase(
    hs,
    { stage: handshake.stage, hash: suite.hash },
    hello.random,
  )
  hs.protectWriting(suite, secrets.server, 'application')

  if (early !== undefined) {
    hs.protectReading(suite, early.secret, 'early')
    hs.startEarlyData(Infinity)
    checkEndOfEarlyData(yield* hs.expect(HandshakeType.end_of_early_data))
  } else if (chosen.announcesEarlyData && !chosen.retried) {
    hs.skipEarlyData()
  }
  hs.protectReading(suite, handshake.secrets.client, 'handshake')
  const client =
    proofs?.clientType === undefined
      ? resumedClient(ticket)
      : yield* authenticateClient(hs, policy, options, proofs.clientType)
  yield* expectFinished(hs, suite, handshake.secrets.client)
  hs.stopEarlyData()
  const resumptionSecret = hs.own(master.resumptionSecret(hs.transcript.hash()))
  master.wipe()
  hs.protectReading(suite, secrets.client, 'application')
  endHandshakePhase(handshake)

  return {
    suite,
    exporter,
    resumptionSecret,
    readSecret: secrets.client,
    writeSecret: secrets.server,
    externalPskTag: tagOf(hs, psk),
    offeredResumption: hello.extensions.value('psk_key_exchange_modes')?.includes(PSK_DHE_KE) ?? false,
    session: {
      role: 'server',
      version: 'TLS 1.3',
      cipherSuite: suite.name,
      group,
      ...outcome,
      echAccepted: chosen.echAccepted,
      earlyData,
      ...(ticket === undefined ? {} : { ticketAgeSkewMs: ticket.ageSkewMs }),
      ...(serverCertificateType === undefined ? {} : { serverCertificateType }),
      ...(proofs === undefined ? {} : { credential: proofs.own.credential }),
      ...(client === undefined ? {} : { peer: client.peer, peerSignatureScheme: client.scheme }),
      ...(alpn === undefined ? {} : { alpn }),
      ...(serverName === undefined ? {} : { serverName }),
      exportKeyingMaterial: exporter.export,
    },
  }
}

/** @throws TlsError TLS_BAD_OPTIONS */
function checkProofs({ credential, externalPsks }: ServerOptions): void {
  checkExternalPsks(externalPsks)
  checkCredentials(credential)
  if (credential === undefined && externalPsks === undefined)
    throw new TlsError('TLS_BAD_OPTIONS', 'Neither credential nor externalPsks is given, expected one')
}

/** The key given beforehand that the connection rests on, itself or by the handshake that it resumes. */
function externalOf(psk: SelectedPsk | undefined): Pick<Session, 'externalPsk'> {
  const externalPsk = psk?.origin === 'resumption' ? psk.state.externalPsk : psk?.external.identity
  return externalPsk === undefined ? {} : { externalPsk }
}

/** RFC 8446 §4.5. */
function checkEndOfEarlyData({ body }: HandshakeMessage): void {
  if (body.length === 0) return
  throw new TlsError('TLS_DECODE_ERROR', `end_of_early_data has ${body.length} bytes, expected none`)
}

/** Yields the shared secret. */
function sendServerHello(hs: HandshakeContext, chosen: Chosen, psk: SelectedPsk | undefined): Uint8Array {
  const { hello, suite, group, share } = chosen
  const agreement = hs.crypto.answerKeyAgreement(group, share)
  const extensions = new Extensions('server_hello')
    .add('key_share', keyShareEntry(group, agreement.share))
    .add('supported_versions', ProtocolVersion.tls13)
  if (psk !== undefined) extensions.add('pre_shared_key', psk.index)
  const answer = {
    kind: 'server_hello',
    legacyVersion: ProtocolVersion.tls12,
    random: hs.crypto.random(RANDOM_BYTES),
    sessionId: hello.sessionId,
    cipherSuite: suite.code,
    compressionMethod: 0,
    extensions,
  } as const
  hs.send(encodeServerHello(withEchConfirmation(hs, hello, answer, suite)))
  return agreement.secret
}

function keyShareEntry(group: GroupName, share: Uint8Array): { group: number; share: Uint8Array } {
  return { group: NamedGroup[group], share }
}

interface EncryptedAnswer {
  readonly hello: ClientHello
  /** Absent with a pre-shared key. */
  readonly proofs: Proofs | undefined
  readonly serverCertificateType: CertificateTypeName | undefined
  readonly alpn: string | undefined
  readonly earlyData: boolean
  readonly echRetryConfigs: Uint8Array | undefined
}

function sendEncryptedExtensions(
  hs: HandshakeContext,
  { recordSizeLimit }: NegotiationPolicy,
  { acknowledgeServerName = true }: ServerOptions,
  { hello, proofs, serverCertificateType, alpn, earlyData, echRetryConfigs }: EncryptedAnswer,
): void {
  const extensions = new Extensions('encrypted_extensions')
  // RFC 6066 §3: the acknowledgement that the name chose the certificate, which a resumption has none of.
  if (acknowledgeServerName && proofs !== undefined && hello.extensions.value('server_name') !== undefined)
    extensions.add('server_name', true)
  if (alpn !== undefined) extensions.add('application_layer_protocol_negotiation', [alpn])
  if (earlyData) extensions.add('early_data', new Uint8Array(0))
  if (echRetryConfigs !== undefined) extensions.add('encrypted_client_hello', echRetryConfigs)
  const peerLimit = hello.extensions.value('record_size_limit')
  if (peerLimit !== undefined) {
    // RFC 8449 §4: our answer makes both limits hold; protocol maximum when we have no wish of our own.
    const ownLimit = recordSizeLimit ?? MAX_PLAINTEXT_BYTES + 1
    extensions.add('record_size_limit', ownLimit)
    hs.limitWriting(plaintextLimit(peerLimit))
    hs.limitReading(ownLimit - 1)
  }
  addChosenTypes(extensions, hello, { serverCertificateType, clientType: proofs?.clientType })
  hs.send(encodeEncryptedExtensions(extensions))
}

/** Whom the ticket stands for. */
function resumedClient(ticket: SelectedTicket | undefined): AuthenticatedPeer | undefined {
  const { peer, peerSignatureScheme: scheme } = ticket?.state ?? {}
  return peer === undefined || scheme === undefined ? undefined : { peer, scheme }
}
