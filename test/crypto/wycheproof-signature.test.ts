import type { SignatureParameters } from '../../src/crypto/provider.ts'
import { PROVIDERS } from './implementations.ts'
import { hex, testVectors, type Vector } from './wycheproof.ts'

interface SignatureGroup {
  readonly publicKeyDer: string
  readonly sLen?: number
}

interface SignatureVector extends Vector {
  readonly msg: string
  readonly sig: string
}

const FILES: readonly (readonly [file: string, parameters: SignatureParameters])[] = [
  ['ecdsa_secp256r1_sha256_test.json', { kind: 'ecdsa', hash: 'sha256' }],
  ['ecdsa_secp384r1_sha384_test.json', { kind: 'ecdsa', hash: 'sha384' }],
  ['ecdsa_secp521r1_sha512_test.json', { kind: 'ecdsa', hash: 'sha512' }],
  ['ed25519_test.json', { kind: 'ed25519' }],
  ['rsa_pss_2048_sha256_mgf1_32_test.json', { kind: 'rsa-pss', hash: 'sha256' }],
  ['rsa_pss_3072_sha256_mgf1_32_test.json', { kind: 'rsa-pss', hash: 'sha256' }],
  ['rsa_pss_4096_sha512_mgf1_64_test.json', { kind: 'rsa-pss', hash: 'sha512' }],
]

for (const crypto of PROVIDERS) {
  for (const [file, parameters] of FILES) {
    testVectors<SignatureVector, SignatureGroup>({
      name: `verify of ${crypto.name} agrees with ${file}`,
      file,
      judge: ({ msg, sig }, { publicKeyDer }) =>
        crypto.importPublicKey(hex(publicKeyDer)).verify(parameters, hex(msg), hex(sig)),
    })
  }

  testVectors<SignatureVector, SignatureGroup>({
    name: `verify of ${crypto.name} refuses every salt that is not as long as the hash`,
    file: 'rsa_pss_4096_sha512_mgf1_32_test.json',
    expected: () => false,
    judge: ({ msg, sig }, { publicKeyDer }) =>
      crypto
        .importPublicKey(hex(publicKeyDer))
        .verify({ kind: 'rsa-pss', hash: 'sha512' }, hex(msg), hex(sig)),
  })
}
