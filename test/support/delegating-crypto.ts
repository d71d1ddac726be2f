import type { CryptoProvider } from '../../src/crypto/provider.ts'

/** A provider that does everything as `base` does: the ground for one that does something else. */
export function delegatingCrypto(base: CryptoProvider): CryptoProvider {
  return {
    name: base.name,
    groups: base.groups,
    random: (length) => base.random(length),
    hash: (name) => base.hash(name),
    digest: (name, bytes) => base.digest(name, bytes),
    hmac: (hash, key, message) => base.hmac(hash, key, message),
    sealer: (aead, key) => base.sealer(aead, key),
    opener: (aead, key) => base.opener(aead, key),
    beginKeyAgreement: (group) => base.beginKeyAgreement(group),
    answerKeyAgreement: (group, peerShare) => base.answerKeyAgreement(group, peerShare),
    importKeyAgreementKey: (group, scalar) => base.importKeyAgreementKey(group, scalar),
    importPublicKey: (spki) => base.importPublicKey(spki),
    importPrivateKey: (pkcs8) => base.importPrivateKey(pkcs8),
    generateKey: (kind) => base.generateKey(kind),
  }
}
