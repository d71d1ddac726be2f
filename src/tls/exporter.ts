import type { CryptoProvider, HashName } from '../crypto/provider.ts'
import { TlsError } from './errors.ts'
import { exportKeyingMaterial } from './key-schedule.ts'
import type { Session } from './session.ts'

/** Derives keying material from one of a connection's two exporter secrets (RFC 8446 §7.5), until the connection is over. */
export class Exporter implements Disposable {
  readonly #crypto: CryptoProvider
  readonly #hash: HashName
  #secret: Uint8Array | undefined

  /** @param secret is ours from here on */
  constructor(crypto: CryptoProvider, hash: HashName, secret: Uint8Array) {
    this.#crypto = crypto
    this.#hash = hash
    this.#secret = secret
  }

  /** @throws TlsError TLS_MISUSE once the connection is over */
  readonly export: Session['exportKeyingMaterial'] = (label, context, length) => {
    if (this.#secret === undefined)
      throw new TlsError('TLS_MISUSE', 'Keying material cannot be exported from a connection that is over')
    return exportKeyingMaterial(this.#crypto, this.#hash, this.#secret, { label, context, length })
  };

  /** Wipes the secret: the connection is over. */
  [Symbol.dispose](): void {
    this.#secret?.fill(0)
    this.#secret = undefined
  }
}
