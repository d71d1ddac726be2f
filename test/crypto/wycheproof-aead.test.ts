import assert from 'node:assert/strict'

import { equalBytes } from '../../src/bytes/bytes.ts'
import { AEAD_KEY_BYTES, type AeadName, AEAD_NONCE_BYTES, AEAD_TAG_BYTES } from '../../src/crypto/provider.ts'
import { AEAD_IMPLEMENTATIONS } from './implementations.ts'
import { hex, type Outcome, testVectors, type Vector } from './wycheproof.ts'

interface AeadGroup {
  readonly ivSize: number
  readonly keySize: number
  readonly tagSize: number
}

interface AeadVector extends Vector {
  readonly key: string
  readonly iv: string
  readonly aad: string
  readonly msg: string
  readonly ct: string
  readonly tag: string
}

for (const [name, crypto] of AEAD_IMPLEMENTATIONS) {
  testVectors<AeadVector, AeadGroup>({
    name: `AeadSealer and AeadOpener of ${name} agree with the AES-GCM vectors`,
    file: 'aes_gcm_test.json',
    judge: (vector, group) => {
      if (group.keySize === 192) return { skipped: 'TLS 1.3 has no AES-192' }
      return judge(`aes-${group.keySize as 128 | 256}-gcm`, vector, group)
    },
  })

  testVectors<AeadVector, AeadGroup>({
    name: `AeadSealer and AeadOpener of ${name} agree with the ChaCha20-Poly1305 vectors`,
    file: 'chacha20_poly1305_test.json',
    judge: (vector, group) => judge('chacha20-poly1305', vector, group),
  })

  function judge(aead: AeadName, vector: AeadVector, { ivSize, keySize, tagSize }: AeadGroup): Outcome {
    if (ivSize !== 8 * AEAD_NONCE_BYTES) return { skipped: 'the interface takes nonces of 96 bits only' }
    if (tagSize !== 8 * AEAD_TAG_BYTES) return { skipped: 'the interface takes tags of 128 bits only' }
    if (keySize !== 8 * AEAD_KEY_BYTES[aead]) return { skipped: 'the key has another size' }
    const [key, nonce, additionalData] = [hex(vector.key), hex(vector.iv), hex(vector.aad)]
    const message = hex(vector.msg)
    const ciphertext = hex(vector.ct + vector.tag)

    using sealer = crypto.sealer(aead, key)
    const sealed = new Uint8Array(message.length + AEAD_TAG_BYTES)
    const sealedAlike =
      sealer.seal(nonce, additionalData, message, sealed) === sealed.length && equalBytes(sealed, ciphertext)

    using opener = crypto.opener(aead, key)
    const opened = new Uint8Array(message.length)
    const openedAlike =
      opener.open(nonce, additionalData, ciphertext, opened) === opened.length && equalBytes(opened, message)

    // A vector is invalid for its tag: then sealing gives another one, and opening must refuse it.
    assert.equal(sealedAlike, openedAlike, `tcId ${vector.tcId}`)
    return openedAlike
  }
}
