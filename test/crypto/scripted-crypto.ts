import assert from 'node:assert/strict'

import { x25519 } from '@noble/curves/ed25519.js'
import { p256 } from '@noble/curves/nist.js'

import { ecdhSecret, x25519Secret } from '../../src/crypto/portable-key-agreement.ts'
import type { CryptoProvider, GroupName, PendingKeyAgreement } from '../../src/crypto/provider.ts'

/** What would be random, in the order in which it is used. */
export interface CryptoScript {
  /** Each must have the length that is asked for. */
  readonly random?: readonly Uint8Array[]
  /** Private keys, whichever side they are for. */
  readonly keyAgreements?: readonly {
    readonly group: 'x25519' | 'secp256r1'
    readonly privateKey: Uint8Array
  }[]
}

/** `crypto` with the given randomness, so that a recorded handshake can be made again byte for byte. */
export function scriptedCrypto(crypto: CryptoProvider, script: CryptoScript): CryptoProvider {
  const random = [...(script.random ?? [])]
  const keys = [...(script.keyAgreements ?? [])]

  function begin(group: GroupName): PendingKeyAgreement {
    const key = keys.shift()
    assert.ok(key?.group === group, `The script has ${key?.group ?? 'nothing'} where ${group} is asked for`)
    const { privateKey } = key
    if (key.group === 'x25519') {
      const share = x25519.getPublicKey(privateKey)
      return { group, share, complete: (peerShare) => x25519Secret(privateKey, peerShare) }
    }
    const share = p256.getPublicKey(privateKey, false)
    return { group, share, complete: (peerShare) => ecdhSecret('secp256r1', privateKey, peerShare) }
  }

  return {
    ...crypto,
    random: (length) => {
      const bytes = random.shift()
      assert.equal(bytes?.length, length, 'The script has no such random bytes')
      return Uint8Array.from(bytes)
    },
    beginKeyAgreement: begin,
    answerKeyAgreement: (group, peerShare) => {
      const ours = begin(group)
      return { share: ours.share, secret: ours.complete(peerShare) }
    },
  }
}
