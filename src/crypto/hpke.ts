/** Hybrid Public Key Encryption (RFC 9180) in its base mode: to whoever holds a key, from nobody in particular. */
import { concat, utf8 } from '../bytes/bytes.ts'
import { Writer } from '../bytes/writer.ts'
import { CryptoError } from './errors.ts'
import { hkdfExpand, hkdfExtract } from './hkdf.ts'
import {
  AEAD_KEY_BYTES,
  AEAD_NONCE_BYTES,
  AEAD_TAG_BYTES,
  type AeadName,
  type CryptoProvider,
  type HashName,
  type KeyAgreementKey,
  type StaticGroupName,
} from './provider.ts'

/** Key encapsulation mechanisms (RFC 9180 §7.1). */
export const HpkeKem = { p256: 0x0010, x25519: 0x0020 } as const
export type HpkeKem = (typeof HpkeKem)[keyof typeof HpkeKem]

/** Key derivation functions (RFC 9180 §7.2). */
export const HpkeKdf = { hkdfSha256: 0x0001, hkdfSha384: 0x0002 } as const
export type HpkeKdf = (typeof HpkeKdf)[keyof typeof HpkeKdf]

/** Ciphers (RFC 9180 §7.3). */
export const HpkeAead = { aes128Gcm: 0x0001, aes256Gcm: 0x0002, chacha20Poly1305: 0x0003 } as const
export type HpkeAead = (typeof HpkeAead)[keyof typeof HpkeAead]

export interface HpkeSuite {
  readonly kem: HpkeKem
  readonly kdf: HpkeKdf
  readonly aead: HpkeAead
}

const GROUPS: Readonly<Record<HpkeKem, StaticGroupName>> = {
  [HpkeKem.p256]: 'secp256r1',
  [HpkeKem.x25519]: 'x25519',
}
const HASHES: Readonly<Record<HpkeKdf, HashName>> = {
  [HpkeKdf.hkdfSha256]: 'sha256',
  [HpkeKdf.hkdfSha384]: 'sha384',
}
const CIPHERS: Readonly<Record<HpkeAead, AeadName>> = {
  [HpkeAead.aes128Gcm]: 'aes-128-gcm',
  [HpkeAead.aes256Gcm]: 'aes-256-gcm',
  [HpkeAead.chacha20Poly1305]: 'chacha20-poly1305',
}

/** Both mechanisms have SHA-256 inside, secrets of its length and scalars of 32 bytes (RFC 9180 §7.1). */
const KEM_HASH: HashName = 'sha256'
const SECRET_BYTES = 32
const SCALAR_BYTES = 32

const VERSION = utf8('HPKE-v1')
const BASE_MODE = 0
const NOTHING = new Uint8Array(0)

/** Whether the three code points name a suite that is implemented here. */
export function isHpkeSuite(suite: {
  readonly kem: number
  readonly kdf: number
  readonly aead: number
}): suite is HpkeSuite {
  return (
    Object.hasOwn(GROUPS, suite.kem) && Object.hasOwn(HASHES, suite.kdf) && Object.hasOwn(CIPHERS, suite.aead)
  )
}

/** The sending end, and what the receiver needs to follow. */
export interface HpkeSender {
  /** The encapsulated key, which goes ahead of the first message. */
  readonly enc: Uint8Array
  readonly context: HpkeContext
}

/** Sees the secret that both ends share (RFC 9180 §4.1), for a key log; it is wiped after the call. */
export type RevealSecret = (sharedSecret: Uint8Array) => void

/**
 * Begins a conversation with whoever holds the key of `publicKey` (RFC 9180 §5.1.1).
 *
 * @param ephemeral for test vectors only. @default a fresh key
 * @throws CryptoError CRYPTO_INVALID_KEY_SHARE for a public key that is none
 */
export function setupSender(
  crypto: CryptoProvider,
  suite: HpkeSuite,
  recipient: { readonly publicKey: Uint8Array; readonly info: Uint8Array; readonly reveal?: RevealSecret },
  ephemeral: Omit<KeyAgreementKey, 'group'> = crypto.beginKeyAgreement(GROUPS[suite.kem]),
): HpkeSender {
  const { publicKey, info, reveal } = recipient
  const enc = ephemeral.share
  const dh = ephemeral.complete(publicKey)
  const sharedSecret = extractAndExpand(crypto, suite.kem, dh, concat(enc, publicKey))
  reveal?.(sharedSecret)
  return { enc, context: schedule(crypto, suite, sharedSecret, info) }
}

/**
 * The receiving end (RFC 9180 §5.1.1).
 *
 * @throws CryptoError CRYPTO_INVALID_KEY_SHARE for an encapsulated key that is none
 */
export function setupReceiver(
  crypto: CryptoProvider,
  suite: HpkeSuite,
  key: KeyAgreementKey,
  {
    enc,
    info,
    reveal,
  }: { readonly enc: Uint8Array; readonly info: Uint8Array; readonly reveal?: RevealSecret },
): HpkeContext {
  const dh = key.complete(enc)
  const sharedSecret = extractAndExpand(crypto, suite.kem, dh, concat(enc, key.share))
  reveal?.(sharedSecret)
  return schedule(crypto, suite, sharedSecret, info)
}

/** A scalar for {@link importHpkeKey} from fresh randomness. */
export function generateHpkeScalar(crypto: CryptoProvider, kem: HpkeKem): Uint8Array {
  return deriveHpkeScalar(crypto, kem, crypto.random(SCALAR_BYTES))
}

/** DeriveKeyPair of RFC 9180 §7.1.3: the scalar that `seed`, which must be as secret, leads to. */
export function deriveHpkeScalar(crypto: CryptoProvider, kem: HpkeKem, seed: Uint8Array): Uint8Array {
  const labels = new Labels(crypto, KEM_HASH, kemId(kem))
  const prk = labels.extract(NOTHING, 'dkp_prk', seed)
  if (kem === HpkeKem.x25519) return labels.expand(prk, 'sk', NOTHING, SCALAR_BYTES)
  for (let counter = 0; counter <= 255; counter++) {
    const candidate = labels.expand(prk, 'candidate', Uint8Array.of(counter), SCALAR_BYTES)
    if (isScalar(crypto, kem, candidate)) return candidate
  }
  throw new CryptoError(
    'CRYPTO_FAILED',
    'No scalar of the group was found in 256 attempts, which cannot happen',
  )
}

/** A recipient's key. @throws CryptoError CRYPTO_INVALID_KEY */
export function importHpkeKey(crypto: CryptoProvider, kem: HpkeKem, scalar: Uint8Array): KeyAgreementKey {
  return crypto.importKeyAgreementKey(GROUPS[kem], scalar)
}

function isScalar(crypto: CryptoProvider, kem: HpkeKem, candidate: Uint8Array): boolean {
  try {
    importHpkeKey(crypto, kem, candidate)
    return true
  } catch (thrown) {
    if (thrown instanceof CryptoError) return false
    throw thrown
  }
}

/** Seals or opens messages in their order, each under a nonce of its own (RFC 9180 §5.2). */
export class HpkeContext implements Disposable {
  readonly suite: HpkeSuite
  readonly #crypto: CryptoProvider
  readonly #key: Uint8Array
  readonly #baseNonce: Uint8Array
  #sequence = 0

  constructor(
    crypto: CryptoProvider,
    suite: HpkeSuite,
    secrets: { readonly key: Uint8Array; readonly baseNonce: Uint8Array },
  ) {
    this.#crypto = crypto
    this.suite = suite
    this.#key = secrets.key
    this.#baseNonce = secrets.baseNonce
  }

  /** The sender's half. */
  seal(additionalData: Uint8Array, plaintext: Uint8Array): Uint8Array {
    using sealer = this.#crypto.sealer(CIPHERS[this.suite.aead], this.#key)
    const output = new Uint8Array(plaintext.length + AEAD_TAG_BYTES)
    sealer.seal(this.#nonce(), additionalData, plaintext, output)
    this.#sequence++
    return output
  }

  /** The receiver's half; undefined, and the sequence goes not on, for what is not authentic. */
  open(additionalData: Uint8Array, ciphertext: Uint8Array): Uint8Array | undefined {
    if (ciphertext.length < AEAD_TAG_BYTES) return undefined
    using opener = this.#crypto.opener(CIPHERS[this.suite.aead], this.#key)
    const output = new Uint8Array(ciphertext.length - AEAD_TAG_BYTES)
    if (opener.open(this.#nonce(), additionalData, ciphertext, output) === -1) return undefined
    this.#sequence++
    return output
  }

  /** Wipes the secrets. */
  [Symbol.dispose](): void {
    this.#key.fill(0)
    this.#baseNonce.fill(0)
  }

  /** The base nonce XOR the sequence number; a conversation of 2^32 messages does not come about. */
  #nonce(): Uint8Array {
    const nonce = this.#baseNonce.slice()
    const view = new DataView(nonce.buffer)
    view.setUint32(AEAD_NONCE_BYTES - 4, view.getUint32(AEAD_NONCE_BYTES - 4) ^ this.#sequence)
    return nonce
  }
}

/** ExtractAndExpand of RFC 9180 §4.1; wipes `dh`. */
function extractAndExpand(
  crypto: CryptoProvider,
  kem: HpkeKem,
  dh: Uint8Array,
  kemContext: Uint8Array,
): Uint8Array {
  const labels = new Labels(crypto, KEM_HASH, kemId(kem))
  const prk = labels.extract(NOTHING, 'eae_prk', dh)
  dh.fill(0)
  const secret = labels.expand(prk, 'shared_secret', kemContext, SECRET_BYTES)
  prk.fill(0)
  return secret
}

/** KeySchedule of RFC 9180 §5.1 without a pre-shared key; wipes `sharedSecret`. */
function schedule(
  crypto: CryptoProvider,
  suite: HpkeSuite,
  sharedSecret: Uint8Array,
  info: Uint8Array,
): HpkeContext {
  const labels = new Labels(crypto, HASHES[suite.kdf], suiteId(suite))
  const context = concat(
    Uint8Array.of(BASE_MODE),
    labels.extract(NOTHING, 'psk_id_hash', NOTHING),
    labels.extract(NOTHING, 'info_hash', info),
  )
  const secret = labels.extract(sharedSecret, 'secret', NOTHING)
  sharedSecret.fill(0)
  const key = labels.expand(secret, 'key', context, AEAD_KEY_BYTES[CIPHERS[suite.aead]])
  const baseNonce = labels.expand(secret, 'base_nonce', context, AEAD_NONCE_BYTES)
  secret.fill(0)
  return new HpkeContext(crypto, suite, { key, baseNonce })
}

function kemId(kem: HpkeKem): Uint8Array {
  return new Writer().bytes(utf8('KEM')).uint16(kem).finish()
}

function suiteId({ kem, kdf, aead }: HpkeSuite): Uint8Array {
  return new Writer().bytes(utf8('HPKE')).uint16(kem).uint16(kdf).uint16(aead).finish()
}

/** LabeledExtract and LabeledExpand of RFC 9180 §4. */
class Labels {
  readonly #crypto: CryptoProvider
  readonly #hash: HashName
  readonly #suiteId: Uint8Array

  constructor(crypto: CryptoProvider, hash: HashName, suiteId: Uint8Array) {
    this.#crypto = crypto
    this.#hash = hash
    this.#suiteId = suiteId
  }

  extract(salt: Uint8Array, label: string, input: Uint8Array): Uint8Array {
    const labelled = concat(VERSION, this.#suiteId, utf8(label), input)
    const key = hkdfExtract(this.#crypto, this.#hash, salt, labelled)
    labelled.fill(0)
    return key
  }

  expand(key: Uint8Array, label: string, info: Uint8Array, length: number): Uint8Array {
    const labelled = new Writer()
      .uint16(length)
      .bytes(VERSION)
      .bytes(this.#suiteId)
      .bytes(utf8(label))
      .bytes(info)
      .finish()
    return hkdfExpand(this.#crypto, this.#hash, key, labelled, length)
  }
}
