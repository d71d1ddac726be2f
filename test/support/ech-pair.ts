/** Pairs that speak Encrypted ClientHello, and what they come to. */
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import type { CryptoProvider, GroupName } from '../../src/crypto/provider.ts'
import { encodeEchConfigList, makeEchConfig, type EchKey } from '../../src/tls/ech/config.ts'
import type { ClientEch } from '../../src/tls/options.ts'
import { TlsPair, type TlsEnd, type TlsPairOptions } from './tls-pair.ts'
import { mintWorkloads, type Workloads } from './tls-workloads.ts'

export const crypto: CryptoProvider = nativeCrypto()
export const workloads: Workloads = await mintWorkloads()
/** The name that clients mean. */
export const SECRET = 'ledger.internal.example'
/** The name that everybody sees. */
export const PUBLIC = 'edge.example'

/** The key of servers, unless told otherwise. */
export const current: EchKey = makeEchConfig(crypto, {
  publicName: PUBLIC,
  configId: 1,
  maximumNameLength: 32,
})
/** A key that they do not have. */
export const other: EchKey = makeEchConfig(crypto, { publicName: PUBLIC, configId: 2 })

/** What a server with these keys publishes. */
export function listOf(...keys: readonly EchKey[]): Uint8Array {
  return encodeEchConfigList(keys.map(({ config }) => config))
}

export interface Setting extends TlsPairOptions {
  readonly ech?: ClientEch
  readonly keys?: readonly EchKey[]
}

/** A pair that offers ECH under `current` to a server that has that key, unless told otherwise. */
export function pairOf({
  ech = { configs: listOf(current) },
  keys = [current],
  ...options
}: Setting = {}): TlsPair {
  return new TlsPair(workloads, {
    ...options,
    client: { serverName: SECRET, ech, ...options.client },
    server: { ech: { keys }, ...options.server },
  })
}

/** Of client and server. */
export function accepted(pair: TlsPair): readonly (boolean | undefined)[] {
  return pair.ends.map(({ session }) => session?.echAccepted)
}

/** The codes, of client and server. */
export function failures(pair: TlsPair): readonly (string | undefined)[] {
  return pair.ends.map(({ error }) => error?.code)
}

/** What the trace says of ECH. */
export function echOutcomes({ trace }: TlsEnd): readonly string[] {
  return trace.filter((event) => event.kind === 'ech').map(({ outcome }) => outcome)
}

/** Runs a pair and yields what went over the wire both ways. */
export function overheard(pair: TlsPair): Buffer {
  const wire: Uint8Array[] = []
  pair.run((_from, bytes) => {
    wire.push(bytes.slice())
    return [bytes]
  })
  return Buffer.concat(wire)
}

/** Only x25519 from the client, only secp256r1 at the server at first: one round trip more. */
export const RETRYING: Readonly<Record<'client' | 'server', { readonly groups: readonly GroupName[] }>> = {
  client: { groups: ['x25519', 'secp256r1'] },
  server: { groups: ['secp256r1'] },
}
