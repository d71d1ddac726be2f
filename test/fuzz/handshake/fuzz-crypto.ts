import { concat } from '../../../src/bytes/bytes.ts'
import {
  HASH_BYTES,
  type AeadOpener,
  type CryptoProvider,
  type GroupName,
  type HashContext,
  type HashName,
  type KeyAgreementKey,
  type PrivateKey,
  type PublicKey,
} from '../../../src/crypto/provider.ts'
import { countingAeads, type CountingCrypto } from '../../support/counting-crypto.ts'
import { delegatingCrypto } from '../../support/delegating-crypto.ts'
import { identityOpener, identitySealer } from '../../support/identity-aead.ts'
import { seededRandom, type Random } from '../../support/mutations.ts'

/** The groups of fuzzed handshakes, with what would be ephemeral. */
export const FUZZ_GROUPS = ['x25519', 'secp256r1'] as const
type FuzzGroup = (typeof FUZZ_GROUPS)[number]

export interface FuzzCryptoOptions {
  /**
   * Whether hashes and MACs are computed. Without them every binder, Finished and signature over a transcript fits
   * whatever came before, so that changed messages are followed by all that unchanged ones are.
   */
  readonly hashes: boolean
}

/**
 * `base` without surprises: nothing is encrypted, what is random is always the same, and keys in use are counted. The
 * same script leads to the same handshake.
 */
export function fuzzCrypto(base: CryptoProvider, { hashes }: FuzzCryptoOptions): CountingCrypto {
  let drawn = 0
  const keyOf = (group: GroupName) => constantKey(base, group as FuzzGroup)
  return countingAeads({
    ...delegatingCrypto(base),
    ...(hashes ? {} : CONSTANT_HASHES),
    sealer: (_aead, key) => identitySealer(mark(key)),
    opener: (_aead, key) => markingOpener(mark(key)),
    groups: FUZZ_GROUPS,
    random(length) {
      if (drawn + length > RANDOM.length) drawn = 0
      drawn += length
      return RANDOM.slice(drawn - length, drawn)
    },
    beginKeyAgreement: keyOf,
    answerKeyAgreement(group, peerShare) {
      const key = keyOf(group)
      return { share: key.share, secret: key.complete(peerShare) }
    },
    importPublicKey: (spki) => importOnce(base, spki),
  })
}

/** A byte that tells keys apart: it stands for the tag, so that records under another key are known for it. */
function mark(bytes: Uint8Array): number {
  // FNV-1a, folded.
  const hash = bytes.reduce((sum, byte) => Math.imul(sum ^ byte, 0x0100_0193), 0x811c_9dc5)
  return ((hash >>> 24) ^ (hash >>> 16) ^ (hash >>> 8) ^ hash) & 0xff
}

function markingOpener(marking: number): AeadOpener {
  const opener = identityOpener()
  return {
    open: (nonce, additionalData, ciphertext, output) =>
      ciphertext.at(-1) === marking ? opener.open(nonce, additionalData, ciphertext, output) : -1,
    [Symbol.dispose]: () => undefined,
  }
}

const CONSTANT_HASHES: Pick<CryptoProvider, 'hash' | 'digest' | 'hmac'> = {
  hash: constantHash,
  digest: zeros,
  // Messages as long as a hash are transcripts and shared secrets; all others are labels, which must make a difference.
  hmac: (hash, key, message) =>
    message.length === HASH_BYTES[hash]
      ? zeros(hash)
      : new Uint8Array(HASH_BYTES[hash]).fill(mark(concat(key, message))),
}

function constantHash(name: HashName): HashContext {
  return {
    update: () => undefined,
    digest: () => zeros(name),
    clone: () => constantHash(name),
    [Symbol.dispose]: () => undefined,
  }
}

function zeros(name: HashName): Uint8Array {
  return new Uint8Array(HASH_BYTES[name])
}

/** What every provider draws from, from the beginning; longer than what any handshake needs. */
const RANDOM = Uint8Array.from({ length: 2 ** 16 }, constantBytes(seededRandom(0)))

function constantBytes(random: Random): () => number {
  return () => random(256)
}

/** Most inputs are the same ones, and public key cryptography was most of the work: its results are kept. */
const MAX_REMEMBERED = 1000

/** The results of `compute` by name; all are forgotten when there are too many. */
function remembering<Value>(): (name: string, compute: () => Value) => Value {
  const known = new Map<string, Value>()
  return (name, compute) => {
    const found = known.get(name)
    if (found !== undefined) return found
    const value = compute()
    if (known.size >= MAX_REMEMBERED) known.clear()
    known.set(name, value)
    return value
  }
}

const agreementKeys = remembering<KeyAgreementKey>()
const sharedSecrets = remembering<Uint8Array>()

function constantKey(base: CryptoProvider, group: FuzzGroup): KeyAgreementKey {
  return agreementKeys([base.name, group].join(), () => {
    const key = base.importKeyAgreementKey(group, new Uint8Array(32).fill(0x42))
    return {
      group,
      share: key.share,
      // Whoever asks wipes what it gets.
      complete: (peer) =>
        sharedSecrets([base.name, group, peer.toHex()].join(), () => key.complete(peer)).slice(),
    }
  })
}

const publicKeys = remembering<PublicKey>()
const verdicts = remembering<boolean>()
const signatures = remembering<Uint8Array>()

function importOnce(base: CryptoProvider, spki: Uint8Array): PublicKey {
  const encoded = spki.toHex()
  return publicKeys([base.name, encoded].join(), () => {
    const key = base.importPublicKey(spki)
    return {
      kind: key.kind,
      spki: key.spki,
      bits: key.bits,
      verify: (parameters, message, signature) =>
        verdicts([encoded, parameters.kind, message.toHex(), signature.toHex()].join(), () =>
          key.verify(parameters, message, signature),
        ),
    }
  })
}

/** A key that signs what it has signed before without doing it again; its signatures leave nothing to chance. */
export function signingOnce(key: PrivateKey): PrivateKey {
  const name = key.publicKey.spki.toHex()
  return {
    kind: key.kind,
    publicKey: key.publicKey,
    exportPkcs8: () => key.exportPkcs8(),
    sign: (parameters, content) =>
      signatures([name, parameters.kind, content.toHex()].join(), () =>
        key.sign(parameters, content),
      ).slice(),
  }
}
