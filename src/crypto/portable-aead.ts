import { gcm } from '@noble/ciphers/aes.js'
import { chacha20poly1305 } from '@noble/ciphers/chacha.js'

import { concat } from '../bytes/bytes.ts'
import { checkOpenBounds, checkSealBounds } from '../native/aead-bounds.ts'
import { KeyedAead } from './aead-key.ts'
import { AEAD_TAG_BYTES, type AeadOpener, type AeadSealer } from './provider.ts'

/** The key's length, which {@link KeyedAead} checks, settles which AES it is. */
const CIPHERS = { 'aes-128-gcm': gcm, 'aes-256-gcm': gcm, 'chacha20-poly1305': chacha20poly1305 } as const

/** Record protection by noble-ciphers. */
export class PortableSealer extends KeyedAead implements AeadSealer {
  /** @throws RangeError, ReferenceError as {@link AeadSealer.seal} documents */
  seal(
    nonce: Uint8Array,
    additionalData: Uint8Array,
    plaintext: Uint8Array,
    output: Uint8Array,
    trailer?: Uint8Array,
  ): number {
    const { key } = this
    checkSealBounds(nonce, additionalData, plaintext, output, trailer)
    const whole = trailer === undefined ? plaintext : concat(plaintext, trailer)
    const sealed = CIPHERS[this.aead](key, nonce, additionalData).encrypt(whole)
    output.set(sealed)
    return sealed.length
  }
}

/** The counterpart of {@link PortableSealer}. */
export class PortableOpener extends KeyedAead implements AeadOpener {
  /** @throws RangeError, ReferenceError as {@link AeadOpener.open} documents */
  open(nonce: Uint8Array, additionalData: Uint8Array, ciphertext: Uint8Array, output: Uint8Array): number {
    const { key } = this
    if (ciphertext.length < AEAD_TAG_BYTES) return -1
    checkOpenBounds(nonce, additionalData, ciphertext, output)
    const cipher = CIPHERS[this.aead](key, nonce, additionalData)
    let plaintext: Uint8Array
    try {
      plaintext = cipher.decrypt(ciphertext)
    } catch {
      // Its inputs being what they must be, the tag is all that it can object to; it checks that before it decrypts.
      output.fill(0, 0, ciphertext.length - AEAD_TAG_BYTES)
      return -1
    }
    output.set(plaintext)
    plaintext.fill(0)
    return plaintext.length
  }
}
