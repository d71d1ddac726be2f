/** The pre-shared keys that a client offers: a ticket, then keys that both sides were given (RFC 8446 §4.2.11). */
import { HASH_BYTES } from '../../crypto/provider.ts'
import { settled, type Handshake, type HandshakeContext } from '../handshake.ts'
import { earlyStage } from '../key-schedule.ts'
import { encodeClientHello, type ClientHello } from '../messages/client-hello.ts'
import { Extensions } from '../messages/extensions.ts'
import { bindersLength, encodeBinders, type OfferedPsks } from '../messages/pre-shared-key.ts'
import type { ClientOptions } from '../options.ts'
import type { NegotiationPolicy } from '../policy.ts'
import { pskBinder, type BindingKey } from '../psk-binder.ts'
import type { CipherSuiteParameters } from '../registry.ts'
import {
  checkExternalPsks,
  externalPskTag,
  importPsk,
  isStillConfigured,
  type ExternalPsk,
  type TargetHash,
} from '../session/external-psk.ts'
import type { ClientTicket } from '../session/resumption.ts'
import type { TicketRefusal } from '../session/ticket-refusal.ts'
import { judgeAgain } from '../still-accepted.ts'
import type { EncodedHello } from './encoded-hello.ts'

interface Offered extends BindingKey {
  /** As it stands in the ClientHello. */
  readonly identity: Uint8Array
}

/** A key from an earlier handshake. */
export interface OfferedTicket extends Offered {
  readonly origin: 'resumption'
  readonly ticket: ClientTicket
  readonly suite: CipherSuiteParameters
}

/** A key that was given beforehand, under one hash. */
export interface OfferedExternalPsk extends Offered {
  readonly origin: 'imported'
  readonly external: ExternalPsk
}

/** A pre-shared key that is being offered. */
export type OfferedPsk = OfferedTicket | OfferedExternalPsk

/** Of the key given beforehand that a connection rests on, itself or by the handshake that it resumes. */
export function tagOf({ crypto }: HandshakeContext, psk: OfferedPsk | undefined): Uint8Array | undefined {
  return psk?.origin === 'imported' ? externalPskTag(crypto, psk.external) : psk?.ticket.externalPskTag
}

/** Whether a server may prove itself by certificate. */
export function acceptsCertificates({ externalPsks, orCertificate = false }: ClientOptions): boolean {
  return externalPsks === undefined || orCertificate
}

/**
 * What to offer, by preference: the ticket comes first, for early data goes with the first key only.
 *
 * @throws TlsError TLS_BAD_OPTIONS
 */
export function* choosePsks(
  hs: HandshakeContext,
  options: ClientOptions,
  policy: NegotiationPolicy,
): Handshake<readonly OfferedPsk[]> {
  checkExternalPsks(options.externalPsks)
  const resumption = yield* chooseTicket(hs, options, policy)
  const hashes = [...new Set(policy.suites.map(({ hash }) => hash))]
  const external = (options.externalPsks ?? []).flatMap((psk) =>
    hashes.map((hash) => offerExternal(hs, psk, hash)),
  )
  return resumption === undefined ? external : [resumption, ...external]
}

/** The ticket of an offer, if it has one. */
export function offeredTicket([first]: readonly OfferedPsk[]): OfferedTicket | undefined {
  return first?.origin === 'resumption' ? first : undefined
}

/** RFC 8446 §4.1.4: once the server has named its hash, keys under another can no longer be bound. */
export function prunedPsks(
  psks: readonly OfferedPsk[],
  { hash }: CipherSuiteParameters,
): readonly OfferedPsk[] {
  return psks.filter((psk) => psk.hash === hash)
}

/** A ClientHello that offers the keys, each bound to it, if there are any. */
export function boundHello(
  hs: HandshakeContext,
  hello: ClientHello,
  psks: readonly OfferedPsk[],
): EncodedHello {
  if (psks.length === 0) return { hello, message: encodeClientHello(hello) }
  const offered = unboundPsks(hs, psks)
  const extensions = Extensions.from(hello.extensions).add('pre_shared_key', offered)
  const message = encodeClientHello({ ...hello, extensions })
  const truncated = message.subarray(0, message.length - bindersLength(offered))
  for (const [index, psk] of psks.entries()) offered.binders[index]!.set(pskBinder(hs, psk, truncated))
  message.set(encodeBinders(offered), truncated.length)
  return { hello: { ...hello, extensions }, message }
}

/** The extension with zeros in place of the binders. */
export function unboundPsks({ nowMs }: HandshakeContext, psks: readonly OfferedPsk[]): OfferedPsks {
  return {
    identities: psks.map((psk) => ({ identity: psk.identity, obfuscatedAge: obfuscatedAge(psk, nowMs) })),
    binders: psks.map(({ hash }) => new Uint8Array(HASH_BYTES[hash])),
  }
}

/** RFC 8446 §4.2.11.1; keys that were given beforehand have no age. */
function obfuscatedAge(psk: OfferedPsk, nowMs: number): number {
  if (psk.origin === 'imported') return 0
  return (ageOf(psk.ticket, { nowMs }) + psk.ticket.ageAdd) % 2 ** 32
}

/** By our clock, in whole milliseconds; never negative, however the clock was set since. */
export function ageOf({ receivedAtMs }: ClientTicket, { nowMs }: { readonly nowMs: number }): number {
  return Math.max(0, Math.floor(nowMs - receivedAtMs))
}

function offerExternal(hs: HandshakeContext, external: ExternalPsk, hash: TargetHash): OfferedExternalPsk {
  const { identity, key } = importPsk(hs.crypto, external, hash)
  const stage = hs.own(earlyStage(hs.crypto, hash, key))
  key.fill(0)
  return { origin: 'imported', identity, hash, stage, external }
}

/** A ticket whose peer would still be accepted: resumption saves the proof, not the trust. */
function* chooseTicket(
  hs: HandshakeContext,
  options: ClientOptions,
  policy: NegotiationPolicy,
): Handshake<OfferedTicket | undefined> {
  const { tickets, verifier, rawPublicKeyVerifier, externalPsks } = options
  const rechecks = verifier.reverify !== undefined || rawPublicKeyVerifier?.reverify !== undefined
  if (tickets === undefined || (!rechecks && externalPsks === undefined)) return undefined
  for (
    let ticket = yield* settled(tickets.take(hs.nowMs));
    ticket !== undefined;
    ticket = yield* settled(tickets.take(hs.nowMs))
  ) {
    const suite = policy.suites.find(({ name }) => name === ticket.cipherSuite)
    const refusal = yield* refusalOf(hs, options, ticket)
    if (suite === undefined || refusal !== undefined) {
      const why = refusal ?? { reason: 'cipher_suite_mismatch' }
      hs.trace({ kind: 'ticket', outcome: 'withheld', ...why, atMs: hs.nowMs })
      continue
    }
    const stage = hs.own(earlyStage(hs.crypto, suite.hash, hs.own(ticket.preSharedKey)))
    const { expiresAtMs } = ticket
    hs.trace({ kind: 'ticket', outcome: 'offered', ageMs: ageOf(ticket, hs), expiresAtMs, atMs: hs.nowMs })
    return { origin: 'resumption', identity: ticket.ticket, hash: suite.hash, stage, ticket, suite }
  }
  return undefined
}

/** Why what the first handshake rested on would not do, if so. */
function* refusalOf(
  { crypto, nowMs }: HandshakeContext,
  options: ClientOptions,
  ticket: ClientTicket,
): Handshake<TicketRefusal | undefined> {
  const { verifier, serverName, externalPsks } = options
  const { externalPsk, peer } = ticket
  if (ticket.serverName !== serverName) return { reason: 'server_name_mismatch' }
  if (externalPsk !== undefined)
    return (yield* isStillConfigured(crypto, externalPsks, ticket))
      ? undefined
      : { reason: 'external_psk_gone' }
  if (peer === undefined || !acceptsCertificates(options)) return { reason: 'unproven_peer' }
  const context = { peerRole: 'server', nowMs, ...(serverName === undefined ? {} : { serverName }) } as const
  return judgeAgain(peer, verifier, options, context)
}
