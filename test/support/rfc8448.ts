import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { x25519 } from '@noble/curves/ed25519.js'
import { p256 } from '@noble/curves/nist.js'
import type { CryptoProvider, GroupName, PendingKeyAgreement } from '../../src/crypto/provider.ts'

const FOLDER = join(import.meta.dirname, '../../../shared/vectors/rfc8448')

/** Why the traces cannot be replayed here, or false. */
export const skipTraces: string | false = existsSync(FOLDER) ? false : 'the RFC 8448 traces are not present'

/** The clock of whoever recorded the first trace; any would do. */
export const TRACE_TIME_MS = 1_651_826_546_000

/** The fields of one trace, as bytes. */
export type Trace = Readonly<Record<string, Uint8Array>>

/** Reads one section of the traces: `name = hex`. */
export function readTrace(section: string): Trace {
  const lines = readFileSync(join(FOLDER, 'transcripts.vec'), 'utf8').split('\n')
  const start = lines.indexOf(`[${section}]`)
  const fields: Record<string, Uint8Array> = {}
  for (const line of lines.slice(start + 1)) {
    if (line.startsWith('[')) break
    const match = /^(\w+)\s*=\s*([0-9a-fA-F]+)$/.exec(line.trim())
    if (match !== null && match[2]!.length % 2 === 0)
      fields[match[1]!] = Uint8Array.fromHex(match[2]!.toLowerCase())
  }
  return fields
}

/** A certificate of the traces, as DER. */
export function readTraceCertificate(file: string): Uint8Array {
  const pem = readFileSync(join(FOLDER, file), 'utf8')
  return Uint8Array.fromBase64(pem.replaceAll(/-----[^-]+-----/g, '').replaceAll(/\s/g, ''))
}

/** Where a replayed endpoint takes its randomness from. */
interface ReplayPools {
  /** What random() gives, draw by draw. @default zeros: the messages that hold them are replaced */
  readonly random?: readonly Uint8Array[]
  /** Ephemeral private keys, in the order of their use. */
  readonly keys: Uint8Array
}

/** The provider, except that randomness comes from a trace. */
export function replayCrypto(base: CryptoProvider, { random, keys }: ReplayPools): CryptoProvider {
  const draws = random?.values()
  const draw = (length: number): Uint8Array => {
    if (draws === undefined) return new Uint8Array(length)
    const { value } = draws.next()
    if (value?.length !== length) throw new RangeError(`The trace draws ${value?.length} bytes, we ${length}`)
    return value.slice()
  }
  let offset = 0
  const take = (length: number): Uint8Array => {
    offset += length
    if (offset > keys.length) throw new RangeError('The keys of the trace are used up')
    return keys.slice(offset - length, offset)
  }
  const begin = (group: GroupName): PendingKeyAgreement => {
    const privateKey = take(32)
    if (group === 'secp256r1') {
      return {
        group,
        share: p256.getPublicKey(privateKey, false),
        complete: (peer) => p256.getSharedSecret(privateKey, peer, false).slice(1, 33),
      }
    }
    return {
      group,
      share: x25519.getPublicKey(privateKey),
      complete: (peer) => x25519.getSharedSecret(privateKey, peer),
    }
  }
  return {
    name: base.name,
    groups: ['x25519', 'secp256r1'],
    random: draw,
    hash: (name) => base.hash(name),
    digest: (name, bytes) => base.digest(name, bytes),
    hmac: (hash, key, message) => base.hmac(hash, key, message),
    sealer: (aead, key) => base.sealer(aead, key),
    opener: (aead, key) => base.opener(aead, key),
    importPublicKey: (spki) => base.importPublicKey(spki),
    importPrivateKey: (pkcs8) => base.importPrivateKey(pkcs8),
    generateKey: (kind) => base.generateKey(kind),
    importKeyAgreementKey: (group, scalar) => base.importKeyAgreementKey(group, scalar),
    beginKeyAgreement: begin,
    answerKeyAgreement(group, peerShare) {
      const pending = begin(group)
      return { share: pending.share, secret: pending.complete(peerShare) }
    },
  }
}
