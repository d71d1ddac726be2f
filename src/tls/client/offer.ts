import { equalBytes } from '../../bytes/bytes.ts'
import { isPostQuantum } from '../../crypto/groups.ts'
import type { GroupName, PendingKeyAgreement } from '../../crypto/provider.ts'
import { checkCredentials } from '../credentials.ts'
import { TlsError } from '../errors.ts'
import type { Handshake, HandshakeContext } from '../handshake.ts'
import { RANDOM_BYTES, type ClientHello } from '../messages/client-hello.ts'
import { Extensions } from '../messages/extensions.ts'
import type { HandshakeMessage } from '../messages/handshake-message.ts'
import { PSK_DHE_KE } from '../messages/pre-shared-key.ts'
import type { HelloRetryRequest } from '../messages/server-hello.ts'
import type { ClientOptions } from '../options.ts'
import {
  checkServerName,
  groupCodes,
  groupOf,
  negotiationPolicy,
  suiteOf,
  type NegotiationPolicy,
} from '../policy.ts'
import { ExtensionType, NamedGroup, nameOf, ProtocolVersion } from '../registry.ts'
import {
  ECH_PLACEHOLDER,
  greaseEch,
  innerHello,
  planEch,
  sendEncryptedHello,
  type EchPlan,
  type OfferedEch,
} from './ech.ts'
import { drawGrease, greaseExtensions, type Grease } from './grease.ts'
import type { EarlyDataOutcome } from '../session/early-data.ts'
import { Transcript } from '../transcript.ts'
import { offerCertificates } from './certificate-offers.ts'
import { asSent } from './encoded-hello.ts'
import {
  acceptsCertificates,
  boundHello,
  choosePsks,
  offeredTicket,
  prunedPsks,
  unboundPsks,
  type OfferedPsk,
} from './psks.ts'

/** What we have said, and the secrets behind it. */
export interface Offer {
  readonly policy: NegotiationPolicy
  /** As it went out. With ECH the one inside, until the server has rejected it. */
  readonly hello: ClientHello
  readonly ech: OfferedEch | undefined
  readonly keyAgreements: readonly PendingKeyAgreement[]
  /** With ECH that was rejected, none. */
  readonly psks: readonly OfferedPsk[]
  /** Whether the server may do without any of them, and prove itself by certificate. */
  readonly acceptsCertificates: boolean
  /** Whether the server may choose a protocol that is not among ours. */
  readonly acceptsUnofferedAlpn: boolean
  /** `pending` while early data may flow and the server has not answered. */
  readonly earlyData: EarlyDataOutcome | 'pending'
}

/** Sends the first ClientHello. */
export function* sendClientHello(hs: HandshakeContext, options: ClientOptions): Handshake<Offer> {
  const policy = negotiationPolicy(options, 'client')
  checkCredentials(options.credential)
  const psks = yield* choosePsks(hs, options, policy)
  const earlyData = earlyDataFor(psks, options, policy)
  const keyAgreements = beginShares(hs, offeredShares(options, policy))
  const grease = options.grease === false ? undefined : drawGrease(hs.crypto)
  const plan = planEch(hs, options.ech)
  const extensions = offeredExtensions(options, { policy, keyAgreements, grease, plan })
  if (earlyData === 'pending') extensions.add('early_data', new Uint8Array(0))
  const random = hs.crypto.random(RANDOM_BYTES)
  const hello = {
    legacyVersion: ProtocolVersion.tls12,
    random,
    // A non-empty session id asks for the compatibility mode of RFC 8446 appendix D.4.
    sessionId: hs.crypto.random(32),
    cipherSuites: [...meaningless(grease?.cipherSuite), ...policy.suites.map(({ code }) => code)],
    compressionMethods: Uint8Array.of(0),
    extensions: grease === undefined ? extensions : greaseExtensions(hs.crypto, extensions, grease),
  }
  const offer = {
    policy,
    keyAgreements,
    psks,
    acceptsCertificates: acceptsCertificates(options),
    acceptsUnofferedAlpn: options.acceptUnofferedAlpn ?? false,
    earlyData,
  }
  switch (plan.kind) {
    case 'encrypt':
      return { ...offer, ...sendFirstEncrypted(hs, { hello, plan, psks }, options) }
    case 'grease': {
      hs.trace({ kind: 'ech', outcome: 'greased', atMs: hs.nowMs })
      const unbound = psks.length === 0 ? undefined : unboundPsks(hs, psks)
      return { ...offer, ech: undefined, hello: sendHello(hs, greaseEch(hs.crypto, hello, unbound), psks) }
    }
    case 'none':
      return { ...offer, ech: undefined, hello: sendHello(hs, hello, psks) }
  }
}

/** The hello that we mean, inside one that shows the public name only (RFC 9849 §6.1). */
function sendFirstEncrypted(
  hs: HandshakeContext,
  {
    hello,
    plan: { sealing },
    psks,
  }: Pick<Offer, 'hello' | 'psks'> & { readonly plan: Extract<EchPlan, { kind: 'encrypt' }> },
  { serverName }: ClientOptions,
): Pick<Offer, 'hello' | 'ech'> {
  const { publicName } = sealing.config
  hs.trace({ kind: 'ech', outcome: 'offered', publicName, atMs: hs.nowMs })
  const name = serverName === undefined ? undefined : checkServerName(serverName)
  const inner = innerHello(hello, { random: hello.random, serverName: name })
  const outer = { ...hello, random: sealing.outerRandom }
  const outerTranscript = new Transcript(hs.crypto)
  const sent = sendEncryptedHello(hs, sealing, { outer, inner: boundHello(hs, inner, psks) })
  outerTranscript.add(sent.outerBytes)
  return {
    hello: sent.hello,
    ech: { ...sealing, outer: sent.outer, outerTranscript, status: 'offered' },
  }
}

interface Offered extends Pick<Offer, 'policy' | 'keyAgreements'> {
  readonly grease: Grease | undefined
  readonly plan: EchPlan
}

/** All but those that depend on what is offered to go on from. */
function offeredExtensions(
  options: ClientOptions,
  { policy, keyAgreements, grease, plan }: Offered,
): Extensions<'client_hello'> {
  const { serverName, tickets, externalPsks } = options
  const { schemes, alpn, recordSizeLimit } = policy
  const greaseShare = meaningless(grease?.group).map((group) => ({ group, share: Uint8Array.of(0) }))
  const extensions = new Extensions('client_hello')
  if (plan.kind !== 'none') extensions.add('encrypted_client_hello', ECH_PLACEHOLDER)
  const shownName = plan.kind === 'encrypt' ? plan.sealing.config.publicName : serverName
  if (shownName !== undefined) extensions.add('server_name', checkServerName(shownName))
  extensions.add('supported_groups', [...meaningless(grease?.group), ...groupCodes(policy.groups)])
  // Who rejects an encrypted hello can prove the public name by certificate only.
  const readsCertificates = acceptsCertificates(options) || plan.kind === 'encrypt'
  if (readsCertificates) {
    extensions.add('signature_algorithms', [
      ...schemes.map(({ code }) => code),
      ...meaningless(grease?.signatureScheme),
    ])
    offerCertificates(extensions, options)
  }
  if (alpn.length > 0) extensions.add('application_layer_protocol_negotiation', alpn)
  extensions.add('supported_versions', [...meaningless(grease?.version), ProtocolVersion.tls13])
  extensions.add('key_share', [...greaseShare, ...keyAgreements.map(keyShareEntry)])
  if (recordSizeLimit !== undefined) extensions.add('record_size_limit', recordSizeLimit)
  if (tickets !== undefined || externalPsks !== undefined)
    extensions.add('psk_key_exchange_modes', [PSK_DHE_KE])
  return extensions
}

function meaningless(value: number | undefined): number[] {
  return value === undefined ? [] : [value]
}

/** Everything again, but with the share that the server asked for and its cookie (RFC 8446 §4.1.2). */
export function sendSecondClientHello(
  hs: HandshakeContext,
  first: Offer,
  retry: HelloRetryRequest,
  message: HandshakeMessage,
): Offer {
  const { policy, acceptsCertificates, acceptsUnofferedAlpn } = first
  const suite = suiteOf(retry.cipherSuite, policy.suites)!
  hs.transcript.collapse(suite.hash)
  hs.transcript.add(message.bytes)
  const group = retry.extensions.value('key_share')
  const keyAgreements = retriedShares(hs, first, group)
  const cookie = retry.extensions.value('cookie')
  const psks = prunedPsks(first.psks, suite)
  const earlyData = first.earlyData === 'pending' ? 'hello_retry_request' : first.earlyData
  const offer = { policy, keyAgreements, psks, acceptsCertificates, acceptsUnofferedAlpn, earlyData }
  if (first.ech?.status !== 'accepted') {
    return { ...offer, ech: first.ech, hello: sendHello(hs, renewed(first.hello), psks) }
  }
  // Of the first encapsulation the server has the keys by now (RFC 9849 §6.1.5).
  const ech = { ...first.ech, enc: new Uint8Array(0) }
  const outer = renewed(ech.outer)
  const serverName = first.hello.extensions.value('server_name')
  const inner = innerHello(outer, { random: first.hello.random, serverName })
  const sent = sendEncryptedHello(hs, ech, { outer, inner: boundHello(hs, inner, psks) })
  return { ...offer, ech: { ...ech, outer: sent.outer }, hello: sent.hello }

  function renewed(hello: ClientHello): ClientHello {
    const extensions = Extensions.from(hello.extensions)
      .remove(ExtensionType.pre_shared_key)
      .remove(ExtensionType.early_data)
    if (group !== undefined) extensions.add('key_share', keyAgreements.map(keyShareEntry))
    if (cookie !== undefined) extensions.add('cookie', cookie)
    return { ...hello, extensions }
  }
}

/** Sends a ClientHello, bound to the keys that it offers. Yields it as it went out. */
function sendHello(hs: HandshakeContext, hello: ClientHello, psks: readonly OfferedPsk[]): ClientHello {
  const bound = boundHello(hs, hello, psks)
  return asSent(bound, hs.send(bound.message))
}

function earlyDataFor(
  psks: readonly OfferedPsk[],
  { earlyData = false }: ClientOptions,
  { alpn }: NegotiationPolicy,
): Offer['earlyData'] {
  if (!earlyData) return 'disabled'
  const { ticket } = offeredTicket(psks) ?? {}
  if (ticket === undefined) return 'no_session_offered'
  if (ticket.maxEarlyDataBytes === 0) return 'unsupported_for_session'
  if (ticket.alpn !== undefined && !alpn.includes(ticket.alpn)) return 'alpn_mismatch'
  return 'pending'
}

function keyShareEntry({ group, share }: PendingKeyAgreement): { group: number; share: Uint8Array } {
  return { group: NamedGroup[group], share }
}

/**
 * The shares asked for; else one for the preferred group and one for the first of the other kind, post-quantum or
 * classical: that saves a round trip with peers that know only one kind.
 */
function offeredShares({ keyShares }: ClientOptions, { groups }: NegotiationPolicy): readonly GroupName[] {
  if (keyShares === undefined) {
    const other = groups.find((group) => isPostQuantum(group) !== isPostQuantum(groups[0]!))
    return other === undefined ? [groups[0]!] : [groups[0]!, other]
  }
  const stray = keyShares.find((group) => !groups.includes(group))
  if (stray === undefined) return keyShares
  throw new TlsError('TLS_BAD_OPTIONS', `keyShares names ${stray}, which groups does not`)
}

/** What shares of two groups have in common is one key (draft-ietf-tls-hybrid-design §3.2): to make one costs much. */
function beginShares(hs: HandshakeContext, groups: readonly GroupName[]): readonly PendingKeyAgreement[] {
  const begun: PendingKeyAgreement[] = []
  for (const group of groups) {
    const half = begun.find(({ classical }) => classical?.group === group)?.classical
    begun.push(half ?? beginShare(hs, group))
  }
  return begun
}

/** Its key is gone with the connection at the latest. */
function beginShare(hs: HandshakeContext, group: GroupName): PendingKeyAgreement {
  const pending = hs.crypto.beginKeyAgreement(group)
  hs.own({ [Symbol.dispose]: () => pending.forget?.() })
  return pending
}

/** Once it is settled which key serves, or that none does, the others are for nothing. */
export function forgetKeys(keyAgreements: readonly PendingKeyAgreement[]): void {
  for (const pending of keyAgreements) pending.forget?.()
}

function retriedShares(
  hs: HandshakeContext,
  first: Offer,
  code: number | undefined,
): readonly PendingKeyAgreement[] {
  if (code === undefined) return first.keyAgreements
  const group = groupOf(code, first.policy.groups)
  if (group !== undefined && !first.keyAgreements.some((pending) => pending.group === group)) {
    forgetKeys(first.keyAgreements)
    return [beginShare(hs, group)]
  }
  const problem = group === undefined ? 'not offered' : 'already shared'
  throw new TlsError(
    'TLS_ILLEGAL_PARAMETER',
    `HelloRetryRequest asks for ${nameOf(NamedGroup, code)}, which was ${problem}`,
  )
}

/** Whether the server's session id is ours. */
export function echoes(offer: Offer, sessionId: Uint8Array): boolean {
  return equalBytes(sessionId, offer.hello.sessionId)
}
