import type { CryptoProvider } from '../crypto/provider.ts'

/** The bytes of an id: enough that ids never meet and cannot be guessed. */
const ID_BYTES = 10

/** Makes decision ids. */
export function decisionIds(crypto: Pick<CryptoProvider, 'random'>): () => string {
  return () => crypto.random(ID_BYTES).toHex()
}
