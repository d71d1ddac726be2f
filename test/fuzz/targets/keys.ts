import { equalBytes, utf8 } from '../../../src/bytes/bytes.ts'
import { CryptoError } from '../../../src/crypto/errors.ts'
import { decodeAgreementKey, encodeAgreementKey } from '../../../src/crypto/agreement-key-encoding.ts'
import { nativeCrypto } from '../../../src/crypto/native-provider.ts'
import { portableCrypto } from '../../../src/crypto/portable-provider.ts'
import type { GroupName, KeyKind, SignatureParameters } from '../../../src/crypto/provider.ts'
import { newKey } from '../../support/tls-workloads.ts'
import { magnitude, outcomeOf, Violation, type FuzzTarget } from '../target.ts'

/** What comes from strangers and goes into public key cryptography, and the keys of ECH as they are kept. */
export function keyTargets(): readonly FuzzTarget[] {
  return [shareTarget('server'), shareTarget('client'), signatureTarget(), AGREEMENT_KEY]
}

const PROVIDERS = [nativeCrypto(), portableCrypto()]
const GROUPS = PROVIDERS[0]!.groups.filter((group) => PROVIDERS[1]!.groups.includes(group))

/** The curves of the portable provider are arithmetic in JavaScript. */
const MAX_ARITHMETIC_MS = 300

/** The first byte names the group. What a provider takes, the other must take. */
function shareTarget(role: 'client' | 'server'): FuzzTarget {
  const [native] = PROVIDERS
  const agree = (provider: (typeof PROVIDERS)[number], group: GroupName, share: Uint8Array): number =>
    role === 'server'
      ? provider.answerKeyAgreement(group, share).secret.length
      : provider.beginKeyAgreement(group).complete(share).length
  const shares = GROUPS.map((group) => {
    const { share } = native!.beginKeyAgreement(group)
    return role === 'server' ? share : native!.answerKeyAgreement(group, share).share
  })
  return {
    name: `key-share-${role}`,
    maxInputMs: MAX_ARITHMETIC_MS,
    seeds: shares.map((share, index) => Uint8Array.of(index, ...share)),
    run(input) {
      const group = GROUPS[(input[0] ?? 0) % GROUPS.length]!
      const outcomes = PROVIDERS.map((provider) =>
        outcomeOf(() => `agreed: ${group} ${agree(provider, group, input.slice(1))}`, CryptoError),
      )
      const [ours, theirs] = outcomes.map((outcome) => outcome.split(':', 1)[0])
      if (ours !== theirs) throw new Violation(`Native says ${outcomes[0]}, portable ${outcomes[1]}`)
      return outcomes[0]!
    },
  }
}

const SIGNATURES: readonly (readonly [KeyKind, SignatureParameters])[] = [
  ['ec-p256', { kind: 'ecdsa', hash: 'sha256' }],
  ['ec-p384', { kind: 'ecdsa', hash: 'sha384' }],
  ['ec-p521', { kind: 'ecdsa', hash: 'sha512' }],
  ['ed25519', { kind: 'ed25519' }],
  ['ml-dsa-44', { kind: 'ml-dsa-44' }],
  ['rsa', { kind: 'rsa-pss', hash: 'sha256' }],
  ['rsa', { kind: 'rsa-pss', hash: 'sha512' }],
  ['rsa', { kind: 'rsa-pkcs1', hash: 'sha256' }],
]

/** The first byte names the key. What a provider verifies, the other must verify; neither throws. */
function signatureTarget(): FuzzTarget {
  const message = utf8('signed')
  const signed = SIGNATURES.map(([kind, parameters]) => {
    const key = newKey(kind)
    const publicKeys = PROVIDERS.map((provider) => provider.importPublicKey(key.publicKey.spki))
    return { kind, parameters, publicKeys, signature: key.sign(parameters, message) }
  })
  return {
    name: 'signature',
    maxInputMs: MAX_ARITHMETIC_MS,
    seeds: signed.map(({ signature }, index) => Uint8Array.of(index, ...signature)),
    run(input) {
      const { kind, parameters, publicKeys } = signed[(input[0] ?? 0) % signed.length]!
      const signature = input.subarray(1)
      const [native, portable] = publicKeys.map((key) => key.verify(parameters, message, signature))
      if (native !== portable) throw new Violation(`Native says ${native}, portable ${portable}`)
      return `${native ? 'valid' : 'invalid'}: ${kind} ${magnitude(signature.length)}`
    },
  }
}

const AGREEMENT_KEY: FuzzTarget = {
  name: 'agreement-key',
  seeds: (['x25519', 'secp256r1'] as const).map((group) =>
    encodeAgreementKey({ group, scalar: new Uint8Array(32).fill(7) }),
  ),
  run: (input) =>
    outcomeOf(() => {
      const parts = decodeAgreementKey(input)
      const again = decodeAgreementKey(encodeAgreementKey(parts))
      if (again.group !== parts.group || !equalBytes(again.scalar, parts.scalar))
        throw new Violation('The key is another one after it was encoded and decoded again')
      const [native, portable] = PROVIDERS.map((provider) =>
        outcomeOf(() => provider.importKeyAgreementKey(parts.group, parts.scalar).share.toHex(), CryptoError),
      )
      if (native!.split(':', 1)[0] !== portable!.split(':', 1)[0])
        throw new Violation(`Native says ${native}, portable ${portable}`)
      return `decoded: ${parts.group} ${native!.includes(':') ? native!.split(':', 1)[0] : ''}`
    }, CryptoError),
}
