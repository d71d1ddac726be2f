import { createECDH, createPrivateKey, createPublicKey } from 'node:crypto'

import { refusingScalar } from './key-share.ts'
import { ecdhSecret, x25519Secret } from './native-key-agreement.ts'
import { plainBytes } from './plain-bytes.ts'
import type { KeyAgreementKey, StaticGroupName } from './provider.ts'

/** {@link CryptoProvider.importKeyAgreementKey} on node:crypto. */
export function importNativeAgreementKey(group: StaticGroupName, scalar: Uint8Array): KeyAgreementKey {
  return refusingScalar(group, scalar, () => (group === 'x25519' ? importX25519(scalar) : importP256(scalar)))
}

function importX25519(scalar: Uint8Array): KeyAgreementKey {
  const privateKey = createPrivateKey({ key: scalar, format: 'raw-private', asymmetricKeyType: 'x25519' })
  const share = plainBytes(createPublicKey(privateKey).export({ format: 'raw-public' }))
  return { group: 'x25519', share, complete: (peerShare) => x25519Secret(privateKey, peerShare) }
}

function importP256(scalar: Uint8Array): KeyAgreementKey {
  const ecdh = createECDH('prime256v1')
  ecdh.setPrivateKey(scalar)
  const share = plainBytes(ecdh.getPublicKey())
  return { group: 'secp256r1', share, complete: (peerShare) => ecdhSecret('secp256r1', ecdh, peerShare) }
}
