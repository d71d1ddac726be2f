/**
 * The seam to cryptography. Everything above asks a {@link CryptoProvider}; nothing else imports a
 * cryptographic library. Two providers implement it: `native` (node:crypto and OpenSSL's EVP) and
 * `portable` (the noble libraries), each the other's oracle.
 *
 * All byte arrays that go in are left unchanged; all that come out belong to the caller.
 */

export type HashName = 'sha256' | 'sha384' | 'sha512'

export type AeadName = 'aes-128-gcm' | 'aes-256-gcm' | 'chacha20-poly1305'

/** The key sizes, in bytes. */
export const AEAD_KEY_BYTES: Readonly<Record<AeadName, number>> = {
  'aes-128-gcm': 16,
  'aes-256-gcm': 32,
  'chacha20-poly1305': 32,
}

/** The tag of every AEAD that TLS 1.3 uses here, in bytes (RFC 5116 §5). */
export const AEAD_TAG_BYTES = 16

/** The nonce of every AEAD that TLS 1.3 uses here, in bytes (RFC 5116 §5). */
export const AEAD_NONCE_BYTES = 12

export const HASH_BYTES: Readonly<Record<HashName, number>> = { sha256: 32, sha384: 48, sha512: 64 }

/** Key agreement groups, by their names in the IANA registry of TLS supported groups. */
export type GroupName =
  | 'x25519'
  | 'secp256r1'
  | 'secp384r1'
  | 'secp521r1'
  | 'MLKEM768'
  | 'MLKEM1024'
  | 'X25519MLKEM768'
  | 'SecP256r1MLKEM768'
  | 'SecP384r1MLKEM1024'

/** The groups whose keys can be imported. */
export type StaticGroupName = Extract<GroupName, 'x25519' | 'secp256r1'>

/** The parameter sets of FIPS 204. */
export type MlDsaKind = 'ml-dsa-44' | 'ml-dsa-65' | 'ml-dsa-87'

export type KeyKind = 'ec-p256' | 'ec-p384' | 'ec-p521' | 'ed25519' | MlDsaKind | 'rsa'

/** How a signature is made, without reference to a protocol's numbering. */
export type SignatureParameters =
  | { readonly kind: 'ecdsa'; readonly hash: HashName }
  | { readonly kind: 'ed25519' }
  /** The message itself is signed, not a hash of it, with an empty context (FIPS 204 §5.2). */
  | { readonly kind: MlDsaKind }
  /** Salt as long as the hash; MGF1 with the same hash. */
  | { readonly kind: 'rsa-pss'; readonly hash: HashName }
  | { readonly kind: 'rsa-pkcs1'; readonly hash: HashName }

/**
 * A running hash; it can be read any number of times, as a transcript must. It may live outside the garbage collector's
 * sight: free it.
 */
export interface HashContext extends Disposable {
  update(bytes: Uint8Array): void
  /** The hash of all so far; the context goes on. */
  digest(): Uint8Array
  /** An independent context with the same history. */
  clone(): HashContext
  /** Wipes and releases it. Further use throws a ReferenceError where there was something to release. */
  [Symbol.dispose](): void
}

/** A key that seals in one direction. It lives outside the garbage collector's sight: free it. */
export interface AeadSealer extends Disposable {
  /**
   * Encrypts `plaintext` into `output` and appends the tag; returns the bytes written.
   * `output` holds at least `plaintext.length + AEAD_TAG_BYTES` and may begin at the same address as `plaintext`,
   * but may not overlap it otherwise.
   *
   * @param trailer more plaintext, right behind the first, for which there must be room too; with it, `output` may not
   *   overlap `plaintext` at all. It saves the copy that would bring them together. @default none
   * @throws RangeError for a nonce of another length than {@link AEAD_NONCE_BYTES}, an output too short, an overlap
   * @throws ReferenceError after disposal
   */
  seal(
    nonce: Uint8Array,
    additionalData: Uint8Array,
    plaintext: Uint8Array,
    output: Uint8Array,
    trailer?: Uint8Array,
  ): number
  /** Wipes and releases the key. Further use throws. */
  [Symbol.dispose](): void
}

/** A key that opens in one direction. It lives outside the garbage collector's sight: free it. */
export interface AeadOpener extends Disposable {
  /**
   * Decrypts `ciphertext` (tag last) into `output` and returns the bytes written, or -1 when it is not authentic;
   * then `output` holds nothing of use. `output` holds at least `ciphertext.length - AEAD_TAG_BYTES` and may begin
   * at the same address as `ciphertext`, but may not overlap it otherwise.
   *
   * @throws RangeError for a nonce of another length than {@link AEAD_NONCE_BYTES}, an output too short, an overlap
   * @throws ReferenceError after disposal
   */
  open(nonce: Uint8Array, additionalData: Uint8Array, ciphertext: Uint8Array, output: Uint8Array): number
  /** Wipes and releases the key. Further use throws. */
  [Symbol.dispose](): void
}

/** Our half of a key agreement that waits for the peer's. Single use. */
export interface PendingKeyAgreement {
  readonly group: GroupName
  /** What goes on the wire, in the encoding of RFC 8446 §4.2.8.2. */
  readonly share: Uint8Array
  /**
   * Of a group with ML-KEM, its half of Diffie-Hellman, to offer by itself as well: one key serves both, whichever the
   * peer chooses (draft-ietf-tls-hybrid-design §3.2). Completing one of the two is using both.
   */
  readonly classical?: PendingKeyAgreement | undefined
  /** The shared secret. @throws CryptoError CRYPTO_INVALID_KEY_SHARE. @throws ReferenceError the second time */
  complete(peerShare: Uint8Array): Uint8Array
  /** Wipes and releases the key of an agreement that nobody completes; absent where there is nothing to release. Idempotent. */
  forget?(): void
}

/** A key for agreements that is used again and again, as a configuration publishes it. */
export interface KeyAgreementKey {
  readonly group: StaticGroupName
  /** The public half, in the encoding of {@link PendingKeyAgreement.share}. */
  readonly share: Uint8Array
  /** The shared secret. @throws CryptoError CRYPTO_INVALID_KEY_SHARE */
  complete(peerShare: Uint8Array): Uint8Array
}

export interface CompletedKeyAgreement {
  readonly share: Uint8Array
  readonly secret: Uint8Array
}

export interface PublicKey {
  readonly kind: KeyKind
  /** DER SubjectPublicKeyInfo. */
  readonly spki: Uint8Array
  /** RSA: the modulus; EC: the field; ML-DSA: the whole key; in bits. */
  readonly bits: number
  /** False for a wrong signature and for one that this kind of key cannot have made. */
  verify(parameters: SignatureParameters, message: Uint8Array, signature: Uint8Array): boolean
}

/** A private key that stays in the process that made it. */
export interface PrivateKey {
  readonly kind: KeyKind
  readonly publicKey: PublicKey
  /** ECDSA signatures are DER (RFC 3279 §2.2.3). @throws CryptoError CRYPTO_UNSUPPORTED */
  sign(parameters: SignatureParameters, message: Uint8Array): Uint8Array
  /** DER PKCS#8, for storing. */
  exportPkcs8(): Uint8Array
}

export interface CryptoProvider {
  readonly name: 'native' | 'portable'
  /** Fresh bytes from a cryptographic random source. */
  random(length: number): Uint8Array
  hash(name: HashName): HashContext
  digest(name: HashName, bytes: Uint8Array): Uint8Array
  /** RFC 2104. */
  hmac(hash: HashName, key: Uint8Array, message: Uint8Array): Uint8Array
  /** @throws RangeError for a key of another length than {@link AEAD_KEY_BYTES} says */
  sealer(aead: AeadName, key: Uint8Array): AeadSealer
  /** @throws RangeError for a key of another length than {@link AEAD_KEY_BYTES} says */
  opener(aead: AeadName, key: Uint8Array): AeadOpener
  /** The groups that the two functions below take. */
  readonly groups: readonly GroupName[]
  /** The initiator's half. @throws CryptoError CRYPTO_UNSUPPORTED */
  beginKeyAgreement(group: GroupName): PendingKeyAgreement
  /** The responder's whole. @throws CryptoError CRYPTO_UNSUPPORTED, CRYPTO_INVALID_KEY_SHARE */
  answerKeyAgreement(group: GroupName, peerShare: Uint8Array): CompletedKeyAgreement
  /**
   * A key from its scalar: 32 bytes, little-endian for x25519 (RFC 7748 §5), big-endian for secp256r1.
   *
   * @throws CryptoError CRYPTO_INVALID_KEY
   */
  importKeyAgreementKey(group: StaticGroupName, scalar: Uint8Array): KeyAgreementKey
  /** @throws CryptoError CRYPTO_INVALID_KEY, CRYPTO_UNSUPPORTED */
  importPublicKey(spki: Uint8Array): PublicKey
  /** @throws CryptoError CRYPTO_INVALID_KEY, CRYPTO_UNSUPPORTED */
  importPrivateKey(pkcs8: Uint8Array): PrivateKey
  /** @throws CryptoError CRYPTO_UNSUPPORTED for 'rsa' */
  generateKey(kind: Exclude<KeyKind, 'rsa'>): PrivateKey
}
