/** Which of the pre-shared keys that a client offers is taken (RFC 8446 §4.2.11). */
import { equalBytes } from '../../bytes/bytes.ts'
import { TlsError } from '../errors.ts'
import { settled, type Handshake, type HandshakeContext } from '../handshake.ts'
import { earlyStage } from '../key-schedule.ts'
import type { ClientHello } from '../messages/client-hello.ts'
import { bindersLength, PSK_DHE_KE } from '../messages/pre-shared-key.ts'
import type { ServerOptions } from '../options.ts'
import { pskBinder } from '../psk-binder.ts'
import { ExtensionType, type CipherSuiteParameters } from '../registry.ts'
import {
  externalIdentityIn,
  externalPskTag,
  importedIdentity,
  importPsk,
  type ExternalPsk,
  type ExternalPskLookup,
} from '../session/external-psk.ts'
import { rejudged } from '../still-accepted.ts'
import type { Chosen } from './choose.ts'
import { MAX_IDENTITIES_TRIED, redeemTicket, type Selected, type SelectedTicket } from './resume.ts'

/** A key that was given beforehand. */
export interface SelectedExternalPsk extends Selected {
  readonly origin: 'imported'
  readonly external: ExternalPsk
}

/** The client's key that is taken. */
export type SelectedPsk = SelectedTicket | SelectedExternalPsk

/**
 * The first of the client's tickets that may still be honoured.
 *
 * @throws TlsError TLS_MISSING_EXTENSION, TLS_BAD_BINDER
 */
export function* selectTicket(
  hs: HandshakeContext,
  options: ServerOptions,
  chosen: Chosen,
): Handshake<SelectedTicket | undefined> {
  if (!speaksOurMode(chosen.hello)) return undefined
  const ticket = yield* redeemTicket(hs, options, chosen)
  if (ticket === undefined) return undefined
  checkBinder(hs, chosen, ticket)
  traceTicket(hs, ticket)
  return ticket
}

/**
 * The first of our own keys that the client has too.
 *
 * @throws TlsError TLS_BAD_BINDER, TLS_ILLEGAL_PARAMETER; TLS_NO_COMMON_PSK when there is none and certificates are out
 * of the question
 */
export function* selectExternalPsk(
  hs: HandshakeContext,
  options: ServerOptions,
  chosen: Chosen,
): Handshake<SelectedExternalPsk | undefined> {
  const external = speaksOurMode(chosen.hello) ? yield* findExternal(hs, options, chosen) : undefined
  if (external !== undefined) checkBinder(hs, chosen, external)
  else if (needsPsk(options, chosen.hello)) throw noCommonPsk(chosen.hello)
  return external
}

function traceTicket(hs: HandshakeContext, { state, ageSkewMs }: SelectedTicket): void {
  const atMs = hs.nowMs
  hs.trace({ kind: 'ticket', outcome: 'accepted', ageMs: atMs - state.issuedAtMs, ageSkewMs, atMs })
  if (state.peer !== undefined) hs.trace({ kind: 'identity', ...rejudged(state.peer), atMs })
}

/** @throws TlsError TLS_MISSING_EXTENSION */
function speaksOurMode({ extensions }: ClientHello): boolean {
  const modes = extensions.value('psk_key_exchange_modes')
  if (modes === undefined && extensions.has(ExtensionType.pre_shared_key)) {
    throw new TlsError(
      'TLS_MISSING_EXTENSION',
      'The client offers pre_shared_key without psk_key_exchange_modes (RFC 8446 §4.2.9)',
    )
  }
  return modes?.includes(PSK_DHE_KE) ?? false
}

/** Of the key given beforehand that a connection rests on, itself or by the handshake that it resumes. */
export function tagOf({ crypto }: HandshakeContext, psk: SelectedPsk | undefined): Uint8Array | undefined {
  return psk?.origin === 'imported' ? externalPskTag(crypto, psk.external) : psk?.state.externalPskTag
}

/** In our order of preference; what does not match exactly is a key of somebody else. */
function* findExternal(
  hs: HandshakeContext,
  { externalPsks = [] }: ServerOptions,
  { hello, firstHello, suite }: Chosen,
): Handshake<SelectedExternalPsk | undefined> {
  const known = typeof externalPsks === 'function' ? yield* lookUp(externalPsks, hello) : externalPsks
  for (const external of known) {
    const index = placeOf(external, hello, suite)
    if (index === -1) {
      if (firstHello !== undefined && placeOf(external, firstHello, suite) !== -1) throw withdrawn()
      continue
    }
    const { hash } = suite
    const { key } = importPsk(hs.crypto, external, hash)
    const stage = hs.own(earlyStage(hs.crypto, hash, key))
    key.fill(0)
    return { origin: 'imported', index, hash, stage, external }
  }
  return undefined
}

/** Asks for each of the client's identities, in its order, and once where it comes under several hashes. */
function* lookUp(find: ExternalPskLookup, { extensions }: ClientHello): Handshake<readonly ExternalPsk[]> {
  const { identities } = extensions.value('pre_shared_key') ?? { identities: [] }
  const asked: Uint8Array[] = []
  const found: ExternalPsk[] = []
  for (const { identity } of identities.slice(0, MAX_IDENTITIES_TRIED)) {
    const external = externalIdentityIn(identity)
    if (external === undefined || asked.some((earlier) => equalBytes(earlier, external))) continue
    asked.push(external)
    found.push(...(yield* settled(find(external))))
  }
  return found
}

function placeOf(
  external: ExternalPsk,
  { extensions }: ClientHello,
  { hash }: CipherSuiteParameters,
): number {
  const imported = importedIdentity(external, hash)
  const identities = extensions.value('pre_shared_key')?.identities ?? []
  return identities.findIndex(({ identity }) => equalBytes(identity, imported))
}

/** RFC 8446 §4.1.2: after a HelloRetryRequest a client leaves out keys under another hash, and no others. */
function withdrawn(): TlsError {
  return new TlsError(
    'TLS_ILLEGAL_PARAMETER',
    'The second ClientHello leaves out a pre-shared key that the first one offered',
  )
}

/** The binder proves that the client has the key (RFC 8446 §4.2.11.2). */
function checkBinder(hs: HandshakeContext, { hello, message }: Chosen, selected: SelectedPsk): void {
  const { binders } = hello.extensions.value('pre_shared_key')!
  const truncated = message.bytes.subarray(0, message.bytes.length - bindersLength({ binders }))
  if (equalBytes(binders[selected.index]!, pskBinder(hs, selected, truncated))) return
  const what = selected.origin === 'resumption' ? 'a ticket' : 'an external pre-shared key'
  throw new TlsError('TLS_BAD_BINDER', `The client offers ${what} and cannot prove that it has its key`)
}

/** Whether certificates are out of the question, for want of ours or because the client reads none. */
function needsPsk({ externalPsks, credential }: ServerOptions, { extensions }: ClientHello): boolean {
  if (externalPsks === undefined) return false
  const readsCertificates = extensions.has(ExtensionType.signature_algorithms)
  return credential === undefined || (!readsCertificates && extensions.has(ExtensionType.pre_shared_key))
}

function noCommonPsk(hello: ClientHello): TlsError {
  const offered = hello.extensions.value('pre_shared_key')?.identities.length ?? 0
  const problem =
    offered === 0
      ? 'The client offers no pre-shared key, and certificates are out of the question'
      : speaksOurMode(hello)
        ? `None of the ${offered} pre-shared keys that the client offers is one of ours`
        : 'The client does not offer to use its pre-shared keys with a key agreement (psk_dhe_ke)'
  return new TlsError('TLS_NO_COMMON_PSK', problem)
}
