import type { AuthenticatedPeer } from '../authenticate-peer.ts'
import { expectFinished, sendFinished } from '../finished.ts'
import type { Established, Handshake, HandshakeContext } from '../handshake.ts'
import { encodeMessage } from '../messages/handshake-message.ts'
import type { ClientOptions } from '../options.ts'
import { beginApplicationPhase, beginEarlyPhase, beginHandshakePhase, endHandshakePhase } from '../phases.ts'
import { HandshakeType } from '../registry.ts'
import type { EarlyDataOutcome } from '../session/early-data.ts'
import type { ClientTicket } from '../session/resumption.ts'
import { rejudged } from '../still-accepted.ts'
import { agree, externalOf, receiveEncryptedExtensions, receiveServerHello } from './answer.ts'
import { echRejection } from './ech.ts'
import { answerCertificateRequest, authenticateServer } from './authentication.ts'
import { sendClientHello, sendSecondClientHello, type Offer } from './offer.ts'
import { ageOf, offeredTicket, tagOf, type OfferedPsk, type OfferedTicket } from './psks.ts'

/** The client's side of RFC 8446 §2, from ClientHello to Finished. */
export function* clientHandshake(hs: HandshakeContext, options: ClientOptions): Handshake<Established> {
  let offer = yield* sendClientHello(hs, options)
  const ticket = offeredTicket(offer.psks)
  if (offer.earlyData === 'pending') beginEarlyData(hs, offer)
  let answer = yield* receiveServerHello(hs, offer)
  offer = answer.offer
  if (answer.hello.kind === 'hello_retry_request') {
    hs.expectPause('HelloRetryRequest')
    hs.revokeEarlyData()
    if (offer.hello.sessionId.length > 0) hs.sendChangeCipherSpec()
    offer = sendSecondClientHello(hs, offer, answer.hello, answer.message)
    answer = yield* receiveServerHello(hs, offer, answer.hello)
    offer = answer.offer
  }
  const agreement = agree(hs, answer)
  const { suite, group, psk } = agreement
  if (ticket !== undefined) traceTicket(hs, ticket, { offer, psk })
  const resumed = psk?.origin === 'resumption' ? psk.ticket : undefined
  const { random, sessionId } = offer.hello
  const handshake = beginHandshakePhase(hs, agreement, random)
  hs.protectReading(suite, handshake.secrets.server, 'handshake')
  if (sessionId.length > 0) hs.sendChangeCipherSpec()
  // While early data flows, we go on under its keys until the server has taken or declined it.
  if (!hs.isSendingEarlyData) hs.protectWriting(suite, handshake.secrets.client, 'handshake')

  const { alpn, earlyData, selected, echRetryConfigs } = yield* receiveEncryptedExtensions(
    hs,
    offer,
    agreement,
  )
  const earlyDataOutcome = outcomeOf(offer, { accepted: earlyData, resumed: resumed !== undefined })
  if (options.earlyData === true) traceEarlyData(hs, earlyDataOutcome)
  if (!earlyData && hs.isSendingEarlyData) {
    hs.declineEarlyData()
    hs.protectWriting(suite, handshake.secrets.client, 'handshake')
  }
  const { server, request } =
    psk === undefined
      ? yield* authenticateServer(hs, offer, { options, selected })
      : { server: resumedServer(resumed), request: undefined }
  yield* expectFinished(hs, suite, handshake.secrets.server)

  const { master, secrets, exporter } = beginApplicationPhase(
    hs,
    { stage: handshake.stage, hash: suite.hash },
    random,
  )
  hs.protectReading(suite, secrets.server, 'application')
  if (earlyData) {
    hs.stopEarlyData()
    hs.send(encodeMessage(HandshakeType.end_of_early_data, () => undefined))
    hs.protectWriting(suite, handshake.secrets.client, 'handshake')
  }
  const isRejected = offer.ech?.status === 'rejected'
  // Who we are is for the server behind the public name (RFC 9849 §6.1.7).
  const own = isRejected ? undefined : options.credential
  const credential =
    request === undefined
      ? undefined
      : yield* answerCertificateRequest(hs, request, { own, options, selected })
  sendFinished(hs, suite, handshake.secrets.client)
  const resumptionSecret = hs.own(master.resumptionSecret(hs.transcript.hash()))
  master.wipe()
  hs.protectWriting(suite, secrets.client, 'application')
  endHandshakePhase(handshake)
  if (isRejected) throw echRejection(offer.ech!, echRetryConfigs)

  return {
    suite,
    exporter,
    resumptionSecret,
    readSecret: secrets.server,
    writeSecret: secrets.client,
    offeredResumption: options.tickets !== undefined,
    externalPskTag: tagOf(hs, psk),
    session: {
      role: 'client',
      version: 'TLS 1.3',
      cipherSuite: suite.name,
      group,
      resumed: resumed !== undefined,
      ...externalOf(psk),
      echAccepted: offer.ech !== undefined,
      earlyData: earlyDataOutcome,
      ...(server === undefined ? {} : { peer: server.peer, peerSignatureScheme: server.scheme }),
      ...(alpn === undefined ? {} : { alpn }),
      ...(options.serverName === undefined ? {} : { serverName: options.serverName }),
      ...(credential === undefined ? {} : { credential }),
      exportKeyingMaterial: exporter.export,
    },
  }
}

/** What became of the ticket, and if it was taken, whom it stands for. */
function traceTicket(
  hs: HandshakeContext,
  offered: OfferedTicket,
  { offer, psk }: { readonly offer: Offer; readonly psk: OfferedPsk | undefined },
): void {
  const atMs = hs.nowMs
  if (psk !== offered) {
    const wasPruned = !offer.psks.includes(offered)
    const reason =
      offer.ech?.status === 'rejected'
        ? 'ech_rejected'
        : wasPruned
          ? 'cipher_suite_mismatch'
          : 'peer_declined'
    hs.trace({ kind: 'ticket', outcome: 'refused', reason, atMs })
    return
  }
  hs.trace({ kind: 'ticket', outcome: 'accepted', ageMs: ageOf(offered.ticket, hs), atMs })
  if (offered.ticket.peer !== undefined)
    hs.trace({ kind: 'identity', ...rejudged(offered.ticket.peer), atMs })
}

/** Tells what became of early data, if it was to be sent. */
function traceEarlyData(hs: HandshakeContext, outcome: EarlyDataOutcome): void {
  const [bytes, atMs] = [hs.earlyBytesTaken, hs.nowMs]
  hs.trace({ kind: 'early_data', outcome, atMs })
  if (bytes > 0) hs.trace({ kind: 'early_bytes', direction: 'sent', bytes, atMs })
}

/** Whom the ticket stands for. */
function resumedServer(ticket: ClientTicket | undefined): AuthenticatedPeer | undefined {
  const { peer, peerSignatureScheme: scheme } = ticket ?? {}
  return peer === undefined || scheme === undefined ? undefined : { peer, scheme }
}

/** From here until the server's answer, data goes out under keys that nothing but the ticket made. */
function beginEarlyData(hs: HandshakeContext, { hello, psks }: Offer): void {
  const { suite, stage, ticket } = offeredTicket(psks)!
  const { secret } = beginEarlyPhase(hs, { suite, stage }, hello.random)
  if (hello.sessionId.length > 0) hs.sendChangeCipherSpec()
  hs.protectWriting(suite, secret, 'early')
  hs.startEarlyData(ticket.maxEarlyDataBytes)
}

function outcomeOf(
  { earlyData }: Offer,
  { accepted, resumed }: { readonly accepted: boolean; readonly resumed: boolean },
): EarlyDataOutcome {
  if (earlyData !== 'pending') return earlyData
  if (accepted) return 'accepted'
  return resumed ? 'peer_declined' : 'session_not_resumed'
}
