import { equalBytes } from '../../bytes/bytes.ts'
import { HASH_BYTES, type GroupName, type PendingKeyAgreement } from '../../crypto/provider.ts'
import { TlsError } from '../errors.ts'
import { settled, type Handshake, type HandshakeContext } from '../handshake.ts'
import { earlyStage, finishedMac, type EarlyStage } from '../key-schedule.ts'
import {
  decodeClientHello,
  encodeClientHello,
  RANDOM_BYTES,
  type ClientHello,
} from '../messages/client-hello.ts'
import { Extensions } from '../messages/extensions.ts'
import type { HandshakeMessage } from '../messages/handshake-message.ts'
import { bindersLength, PSK_DHE_KE, type OfferedPsks } from '../messages/pre-shared-key.ts'
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
import {
  ExtensionType,
  NamedGroup,
  nameOf,
  ProtocolVersion,
  type CipherSuiteParameters,
} from '../registry.ts'
import {
  ECH_PLACEHOLDER,
  greaseEch,
  innerHello,
  outerRandom,
  planEch,
  sendEncryptedHello,
  type EchPlan,
  type OfferedEch,
} from './ech.ts'
import { drawGrease, greaseExtensions, type Grease } from './grease.ts'
import type { EarlyDataOutcome } from '../session/early-data.ts'
import type { ClientTicket } from '../session/resumption.ts'
import { Transcript } from '../transcript.ts'
import { isStillAccepted } from '../still-accepted.ts'
import { offerCertificates } from './certificate-offers.ts'

/** What we have said, and the secrets behind it. */
export interface Offer {
  readonly policy: NegotiationPolicy
  /** As it went out. With ECH the one inside, until the server has rejected it. */
  readonly hello: ClientHello
  readonly ech: OfferedEch | undefined
  readonly keyAgreements: readonly PendingKeyAgreement[]
  readonly resumption: OfferedResumption | undefined
  /** `pending` while early data may flow and the server has not answered. */
  readonly earlyData: EarlyDataOutcome | 'pending'
}

/** A ticket that is being offered. */
export interface OfferedResumption {
  readonly ticket: ClientTicket
  readonly suite: CipherSuiteParameters
  readonly stage: EarlyStage
}

/** Sends the first ClientHello. */
export function* sendClientHello(hs: HandshakeContext, options: ClientOptions): Handshake<Offer> {
  const policy = negotiationPolicy(options)
  const resumption = yield* chooseTicket(hs, options, policy)
  const earlyData = earlyDataFor(resumption, options, policy)
  const keyAgreements = offeredShares(options, policy).map((group) => hs.crypto.beginKeyAgreement(group))
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
  const offer = { policy, keyAgreements, resumption, earlyData }
  switch (plan.kind) {
    case 'encrypt':
      return { ...offer, ...sendFirstEncrypted(hs, { hello, plan, resumption }, options) }
    case 'grease': {
      hs.trace({ kind: 'ech', outcome: 'greased', atMs: hs.nowMs })
      const psks = resumption === undefined ? undefined : unboundPsks(hs, resumption)
      return { ...offer, ech: undefined, hello: sendHello(hs, greaseEch(hs.crypto, hello, psks), resumption) }
    }
    case 'none':
      return { ...offer, ech: undefined, hello: sendHello(hs, hello, resumption) }
  }
}

/** The hello that we mean, inside one that shows the public name only (RFC 9849 §6.1). */
function sendFirstEncrypted(
  hs: HandshakeContext,
  {
    hello,
    plan: { sealing },
    resumption,
  }: Pick<Offer, 'hello' | 'resumption'> & { readonly plan: Extract<EchPlan, { kind: 'encrypt' }> },
  { serverName }: ClientOptions,
): Pick<Offer, 'hello' | 'ech'> {
  const { publicName } = sealing.config
  hs.trace({ kind: 'ech', outcome: 'offered', publicName, atMs: hs.nowMs })
  const name = serverName === undefined ? undefined : checkServerName(serverName)
  const inner = innerHello(hello, { random: hello.random, serverName: name })
  const outer = { ...hello, random: outerRandom(hs.crypto) }
  const outerTranscript = new Transcript(hs.crypto)
  const sent = sendEncryptedHello(hs, sealing, { outer, inner: boundHello(hs, inner, resumption) })
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

/** All but those that depend on a ticket. */
function offeredExtensions(
  options: ClientOptions,
  { policy, keyAgreements, grease, plan }: Offered,
): Extensions<'client_hello'> {
  const { serverName, tickets } = options
  const { schemes, alpn, recordSizeLimit } = policy
  const greaseShare = meaningless(grease?.group).map((group) => ({ group, share: Uint8Array.of(0) }))
  const extensions = new Extensions('client_hello')
  if (plan.kind !== 'none') extensions.add('encrypted_client_hello', ECH_PLACEHOLDER)
  const shownName = plan.kind === 'encrypt' ? plan.sealing.config.publicName : serverName
  if (shownName !== undefined) extensions.add('server_name', checkServerName(shownName))
  extensions.add('supported_groups', [...meaningless(grease?.group), ...groupCodes(policy.groups)])
  extensions.add('signature_algorithms', [
    ...schemes.map(({ code }) => code),
    ...meaningless(grease?.signatureScheme),
  ])
  if (alpn.length > 0) extensions.add('application_layer_protocol_negotiation', alpn)
  offerCertificates(extensions, options)
  extensions.add('supported_versions', [...meaningless(grease?.version), ProtocolVersion.tls13])
  extensions.add('key_share', [...greaseShare, ...keyAgreements.map(keyShareEntry)])
  if (recordSizeLimit !== undefined) extensions.add('record_size_limit', recordSizeLimit)
  if (tickets !== undefined) extensions.add('psk_key_exchange_modes', [PSK_DHE_KE])
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
  const { policy } = first
  const { hash } = suiteOf(retry.cipherSuite, policy.suites)!
  hs.transcript.collapse(hash)
  hs.transcript.add(message.bytes)
  const group = retry.extensions.value('key_share')
  const keyAgreements = retriedShares(hs, first, group)
  const cookie = retry.extensions.value('cookie')
  // RFC 8446 §4.1.4: a ticket under another hash than the server's can no longer be bound.
  const resumption = first.resumption?.suite.hash === hash ? first.resumption : undefined
  const earlyData = first.earlyData === 'pending' ? 'hello_retry_request' : first.earlyData
  const offer = { policy, keyAgreements, resumption, earlyData }
  if (first.ech?.status !== 'accepted') {
    return { ...offer, ech: first.ech, hello: sendHello(hs, renewed(first.hello), resumption) }
  }
  // Of the first encapsulation the server has the keys by now (RFC 9849 §6.1.5).
  const ech = { ...first.ech, enc: new Uint8Array(0) }
  const outer = renewed(ech.outer)
  const serverName = first.hello.extensions.value('server_name')
  const inner = innerHello(outer, { random: first.hello.random, serverName })
  const sent = sendEncryptedHello(hs, ech, { outer, inner: boundHello(hs, inner, resumption) })
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

/** Sends a ClientHello, bound to the ticket that it offers. Yields it as it went out. */
function sendHello(
  hs: HandshakeContext,
  hello: ClientHello,
  resumption: OfferedResumption | undefined,
): ClientHello {
  return decodeClientHello(hs.send(boundHello(hs, hello, resumption)).body)
}

/** A ClientHello message that offers the ticket, if there is one. */
function boundHello(
  hs: HandshakeContext,
  hello: ClientHello,
  resumption: OfferedResumption | undefined,
): Uint8Array {
  if (resumption === undefined) return encodeClientHello(hello)
  const psks = unboundPsks(hs, resumption)
  const message = encodeClientHello({
    ...hello,
    extensions: Extensions.from(hello.extensions).add('pre_shared_key', psks),
  })
  const binder = bind(hs, resumption, message.subarray(0, message.length - bindersLength(psks)))
  message.set(binder, message.length - binder.length)
  return message
}

/** The offer of a ticket, with zeros in place of its binder. */
function unboundPsks(hs: HandshakeContext, { ticket, suite }: OfferedResumption): OfferedPsks {
  const age = Math.max(0, Math.floor(hs.nowMs - ticket.receivedAtMs))
  return {
    identities: [{ identity: ticket.ticket, obfuscatedAge: (age + ticket.ageAdd) % 2 ** 32 }],
    binders: [new Uint8Array(HASH_BYTES[suite.hash])],
  }
}

/** RFC 8446 §4.2.11.2. */
function bind(
  hs: HandshakeContext,
  { suite, stage }: OfferedResumption,
  truncatedHello: Uint8Array,
): Uint8Array {
  const key = stage.binderKey('resumption')
  const binder = finishedMac(hs.crypto, suite.hash, key, hs.transcript.hashWith(suite.hash, truncatedHello))
  key.fill(0)
  return binder
}

/** A ticket whose peer would still be accepted: resumption saves the proof, not the trust. */
function* chooseTicket(
  hs: HandshakeContext,
  options: ClientOptions,
  policy: NegotiationPolicy,
): Handshake<OfferedResumption | undefined> {
  const { tickets, verifier, rawPublicKeyVerifier, serverName } = options
  const rechecks = verifier.reverify !== undefined || rawPublicKeyVerifier?.reverify !== undefined
  if (tickets === undefined || !rechecks) return undefined
  const context = {
    peerRole: 'server',
    nowMs: hs.nowMs,
    ...(serverName === undefined ? {} : { serverName }),
  } as const
  for (
    let ticket = yield* settled(tickets.take(hs.nowMs));
    ticket !== undefined;
    ticket = yield* settled(tickets.take(hs.nowMs))
  ) {
    const suite = policy.suites.find(({ name }) => name === ticket.cipherSuite)
    if (suite === undefined || ticket.peer === undefined || ticket.serverName !== serverName) continue
    if (!isStillAccepted(ticket.peer, verifier, options, context)) continue
    return { ticket, suite, stage: earlyStage(hs.crypto, suite.hash, hs.own(ticket.preSharedKey)) }
  }
  return undefined
}

function earlyDataFor(
  resumption: OfferedResumption | undefined,
  { earlyData = false }: ClientOptions,
  { alpn }: NegotiationPolicy,
): Offer['earlyData'] {
  if (!earlyData) return 'disabled'
  if (resumption === undefined) return 'no_session_offered'
  const { ticket } = resumption
  if (ticket.maxEarlyDataBytes === 0) return 'unsupported_for_session'
  if (ticket.alpn !== undefined && !alpn.includes(ticket.alpn)) return 'alpn_mismatch'
  return 'pending'
}

function keyShareEntry({ group, share }: PendingKeyAgreement): { group: number; share: Uint8Array } {
  return { group: NamedGroup[group], share }
}

/**
 * The shares asked for; else one for the preferred group and one for the first of the other kind, hybrid or classical:
 * that saves a round trip with peers that know only one kind.
 */
function offeredShares({ keyShares }: ClientOptions, { groups }: NegotiationPolicy): readonly GroupName[] {
  if (keyShares === undefined) {
    const other = groups.find((group) => isHybrid(group) !== isHybrid(groups[0]!))
    return other === undefined ? [groups[0]!] : [groups[0]!, other]
  }
  const stray = keyShares.find((group) => !groups.includes(group))
  if (stray === undefined) return keyShares
  throw new TlsError('TLS_BAD_OPTIONS', `keyShares names ${stray}, which groups does not`)
}

function isHybrid(group: GroupName): boolean {
  return group === 'X25519MLKEM768'
}

function retriedShares(
  hs: HandshakeContext,
  first: Offer,
  code: number | undefined,
): readonly PendingKeyAgreement[] {
  if (code === undefined) return first.keyAgreements
  const group = groupOf(code, first.policy.groups)
  if (group !== undefined && !first.keyAgreements.some((pending) => pending.group === group)) {
    return [hs.crypto.beginKeyAgreement(group)]
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
