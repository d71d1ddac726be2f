import { equalBytes } from '../../src/bytes/bytes.ts'
import { hkdfExpand, hkdfExtract } from '../../src/crypto/hkdf.ts'
import { PROVIDERS } from './implementations.ts'
import { hex, testVectors, type Vector } from './wycheproof.ts'

interface MacVector extends Vector {
  readonly key: string
  readonly msg: string
  readonly tag: string
}

interface HkdfVector extends Vector {
  readonly ikm: string
  readonly salt: string
  readonly info: string
  readonly size: number
  readonly okm: string
}

for (const crypto of PROVIDERS) {
  for (const hash of ['sha256', 'sha384'] as const) {
    testVectors<MacVector>({
      name: `hmac of ${crypto.name} agrees with the HMAC-${hash} vectors, whole and truncated tags`,
      file: `hmac_${hash}_test.json`,
      judge: ({ key, msg, tag }) => {
        const expected = hex(tag)
        return equalBytes(crypto.hmac(hash, hex(key), hex(msg)).subarray(0, expected.length), expected)
      },
    })

    testVectors<HkdfVector>({
      name: `hkdfExpand of ${crypto.name} agrees with the HKDF-${hash} vectors`,
      file: `hkdf_${hash}_test.json`,
      judge: ({ ikm, salt, info, size, okm }) => {
        const pseudorandomKey = hkdfExtract(crypto, hash, hex(salt), hex(ikm))
        try {
          return equalBytes(hkdfExpand(crypto, hash, pseudorandomKey, hex(info), size), hex(okm))
        } catch (error) {
          if (error instanceof RangeError) return false
          throw error
        }
      },
    })
  }
}
