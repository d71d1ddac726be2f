/** The client's part in Encrypted ClientHello (RFC 9849 §6). */
import { DecodeError } from '../../bytes/errors.ts'
import { CryptoError } from '../../crypto/errors.ts'
import { HpkeAead, HpkeKdf, setupSender, type HpkeContext, type HpkeSuite } from '../../crypto/hpke.ts'
import { AEAD_TAG_BYTES, type CryptoProvider } from '../../crypto/provider.ts'
import { describeClientHello } from '../describe.ts'
import { confirms } from '../ech/acceptance.ts'
import { chooseEchConfig, decodeEchConfigList, echInfo, type EchConfig } from '../ech/config.ts'
import { logEch } from '../ech/key-log.ts'
import type { EchOuter } from '../ech/extension.ts'
import { encodeInnerHello } from '../ech/inner-hello.ts'
import { TlsError } from '../errors.ts'
import type { HandshakeContext } from '../handshake.ts'
import { encodeClientHello, RANDOM_BYTES, type ClientHello } from '../messages/client-hello.ts'
import { Extensions } from '../messages/extensions.ts'
import { asMessage } from '../messages/handshake-message.ts'
import type { OfferedPsks } from '../messages/pre-shared-key.ts'
import type { HelloRetryRequest, ServerHello } from '../messages/server-hello.ts'
import type { ClientEch } from '../options.ts'
import { ExtensionType, type CipherSuiteParameters } from '../registry.ts'
import type { Transcript } from '../transcript.ts'
import { asSent, type EncodedHello } from './encoded-hello.ts'

/** What a client does about ECH. */
export type EchPlan =
  | { readonly kind: 'none' }
  /** Looks as if: a random extension stands in the ClientHello (RFC 9849 §6.2). */
  | { readonly kind: 'grease' }
  | { readonly kind: 'encrypt'; readonly sealing: EchSealing }

/** What it takes to encrypt hellos to a server. */
export interface EchSealing {
  readonly config: EchConfig
  readonly context: HpkeContext
  /** The encapsulated key, which goes with the first hello. */
  readonly enc: Uint8Array
  /** The random of the hello that everybody can read. */
  readonly outerRandom: Uint8Array
}

/** An encrypted hello that is on its way, or answered. */
export interface OfferedEch extends EchSealing {
  /** The ClientHello that everybody can read, as it went out. */
  readonly outer: ClientHello
  /** What the messages are if that one counts. */
  readonly outerTranscript: Transcript
  readonly status: 'offered' | 'accepted' | 'rejected'
}

/** Decides, once per connection. @throws TlsError TLS_BAD_OPTIONS */
export function planEch(hs: HandshakeContext, ech: ClientEch | undefined): EchPlan {
  if (ech === undefined) return { kind: 'none' }
  const { configs, required = configs !== undefined, grease = false } = ech
  const chosen = chooseEchConfig(configs === undefined || configs.length === 0 ? [] : readConfigs(configs))
  if (chosen !== undefined) return { kind: 'encrypt', sealing: beginSealing(hs, chosen) }
  if (required) {
    throw new TlsError(
      'TLS_BAD_OPTIONS',
      'None of the ECH configs can be used, and without one the server name would go out in the clear',
    )
  }
  return { kind: grease ? 'grease' : 'none' }
}

function readConfigs(configs: Uint8Array): EchConfig[] {
  try {
    return decodeEchConfigList(configs)
  } catch (cause) {
    if (!(cause instanceof DecodeError)) throw cause
    throw new TlsError('TLS_BAD_OPTIONS', `The list of ECH configs is malformed: ${cause.message}`, { cause })
  }
}

function beginSealing(
  hs: HandshakeContext,
  { config, suite }: { readonly config: EchConfig; readonly suite: HpkeSuite },
): EchSealing {
  try {
    const outerRandom = hs.crypto.random(RANDOM_BYTES)
    const { enc, context } = setupSender(hs.crypto, suite, {
      publicKey: config.publicKey,
      info: echInfo(config),
      reveal: (sharedSecret) => logEch(hs, { random: outerRandom }, config, sharedSecret),
    })
    return { config, enc, context: hs.own(context), outerRandom }
  } catch (cause) {
    if (!(cause instanceof CryptoError)) throw cause
    throw new TlsError('TLS_BAD_OPTIONS', 'The public key of the ECH config is none', { cause })
  }
}

/** Holds the place of the extension until there is a hello to encrypt. */
export const ECH_PLACEHOLDER: EchOuter = {
  kind: 'outer',
  kdf: HpkeKdf.hkdfSha256,
  aead: HpkeAead.aes128Gcm,
  configId: 0,
  enc: new Uint8Array(0),
  payload: new Uint8Array(1),
}

/** Fills the place with randomness, as long as the real thing would be. */
export function greaseEch(
  crypto: CryptoProvider,
  hello: ClientHello,
  psks: OfferedPsks | undefined,
): ClientHello {
  const inner = innerHello(hello, { random: hello.random, serverName: hello.extensions.value('server_name') })
  if (psks !== undefined) inner.extensions.add('pre_shared_key', psks)
  const length = encodeInnerHello(inner, hello, 0).length + AEAD_TAG_BYTES
  const extension = {
    ...ECH_PLACEHOLDER,
    configId: crypto.random(1)[0]!,
    // A public key of x25519 is what its KEM encapsulates to.
    enc: publicKeyOfNobody(crypto),
    payload: crypto.random(length),
  }
  return { ...hello, extensions: Extensions.from(hello.extensions).add('encrypted_client_hello', extension) }
}

function publicKeyOfNobody(crypto: CryptoProvider): Uint8Array {
  const pending = crypto.beginKeyAgreement('x25519')
  pending.forget?.()
  return pending.share
}

/**
 * The hello inside, for the one outside. What both have in common comes first and in one order, as its compression
 * demands; of its order nothing can be seen.
 */
export function innerHello(
  outer: ClientHello,
  { random, serverName }: { readonly random: Uint8Array; readonly serverName: string | undefined },
): ClientHello {
  const extensions = Extensions.from(outer.extensions)
    .remove(ExtensionType.server_name)
    .remove(ExtensionType.encrypted_client_hello)
  if (serverName !== undefined) extensions.add('server_name', serverName)
  return { ...outer, random, extensions: extensions.add('encrypted_client_hello', { kind: 'inner' }) }
}

/** Sends `outer` with the message `inner` sealed inside, which is what the transcript counts for now. */
export function sendEncryptedHello(
  hs: HandshakeContext,
  sealing: EchSealing,
  { outer, inner: { hello, message } }: { readonly outer: ClientHello; readonly inner: EncodedHello },
): { readonly hello: ClientHello; readonly outer: ClientHello; readonly outerBytes: Uint8Array } {
  hs.trace({ kind: 'inner_hello', direction: 'sent', details: describeClientHello(hello), atMs: hs.nowMs })
  const sealed = seal(hs.crypto, sealing, outer, hello)
  const encoded = encodeClientHello(sealed)
  const sent = hs.send(encoded, message)
  return { hello, outer: asSent({ hello: sealed, message: encoded }, sent), outerBytes: sent.bytes }
}

/** RFC 9849 §6.1.1. */
function seal(
  crypto: CryptoProvider,
  { config, context, enc }: EchSealing,
  hello: ClientHello,
  inner: ClientHello,
): ClientHello {
  const encoded = encodeInnerHello(inner, hello, config.maximumNameLength)
  const { kdf, aead } = context.suite
  const extension = { kind: 'outer', kdf, aead, configId: config.configId, enc } as const
  const extensions = Extensions.from(hello.extensions)
  extensions.add('encrypted_client_hello', {
    ...extension,
    payload: new Uint8Array(encoded.length + AEAD_TAG_BYTES),
  })
  const psks = inner.extensions.value('pre_shared_key')
  if (psks !== undefined) extensions.add('pre_shared_key', greasePsks(crypto, psks))
  const outer = { ...hello, extensions }
  const payload = context.seal(asMessage(encodeClientHello(outer)).body, encoded)
  extensions.add('encrypted_client_hello', { ...extension, payload })
  return outer
}

/** What makes a resumption look asked for, of the same lengths as the real thing (RFC 9849 §6.1.2). */
function greasePsks(crypto: CryptoProvider, { identities, binders }: OfferedPsks): OfferedPsks {
  return {
    identities: identities.map(({ identity }) => ({
      identity: crypto.random(identity.length),
      obfuscatedAge: new DataView(crypto.random(4).buffer).getUint32(0),
    })),
    binders: binders.map((binder) => crypto.random(binder.length)),
  }
}

/**
 * What the server's answer says about our encrypted hello (RFC 9849 §6.1.4).
 *
 * @throws TlsError TLS_ILLEGAL_PARAMETER when a HelloRetryRequest accepted it and the ServerHello does not
 */
export function judgeAnswer(
  hs: HandshakeContext,
  { ech, hello }: { readonly ech: OfferedEch; readonly hello: ClientHello },
  answer: ServerHello | HelloRetryRequest,
  { hash }: CipherSuiteParameters,
): 'accepted' | 'rejected' {
  if (ech.status === 'rejected') return 'rejected'
  using transcript = hs.transcript.clone()
  if (answer.kind === 'hello_retry_request') transcript.collapse(hash)
  const accepted = confirms(hs.crypto, answer, { hash, innerRandom: hello.random, transcript })
  if (ech.status === 'accepted') {
    if (accepted) return 'accepted'
    throw new TlsError(
      'TLS_ILLEGAL_PARAMETER',
      'The server accepted the encrypted ClientHello in HelloRetryRequest and not in ServerHello',
    )
  }
  const outcome = accepted ? 'accepted' : 'rejected'
  hs.trace({ kind: 'ech', outcome, publicName: ech.config.publicName, atMs: hs.nowMs })
  return outcome
}

/** The end of a handshake whose hello nobody could read: its server is known by the public name and no more. */
export function echRejection(
  { config: { publicName } }: OfferedEch,
  retryConfigs: Uint8Array | undefined,
): TlsError {
  const advice =
    retryConfigs === undefined
      ? 'and offers no other, so it speaks ECH no more'
      : 'and offers others to try again with'
  return new TlsError(
    'TLS_ECH_REJECTED',
    `The server, as "${publicName}", does not know the ECH config we encrypted to, ${advice}`,
    { retryConfigs },
  )
}
