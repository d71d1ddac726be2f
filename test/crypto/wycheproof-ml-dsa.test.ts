import { CryptoError } from '../../src/crypto/errors.ts'
import { encodeSpki } from '../../src/crypto/key-encoding.ts'
import { encodeMlDsaPkcs8 } from '../../src/crypto/pkcs8.ts'
import { PROVIDERS } from './implementations.ts'
import { hex, testVectors, type Outcome, type Vector } from './wycheproof.ts'

interface KeyGroup {
  readonly publicKey: string | null
  readonly privateSeed?: string
  readonly privateKey?: string
}

interface MlDsaVector extends Vector {
  /** Absent where the authors begin with a hash. */
  readonly msg?: string
  readonly ctx?: string
  readonly sig: string
}

const KINDS = [
  ['ml-dsa-44', 'mldsa_44'],
  ['ml-dsa-65', 'mldsa_65'],
  ['ml-dsa-87', 'mldsa_87'],
] as const

for (const crypto of PROVIDERS) {
  for (const [kind, file] of KINDS) {
    testVectors<MlDsaVector, KeyGroup>({
      name: `verify of ${crypto.name} agrees with the ${kind} vectors`,
      file: `${file}_verify_test.json`,
      judge: (vector, { publicKey }) =>
        coveredOr(vector, (message) =>
          unlessRefused(() =>
            crypto
              .importPublicKey(encodeSpki(kind, hex(publicKey!)))
              .verify({ kind }, message, hex(vector.sig)),
          ),
        ),
    })

    // Signatures are randomised here, so those of the vectors are verified and new ones made beside them.
    for (const form of ['seed', 'noseed'] as const) {
      testVectors<MlDsaVector, KeyGroup>({
        name: `importPrivateKey of ${crypto.name} agrees with the ${kind} vectors (${form})`,
        file: `${file}_sign_${form}_test.json`,
        judge: (vector, { privateSeed, privateKey, publicKey }) =>
          coveredOr(vector, (message) =>
            unlessRefused(() => {
              const secret =
                privateSeed === undefined ? { expanded: hex(privateKey!) } : { seed: hex(privateSeed) }
              const key = crypto.importPrivateKey(encodeMlDsaPkcs8(kind, secret))
              const known = crypto.importPublicKey(encodeSpki(kind, hex(publicKey!)))
              const signatures = [hex(vector.sig), key.sign({ kind }, message)]
              return signatures.every((signature) => known.verify({ kind }, message, signature))
            }),
          ),
      })
    }
  }
}

function coveredOr({ msg, ctx = '' }: MlDsaVector, judge: (message: Uint8Array) => boolean): Outcome {
  if (msg === undefined) return { skipped: 'messages come whole, not as a hash' }
  if (ctx !== '') return { skipped: 'the context is always empty' }
  return judge(hex(msg))
}

function unlessRefused(judge: () => boolean): boolean {
  try {
    return judge()
  } catch (error) {
    if (error instanceof CryptoError && error.code === 'CRYPTO_INVALID_KEY') return false
    throw error
  }
}
