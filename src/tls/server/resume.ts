import { equalBytes } from '../../bytes/bytes.ts'
import { typesOfClients } from '../certificate-types.ts'
import { TlsError } from '../errors.ts'
import { settled, type Handshake, type HandshakeContext } from '../handshake.ts'
import { earlyStage, finishedMac, type EarlyStage } from '../key-schedule.ts'
import { bindersLength, PSK_DHE_KE } from '../messages/pre-shared-key.ts'
import type { ServerOptions } from '../options.ts'
import type { EarlyDataOutcome } from '../session/early-data.ts'
import type { ServerTicketState } from '../session/resumption.ts'
import { isStillAccepted } from '../still-accepted.ts'
import type { Chosen } from './choose.ts'

/** Each costs a look-up, or a decryption; honest clients offer one or two. */
const MAX_IDENTITIES_TRIED = 5

/**
 * How far the ages of a ticket, as client and server see them, may differ for early data (RFC 8446 §8.3). Single use
 * stops replays; the window only bounds how old a delayed flight can be, and clocks that drift should pass. The number
 * is BoringSSL's.
 */
const FRESHNESS_WINDOW_MS = 60_000

/** A ticket that is resumed from. */
export interface Resumption {
  readonly state: ServerTicketState
  /** Its place in the client's list. */
  readonly index: number
  readonly stage: EarlyStage
  /** The age of the ticket by the client's clock, minus that by ours, in milliseconds. */
  readonly ageSkewMs: number
}

/**
 * Chooses the first of the client's tickets that may still be honoured; none means a full handshake.
 *
 * @throws TlsError TLS_MISSING_EXTENSION, TLS_BAD_BINDER, TLS_ILLEGAL_PARAMETER
 */
export function* resume(
  hs: HandshakeContext,
  options: ServerOptions,
  chosen: Chosen,
): Handshake<Resumption | undefined> {
  const { extensions } = chosen.hello
  const offer = extensions.value('pre_shared_key')
  if (offer === undefined) return undefined
  const modes = extensions.value('psk_key_exchange_modes')
  if (modes === undefined) {
    throw new TlsError(
      'TLS_MISSING_EXTENSION',
      'The client offers pre_shared_key without psk_key_exchange_modes (RFC 8446 §4.2.9)',
    )
  }
  if (options.tickets === undefined || !modes.includes(PSK_DHE_KE)) return undefined
  for (const [index, { identity, obfuscatedAge }] of offer.identities
    .slice(0, MAX_IDENTITIES_TRIED)
    .entries()) {
    const state = yield* settled(options.tickets.store.redeem(identity, hs.nowMs))
    if (state === undefined || !isHonoured(hs, options, chosen, state)) continue
    const stage = earlyStage(hs.crypto, chosen.suite.hash, hs.own(state.preSharedKey))
    checkBinder(hs, chosen, stage, index)
    return { state, index, stage, ageSkewMs: ageSkew(state, obfuscatedAge, hs.nowMs) }
  }
  return undefined
}

/** Resumption saves the proof, not the trust: whom the ticket names must still be welcome. */
function isHonoured(
  hs: HandshakeContext,
  options: ServerOptions,
  { hello, suite }: Chosen,
  state: ServerTicketState,
): boolean {
  if (hashOf(state) !== suite.hash) return false
  if (state.serverName !== hello.extensions.value('server_name')) return false
  const { clientVerifier, allowAnonymousClient = false } = options
  if (state.peer === undefined) return typesOfClients(options).length === 0 || allowAnonymousClient
  const context = { peerRole: 'client', nowMs: hs.nowMs } as const
  return isStillAccepted(state.peer, clientVerifier, options, context)
}

function hashOf({ cipherSuite }: ServerTicketState): 'sha256' | 'sha384' {
  return cipherSuite === 'TLS_AES_256_GCM_SHA384' ? 'sha384' : 'sha256'
}

/** The binder proves that the client has the key of the ticket (RFC 8446 §4.2.11.2). */
function checkBinder(
  hs: HandshakeContext,
  { hello, message, suite }: Chosen,
  stage: EarlyStage,
  index: number,
): void {
  const { binders } = hello.extensions.value('pre_shared_key')!
  const truncated = message.bytes.subarray(0, message.bytes.length - bindersLength({ binders }))
  const key = stage.binderKey('resumption')
  const expected = finishedMac(hs.crypto, suite.hash, key, hs.transcript.hashWith(suite.hash, truncated))
  key.fill(0)
  if (equalBytes(binders[index]!, expected)) return
  throw new TlsError('TLS_BAD_BINDER', 'The client offers a ticket and cannot prove that it has its key')
}

function ageSkew({ issuedAtMs, ageAdd }: ServerTicketState, obfuscatedAge: number, nowMs: number): number {
  const clientAge = (obfuscatedAge - ageAdd + 2 ** 32) % 2 ** 32
  return clientAge - (nowMs - issuedAtMs)
}

/** What is to become of the early data that the client announces (RFC 8446 §4.2.10, §8). */
export function judgeEarlyData(
  options: ServerOptions,
  { hello, suite, retried, announcesEarlyData }: Chosen,
  resumption: Resumption | undefined,
  alpn: string | undefined,
): EarlyDataOutcome {
  const { earlyData, tickets } = options
  if (earlyData === undefined) return 'disabled'
  if (hello.extensions.value('pre_shared_key') === undefined) return 'no_session_offered'
  if (resumption === undefined) return 'session_not_resumed'
  if (retried) return 'hello_retry_request'
  if (!announcesEarlyData) return 'disabled'
  const { state, index, ageSkewMs } = resumption
  // Early data is sealed under the first ticket; another one says nothing about it.
  if (index !== 0) return 'session_not_resumed'
  if (tickets?.store.isSingleUse !== true) return 'replayable_ticket'
  if (state.maxEarlyDataBytes === 0) return 'unsupported_for_session'
  if (state.cipherSuite !== suite.name) return 'cipher_suite_mismatch'
  if (state.alpn !== alpn) return 'alpn_mismatch'
  if (Math.abs(ageSkewMs) > FRESHNESS_WINDOW_MS) return 'ticket_age_skew'
  return 'accepted'
}
