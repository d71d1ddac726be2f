import {
  createCipheriv,
  createDecipheriv,
  type CipherChaCha20Poly1305Types,
  type CipherGCMTypes,
} from 'node:crypto'

import { checkOpenBounds, checkSealBounds } from '../native/aead-bounds.ts'
import { KeyedAead } from './aead-key.ts'
import { AEAD_TAG_BYTES, type AeadOpener, type AeadSealer } from './provider.ts'

/**
 * Record protection by node:crypto, for a Node whose OpenSSL cannot be reached directly. It makes a new cipher and
 * new buffers for every record, which is what costs.
 */
export class NodeSealer extends KeyedAead implements AeadSealer {
  /** @throws RangeError, ReferenceError as {@link AeadSealer.seal} documents */
  seal(
    nonce: Uint8Array,
    additionalData: Uint8Array,
    plaintext: Uint8Array,
    output: Uint8Array,
    trailer: Uint8Array = new Uint8Array(0),
  ): number {
    const { key } = this
    checkSealBounds(nonce, additionalData, plaintext, output, trailer.length === 0 ? undefined : trailer)
    const length = plaintext.length + trailer.length
    // The types know two kinds of AEAD; both take the same arguments.
    const cipher = createCipheriv(this.aead as CipherGCMTypes, key, nonce, { authTagLength: AEAD_TAG_BYTES })
    cipher.setAAD(additionalData, { plaintextLength: length })
    output.set(cipher.update(plaintext))
    output.set(cipher.update(trailer), plaintext.length)
    cipher.final()
    output.set(cipher.getAuthTag(), length)
    return length + AEAD_TAG_BYTES
  }
}

/** The counterpart of {@link NodeSealer}. */
export class NodeOpener extends KeyedAead implements AeadOpener {
  /** @throws RangeError, ReferenceError as {@link AeadOpener.open} documents */
  open(nonce: Uint8Array, additionalData: Uint8Array, ciphertext: Uint8Array, output: Uint8Array): number {
    const { key } = this
    const length = ciphertext.length - AEAD_TAG_BYTES
    if (length < 0) return -1
    checkOpenBounds(nonce, additionalData, ciphertext, output)
    const decipher = createDecipheriv(this.aead as CipherChaCha20Poly1305Types, key, nonce, {
      authTagLength: AEAD_TAG_BYTES,
    })
    decipher.setAAD(additionalData, { plaintextLength: length })
    decipher.setAuthTag(ciphertext.subarray(length))
    const plaintext = decipher.update(ciphertext.subarray(0, length))
    try {
      decipher.final()
    } catch {
      // Its inputs being what they must be, the tag is all that it can object to.
      plaintext.fill(0)
      return -1
    }
    output.set(plaintext)
    plaintext.fill(0)
    return length
  }
}
