import { concat } from '../../../src/bytes/bytes.ts'
import {
  AEAD_TAG_BYTES,
  HASH_BYTES,
  type AeadOpener,
  type AeadSealer,
  type CryptoProvider,
  type GroupName,
  type HashContext,
  type HashName,
  type PublicKey,
} from '../../../src/crypto/provider.ts'
import { countingAeads, type CountingCrypto } from '../../support/counting-crypto.ts'
import { delegatingCrypto } from '../../support/delegating-crypto.ts'
import { seededRandom } from '../../support/mutations.ts'

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
  const random = seededRandom(0)
  const keyOf = (group: GroupName) =>
    base.importKeyAgreementKey(group as FuzzGroup, new Uint8Array(32).fill(0x42))
  return countingAeads({
    ...delegatingCrypto(base),
    ...(hashes ? {} : CONSTANT_HASHES),
    sealer: (_aead, key) => markingSealer(mark(key)),
    opener: (_aead, key) => markingOpener(mark(key)),
    groups: FUZZ_GROUPS,
    random: (length) => Uint8Array.from({ length }, () => random(256)),
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

function markingSealer(marking: number): AeadSealer {
  return {
    seal(_nonce, _additionalData, plaintext, output) {
      output.set(plaintext)
      output.fill(marking, plaintext.length, plaintext.length + AEAD_TAG_BYTES)
      return plaintext.length + AEAD_TAG_BYTES
    },
    [Symbol.dispose]: () => undefined,
  }
}

function markingOpener(marking: number): AeadOpener {
  return {
    open(_nonce, _additionalData, ciphertext, output) {
      if (ciphertext.at(-1) !== marking) return -1
      const length = ciphertext.length - AEAD_TAG_BYTES
      output.set(ciphertext.subarray(0, length))
      return length
    },
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
  return { update: () => undefined, digest: () => zeros(name), clone: () => constantHash(name) }
}

function zeros(name: HashName): Uint8Array {
  return new Uint8Array(HASH_BYTES[name])
}

/** The certificates of most inputs are the same, and verifying them is most of the work. */
const MAX_REMEMBERED = 1000
const verdicts = new Map<string, boolean>()

function importOnce(base: CryptoProvider, spki: Uint8Array): PublicKey {
  const key = base.importPublicKey(spki)
  return {
    kind: key.kind,
    spki: key.spki,
    bits: key.bits,
    verify(parameters, message, signature) {
      const name = [spki.toHex(), parameters.kind, message.toHex(), signature.toHex()].join()
      const known = verdicts.get(name)
      if (known !== undefined) return known
      if (verdicts.size >= MAX_REMEMBERED) verdicts.clear()
      const verdict = key.verify(parameters, message, signature)
      verdicts.set(name, verdict)
      return verdict
    },
  }
}
