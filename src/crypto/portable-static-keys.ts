import { x25519 } from '@noble/curves/ed25519.js'
import { p256 } from '@noble/curves/nist.js'

import { refusingScalar } from './key-share.ts'
import { ecdhSecret, x25519Secret } from './portable-key-agreement.ts'
import type { KeyAgreementKey, StaticGroupName } from './provider.ts'

/** {@link CryptoProvider.importKeyAgreementKey} on noble-curves. */
export function importPortableAgreementKey(group: StaticGroupName, scalar: Uint8Array): KeyAgreementKey {
  const secretKey = scalar.slice()
  return refusingScalar(group, scalar, () =>
    group === 'x25519'
      ? {
          group,
          share: x25519.getPublicKey(secretKey),
          complete: (peerShare) => x25519Secret(secretKey, peerShare),
        }
      : {
          group,
          share: p256.getPublicKey(secretKey, false),
          complete: (peerShare) => ecdhSecret('secp256r1', secretKey, peerShare),
        },
  )
}
