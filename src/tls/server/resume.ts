import { equalBytes } from '../../bytes/bytes.ts'
import { typesOfClients } from '../certificate-types.ts'
import { settled, type Handshake, type HandshakeContext } from '../handshake.ts'
import { earlyStage } from '../key-schedule.ts'
import type { ServerOptions } from '../options.ts'
import type { BindingKey } from '../psk-binder.ts'
import type { EarlyDataOutcome } from '../session/early-data.ts'
import { externalIdentityIn, importedIdentity, isStillConfigured } from '../session/external-psk.ts'
import type { ServerTicketState } from '../session/resumption.ts'
import type { TicketRefusal } from '../session/ticket-refusal.ts'
import { judgeAgain } from '../still-accepted.ts'
import type { Chosen } from './choose.ts'

/** Each costs a look-up, or a decryption; honest clients offer one or two. */
export const MAX_IDENTITIES_TRIED = 5

/**
 * How far the ages of a ticket, as client and server see them, may differ for early data (RFC 8446 §8.3). Single use
 * stops replays; the window only bounds how old a delayed flight can be, and clocks that drift should pass. The number
 * is BoringSSL's.
 */
const FRESHNESS_WINDOW_MS = 60_000

/** A key of the client's list. */
export interface Selected extends BindingKey {
  /** Its place in the client's list. */
  readonly index: number
}

/** A ticket that is resumed from. */
export interface SelectedTicket extends Selected {
  readonly origin: 'resumption'
  readonly state: ServerTicketState
  /** The age of the ticket by the client's clock, minus that by ours, in milliseconds. */
  readonly ageSkewMs: number
}

/** The first of the client's tickets that may still be honoured; its binder is still to be checked. */
export function* redeemTicket(
  hs: HandshakeContext,
  options: ServerOptions,
  chosen: Chosen,
): Handshake<SelectedTicket | undefined> {
  const { identities } = chosen.hello.extensions.value('pre_shared_key') ?? { identities: [] }
  const { hash } = chosen.suite
  for (const [index, { identity, obfuscatedAge }] of identities.slice(0, MAX_IDENTITIES_TRIED).entries()) {
    if (isImported(options, identity)) continue
    if (options.tickets === undefined) {
      refuse(hs, { reason: 'tickets_disabled' })
      return undefined
    }
    const state = yield* settled(options.tickets.store.redeem(identity, hs.nowMs))
    if (state === undefined) {
      refuse(hs, { reason: 'unknown' })
      continue
    }
    const refusal = yield* refusalOf(hs, options, chosen, state)
    if (refusal !== undefined) {
      refuse(hs, refusal)
      continue
    }
    const stage = hs.own(earlyStage(hs.crypto, hash, hs.own(state.preSharedKey)))
    const ageSkewMs = ageSkew(state, obfuscatedAge, hs.nowMs)
    return { origin: 'resumption', state, index, hash, stage, ageSkewMs }
  }
  return undefined
}

/** Whether it names a key that was given beforehand: then it is no ticket. */
function isImported({ externalPsks = [] }: ServerOptions, identity: Uint8Array): boolean {
  if (typeof externalPsks === 'function') return externalIdentityIn(identity) !== undefined
  return externalPsks.some((psk) =>
    (['sha256', 'sha384'] as const).some((hash) => equalBytes(importedIdentity(psk, hash), identity)),
  )
}

function refuse(hs: HandshakeContext, refusal: TicketRefusal): void {
  hs.trace({ kind: 'ticket', outcome: 'refused', ...refusal, atMs: hs.nowMs })
}

/** Resumption saves the proof, not the trust: whom the ticket names must still be welcome. */
function* refusalOf(
  hs: HandshakeContext,
  options: ServerOptions,
  { hello, suite }: Chosen,
  state: ServerTicketState,
): Handshake<TicketRefusal | undefined> {
  if (hashOf(state) !== suite.hash) return { reason: 'cipher_suite_mismatch' }
  if (options.tickets?.sameSuite === true && state.cipherSuite !== suite.name)
    return { reason: 'cipher_suite_mismatch' }
  if (state.serverName !== hello.extensions.value('server_name')) return { reason: 'server_name_mismatch' }
  const { clientVerifier, externalPsks, allowAnonymousClient = false } = options
  if (state.externalPsk !== undefined)
    return (yield* isStillConfigured(hs.crypto, externalPsks, state))
      ? undefined
      : { reason: 'external_psk_gone' }
  if (state.peer === undefined)
    return typesOfClients(options).length === 0 || allowAnonymousClient
      ? undefined
      : { reason: 'unproven_peer' }
  const context = { peerRole: 'client', nowMs: hs.nowMs } as const
  return judgeAgain(state.peer, clientVerifier, options, context)
}

function hashOf({ cipherSuite }: ServerTicketState): 'sha256' | 'sha384' {
  return cipherSuite === 'TLS_AES_256_GCM_SHA384' ? 'sha384' : 'sha256'
}

function ageSkew({ issuedAtMs, ageAdd }: ServerTicketState, obfuscatedAge: number, nowMs: number): number {
  const clientAge = (obfuscatedAge - ageAdd + 2 ** 32) % 2 ** 32
  return clientAge - (nowMs - issuedAtMs)
}

/** What is to become of the early data that the client announces (RFC 8446 §4.2.10, §8). */
export function judgeEarlyData(
  options: ServerOptions,
  { hello, suite, retried, announcesEarlyData }: Chosen,
  ticket: SelectedTicket | undefined,
  alpn: string | undefined,
): EarlyDataOutcome {
  const { earlyData, tickets } = options
  if (earlyData === undefined) return 'disabled'
  if (hello.extensions.value('pre_shared_key') === undefined) return 'no_session_offered'
  // Early data rests on what an earlier handshake agreed; a key given beforehand says nothing about it.
  if (ticket === undefined) return 'session_not_resumed'
  if (retried) return 'hello_retry_request'
  if (!announcesEarlyData) return 'disabled'
  const { state, index, ageSkewMs } = ticket
  // Early data is sealed under the first ticket; another one says nothing about it.
  if (index !== 0) return 'session_not_resumed'
  if (tickets?.store.isSingleUse !== true) return 'replayable_ticket'
  if (state.maxEarlyDataBytes === 0) return 'unsupported_for_session'
  if (state.cipherSuite !== suite.name) return 'cipher_suite_mismatch'
  if (state.alpn !== alpn) return 'alpn_mismatch'
  if (Math.abs(ageSkewMs) > FRESHNESS_WINDOW_MS) return 'ticket_age_skew'
  return 'accepted'
}
