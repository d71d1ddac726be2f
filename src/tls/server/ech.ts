/** The server's part in Encrypted ClientHello, in front and behind in one (RFC 9849 §7, shared mode). */
import { CryptoError } from '../../crypto/errors.ts'
import { setupReceiver, type HpkeContext, type RevealSecret } from '../../crypto/hpke.ts'
import type { CryptoProvider } from '../../crypto/provider.ts'
import { describeClientHello } from '../describe.ts'
import { confirmed } from '../ech/acceptance.ts'
import { echInfo, encodeEchConfigList, hpkeSuites, type EchKey } from '../ech/config.ts'
import { logEch } from '../ech/key-log.ts'
import { ECH_CONFIRMATION_BYTES, type EchOuter } from '../ech/extension.ts'
import { decodeInnerHello, type WholeHello } from '../ech/inner-hello.ts'
import { TlsError } from '../errors.ts'
import type { HandshakeContext } from '../handshake.ts'
import { decodeClientHello, encodeClientHello, type ClientHello } from '../messages/client-hello.ts'
import { Extensions } from '../messages/extensions.ts'
import { asMessage, type HandshakeMessage } from '../messages/handshake-message.ts'
import type { HelloRetryRequest, ServerHello } from '../messages/server-hello.ts'
import type { ServerEch } from '../options.ts'
import type { CipherSuiteParameters } from '../registry.ts'

/** An encrypted hello that we could read, and what the second one of its connection must be read with. */
interface Opening {
  readonly extension: EchOuter
  readonly context: HpkeContext
}

/** The ClientHello that counts, with its message. */
export interface ReceivedHello extends WholeHello {
  /** Set when it came encrypted. */
  readonly opening: Opening | undefined
  /** Whether there is one inside that we could not read, or that never was. */
  readonly echRejected: boolean
}

/**
 * Looks into a first ClientHello. One that cannot be read is no fault: it may be meant for a key of yesterday, or mean
 * nothing at all.
 *
 * @throws TlsError TLS_ILLEGAL_PARAMETER for one that can be read and is against the rules, DecodeError
 */
export function openClientHello(
  hs: HandshakeContext,
  ech: ServerEch | undefined,
  message: HandshakeMessage,
): ReceivedHello {
  const hello = decodeClientHello(message.body)
  const extension = hello.extensions.value('encrypted_client_hello')
  const asItCame = { hello, message, opening: undefined }
  if (ech === undefined || extension === undefined) return { ...asItCame, echRejected: false }
  if (extension.kind === 'inner') {
    throw new TlsError(
      'TLS_ILLEGAL_PARAMETER',
      'A ClientHello that is meant for the inside of an encrypted one came by itself',
    )
  }
  const additionalData = outerAdditionalData(hello, extension)
  for (const key of ech.keys) {
    const receiver = receiverFor(hs, key, extension)
    const encoded = receiver?.context.open(additionalData, extension.payload)
    if (receiver === undefined || encoded === undefined) continue
    const { context, sharedSecret } = receiver
    logEch(hs, hello, key.config, sharedSecret)
    sharedSecret.fill(0)
    const inner = decodeInnerHello(encoded, hello)
    if (ech.accepts?.(inner.hello.extensions.value('server_name')) === false) {
      hs.trace({ kind: 'ech', outcome: 'rejected', publicName: key.config.publicName, atMs: hs.nowMs })
      return { ...asItCame, echRejected: false }
    }
    hs.trace({ kind: 'ech', outcome: 'accepted', publicName: key.config.publicName, atMs: hs.nowMs })
    traceInner(hs, inner)
    hs.padMessages()
    return { ...inner, opening: { extension, context }, echRejected: false }
  }
  hs.trace({ kind: 'ech', outcome: 'rejected', atMs: hs.nowMs })
  return { ...asItCame, echRejected: true }
}

/**
 * Reads the second ClientHello of a connection as the first one was (RFC 9849 §7.1.1).
 *
 * @throws TlsError TLS_MISSING_EXTENSION, TLS_ILLEGAL_PARAMETER, TLS_ECH_UNREADABLE, DecodeError
 */
export function openSecondClientHello(
  hs: HandshakeContext,
  first: ReceivedHello,
  message: HandshakeMessage,
): ReceivedHello {
  const hello = decodeClientHello(message.body)
  const { opening, echRejected } = first
  if (opening === undefined) return { hello, message, opening, echRejected }
  const extension = hello.extensions.value('encrypted_client_hello')
  if (extension === undefined)
    throw new TlsError(
      'TLS_MISSING_EXTENSION',
      'The second ClientHello is not encrypted as the first one was',
    )
  if (extension.kind !== 'outer' || !goesOn(opening.extension, extension)) {
    throw new TlsError(
      'TLS_ILLEGAL_PARAMETER',
      'The second ClientHello is encrypted under another config, suite or key than the first one',
    )
  }
  const encoded = opening.context.open(outerAdditionalData(hello, extension), extension.payload)
  if (encoded === undefined)
    throw new TlsError(
      'TLS_ECH_UNREADABLE',
      'The second ClientHello cannot be decrypted with the keys of the first',
    )
  const inner = decodeInnerHello(encoded, hello)
  traceInner(hs, inner)
  return { ...inner, opening, echRejected }
}

function goesOn(first: EchOuter, { configId, kdf, aead, enc }: EchOuter): boolean {
  return configId === first.configId && kdf === first.kdf && aead === first.aead && enc.length === 0
}

function traceInner(hs: HandshakeContext, { hello }: WholeHello): void {
  const details = describeClientHello(hello)
  hs.trace({ kind: 'inner_hello', direction: 'received', details, atMs: hs.nowMs })
}

interface Receiver {
  readonly context: HpkeContext
  /** For the key log. */
  readonly sharedSecret: Uint8Array
}

/** Undefined when the hello is not for this key, or its encapsulated key is none. */
function receiverFor(
  hs: HandshakeContext,
  { config, key }: EchKey,
  { configId, kdf, aead, enc }: EchOuter,
): Receiver | undefined {
  if (config.configId !== configId) return undefined
  const suite = hpkeSuites(config).find((candidate) => candidate.kdf === kdf && candidate.aead === aead)
  if (suite === undefined) return undefined
  try {
    let sharedSecret = new Uint8Array(0)
    const reveal: RevealSecret = (secret) => (sharedSecret = hs.own(secret.slice()))
    const context = hs.own(setupReceiver(hs.crypto, suite, key, { enc, info: echInfo(config), reveal }))
    return { context, sharedSecret }
  } catch (thrown) {
    if (thrown instanceof CryptoError && thrown.code === 'CRYPTO_INVALID_KEY_SHARE') return undefined
    throw thrown
  }
}

/** ClientHelloOuterAAD: the outer hello with zeros in place of what is encrypted (RFC 9849 §5.2). */
function outerAdditionalData(hello: ClientHello, extension: EchOuter): Uint8Array {
  const extensions = Extensions.from(hello.extensions).add('encrypted_client_hello', {
    ...extension,
    payload: new Uint8Array(extension.payload.length),
  })
  return asMessage(encodeClientHello({ ...hello, extensions })).body
}

/** Puts in what tells the client, and nobody else, that the hello inside counts; without one it changes nothing. */
export function withEchConfirmation(
  hs: HandshakeContext,
  { random, extensions }: ClientHello,
  answer: ServerHello | HelloRetryRequest,
  { hash }: CipherSuiteParameters,
): ServerHello | HelloRetryRequest {
  if (extensions.value('encrypted_client_hello')?.kind !== 'inner') return answer
  return confirmed(hs.crypto, answer, { hash, innerRandom: random, transcript: hs.transcript })
}

/** Random bytes in place of a confirmation: a HelloRetryRequest looks the same either way (RFC 9849 §10.10.4). */
export function unconfirmed(crypto: CryptoProvider): Uint8Array {
  return crypto.random(ECH_CONFIRMATION_BYTES)
}

/** What a client whose hello could not be read may try next; undefined when there is nothing to offer. */
export function retryConfigsFor(
  ech: ServerEch | undefined,
  { echRejected }: Pick<ReceivedHello, 'echRejected'>,
): Uint8Array | undefined {
  if (ech === undefined || !echRejected) return undefined
  const configs = ech.retryConfigs ?? encodeEchConfigList(ech.keys.map(({ config }) => config))
  // An ECHConfigList holds one config at least.
  return configs.length > 2 ? configs : undefined
}
