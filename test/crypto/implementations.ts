import { createNativeCrypto, nativeCrypto } from '../../src/crypto/native-provider.ts'
import { portableCrypto } from '../../src/crypto/portable-provider.ts'
import type { AeadName, CryptoProvider, KeyKind, SignatureParameters } from '../../src/crypto/provider.ts'

/** The providers; each is the other's oracle. */
export const PROVIDERS: readonly CryptoProvider[] = [nativeCrypto(), portableCrypto()]

/** The ways to protect a record: the providers, and the native one without the symbols it prefers. */
export const AEAD_IMPLEMENTATIONS: readonly (readonly [name: string, provider: CryptoProvider])[] = [
  ['native', nativeCrypto()],
  [
    'native without EVP',
    createNativeCrypto({ probe: () => ({ kind: 'missing', reason: 'The test says so' }) }),
  ],
  ['portable', portableCrypto()],
]

export const AEADS: readonly AeadName[] = ['aes-128-gcm', 'aes-256-gcm', 'chacha20-poly1305']

/** Each kind of key that can be made, with each signature that it can make. */
export const SIGNERS: readonly (readonly [kind: Exclude<KeyKind, 'rsa'>, parameters: SignatureParameters])[] =
  [
    ['ec-p256', { kind: 'ecdsa', hash: 'sha256' }],
    ['ec-p256', { kind: 'ecdsa', hash: 'sha512' }],
    ['ec-p384', { kind: 'ecdsa', hash: 'sha384' }],
    ['ec-p384', { kind: 'ecdsa', hash: 'sha256' }],
    ['ec-p521', { kind: 'ecdsa', hash: 'sha512' }],
    ['ed25519', { kind: 'ed25519' }],
    ['ml-dsa-44', { kind: 'ml-dsa-44' }],
    ['ml-dsa-65', { kind: 'ml-dsa-65' }],
    ['ml-dsa-87', { kind: 'ml-dsa-87' }],
  ]
