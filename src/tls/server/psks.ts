/** Which of the pre-shared keys that a client offers is taken (RFC 8446 §4.2.11). */
import { equalBytes } from '../../bytes/bytes.ts'
import { TlsError } from '../errors.ts'
import type { Handshake, HandshakeContext } from '../handshake.ts'
import { earlyStage } from '../key-schedule.ts'
import type { ClientHello } from '../messages/client-hello.ts'
import { bindersLength, PSK_DHE_KE } from '../messages/pre-shared-key.ts'
import type { ServerOptions } from '../options.ts'
import { pskBinder } from '../psk-binder.ts'
import { ExtensionType, type CipherSuiteParameters } from '../registry.ts'
import { importedIdentity, importPsk, type ExternalPsk } from '../session/external-psk.ts'
import { rejudged } from '../still-accepted.ts'
import type { Chosen } from './choose.ts'
import { redeemTicket, type Selected, type SelectedTicket } from './resume.ts'

/** A key that was given beforehand. */
export interface SelectedExternalPsk extends Selected {
  readonly origin: 'imported'
  readonly external: ExternalPsk
}

/** The client's key that is taken. */
export type SelectedPsk = SelectedTicket | SelectedExternalPsk

/**
 * Chooses the first of the client's tickets that may still be honoured, else the first of our own keys that the client
 * has too; none leads to certificates.
 *
 * @throws TlsError TLS_MISSING_EXTENSION, TLS_BAD_BINDER, TLS_ILLEGAL_PARAMETER, TLS_NO_COMMON_PSK
 */
export function* selectPsk(
  hs: HandshakeContext,
  options: ServerOptions,
  chosen: Chosen,
): Handshake<SelectedPsk | undefined> {
  const selected = speaksOurMode(chosen.hello)
    ? ((yield* redeemTicket(hs, options, chosen)) ?? selectExternal(hs, options, chosen))
    : undefined
  if (selected !== undefined) {
    checkBinder(hs, chosen, selected)
    if (selected.origin === 'resumption') traceTicket(hs, selected)
    return selected
  }
  if (needsPsk(options, chosen.hello)) throw noCommonPsk(chosen.hello)
  return undefined
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

/** In our order of preference; what does not match exactly is a key of somebody else. */
function selectExternal(
  hs: HandshakeContext,
  { externalPsks = [] }: ServerOptions,
  { hello, firstHello, suite }: Chosen,
): SelectedExternalPsk | undefined {
  for (const external of externalPsks) {
    const index = placeOf(external, hello, suite)
    if (index === -1) {
      if (firstHello !== undefined && placeOf(external, firstHello, suite) !== -1) throw withdrawn(hello)
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
function withdrawn({ extensions }: ClientHello): TlsError {
  return extensions.has(ExtensionType.pre_shared_key)
    ? new TlsError(
        'TLS_ILLEGAL_PARAMETER',
        'The second ClientHello leaves out a pre-shared key that the first one offered',
      )
    : new TlsError(
        'TLS_MISSING_EXTENSION',
        'The second ClientHello carries no pre_shared_key, which the first one did',
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
