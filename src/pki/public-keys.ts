import type { CryptoProvider, PublicKey } from '../crypto/provider.ts'
import type { Certificate } from './certificate.ts'

/** As long as the certificate is in use anywhere, and no longer. */
const imported = new WeakMap<Certificate, { readonly crypto: CryptoProvider; readonly key: PublicKey }>()

/**
 * The key of a certificate, ready for use. It is imported once: for a trust anchor, or a peer whose certificate is
 * remembered, that is most of what a check of a signature costs beside the signature.
 *
 * @throws CryptoError CRYPTO_INVALID_KEY, CRYPTO_UNSUPPORTED
 */
export function publicKeyOf(certificate: Certificate, crypto: CryptoProvider): PublicKey {
  const known = imported.get(certificate)
  if (known?.crypto === crypto) return known.key
  const key = crypto.importPublicKey(certificate.publicKey.spki)
  imported.set(certificate, { crypto, key })
  return key
}
