/** What a server publishes so that clients can encrypt their ClientHello to it (RFC 9849 §4). */
import { concat, utf8 } from '../../bytes/bytes.ts'
import { readAll, type Reader } from '../../bytes/reader.ts'
import { Writer } from '../../bytes/writer.ts'
import {
  generateHpkeScalar,
  HpkeAead,
  HpkeKdf,
  HpkeKem,
  importHpkeKey,
  isHpkeSuite,
  type HpkeSuite,
} from '../../crypto/hpke.ts'
import type { CryptoProvider, KeyAgreementKey } from '../../crypto/provider.ts'
import { TlsError } from '../errors.ts'
import { isPublicName } from './public-name.ts'

/** The version of RFC 9849, which is also the code of the extension. */
const VERSION = 0xfe0d

/** Extensions whose high bit is set must be understood (RFC 9849 §4.2); none is defined yet. */
const MANDATORY = 0x8000

export interface EchSymmetricSuite {
  readonly kdf: number
  readonly aead: number
}

/** One ECHConfig of the version that is spoken here. */
export interface EchConfig {
  /** As it was published, version and length included: what the encryption is bound to. */
  readonly encoded: Uint8Array
  readonly configId: number
  /** Code points, whether implemented or not. */
  readonly kem: number
  readonly suites: readonly EchSymmetricSuite[]
  readonly publicKey: Uint8Array
  /** The length to which names are padded, in bytes; 0 when the server does not say. */
  readonly maximumNameLength: number
  /** The name that an observer sees, and under which the server proves that it rejects. */
  readonly publicName: string
  readonly extensionTypes: readonly number[]
}

/**
 * Reads an ECHConfigList; configs of other versions are left out.
 *
 * @throws DecodeError for a list, or a config of our version, that is malformed
 */
export function decodeEchConfigList(encoded: Uint8Array): EchConfig[] {
  const configs = readAll(encoded, 'ECHConfigList', (reader) =>
    reader.vector16('ECHConfigList', (list) => list.each(readConfig), { min: 4 }),
  )
  return configs.filter((config) => config !== undefined)
}

/** Reads one ECHConfig. @throws DecodeError, TlsError TLS_BAD_OPTIONS for another version */
export function decodeEchConfig(encoded: Uint8Array): EchConfig {
  const config = readAll(encoded, 'ECHConfig', readConfig)
  if (config !== undefined) return config
  throw new TlsError('TLS_BAD_OPTIONS', 'The ECHConfig has a version other than that of RFC 9849')
}

/** The list of `configs`, in order of preference. */
export function encodeEchConfigList(configs: readonly Pick<EchConfig, 'encoded'>[]): Uint8Array {
  return new Writer().vector16((list) => configs.forEach(({ encoded }) => list.bytes(encoded))).finish()
}

function readConfig(reader: Reader): EchConfig | undefined {
  const version = reader.uint16('version')
  const contents = reader.bytes16('ECHConfigContents')
  if (version !== VERSION) return undefined
  const encoded = new Writer().uint16(version).bytes16(contents).finish()
  return { encoded, ...readAll(contents, 'ECHConfigContents', readContents) }
}

function readContents(reader: Reader): Omit<EchConfig, 'encoded'> {
  return {
    configId: reader.uint8('config_id'),
    kem: reader.uint16('kem_id'),
    publicKey: reader.bytes16('public_key', { min: 1 }).slice(),
    suites: reader.vector16(
      'cipher_suites',
      (list) => list.each((item) => ({ kdf: item.uint16('kdf_id'), aead: item.uint16('aead_id') })),
      { min: 4 },
    ),
    maximumNameLength: reader.uint8('maximum_name_length'),
    publicName: String.fromCharCode(...reader.bytes8('public_name', { min: 1 })),
    extensionTypes: reader.vector16('extensions', (list) =>
      list.each((item) => {
        const type = item.uint16('extension_type')
        item.bytes16('extension_data')
        return type
      }),
    ),
  }
}

/** A config that we can use, and how. */
export interface ChosenEchConfig {
  readonly config: EchConfig
  readonly suite: HpkeSuite
}

/** The first config that is implemented here, asks for nothing unknown and has a name to show (RFC 9849 §6.1). */
export function chooseEchConfig(configs: readonly EchConfig[]): ChosenEchConfig | undefined {
  for (const config of configs) {
    if (config.extensionTypes.some((type) => (type & MANDATORY) !== 0)) continue
    if (!isPublicName(config.publicName)) continue
    const suite = hpkeSuites(config)[0]
    if (suite !== undefined) return { config, suite }
  }
  return undefined
}

/** The suites of a config that are implemented here, in its order. */
export function hpkeSuites({ kem, suites }: EchConfig): HpkeSuite[] {
  return suites.map(({ kdf, aead }) => ({ kem, kdf, aead })).filter((suite) => isHpkeSuite(suite))
}

/** A published config with the key behind it. */
export interface EchKey {
  readonly config: EchConfig
  readonly key: KeyAgreementKey
}

/** A server's key, as it is kept. @throws TlsError TLS_BAD_OPTIONS when the two do not belong together, CryptoError */
export function importEchKey(
  crypto: CryptoProvider,
  { config, scalar }: { readonly config: EchConfig; readonly scalar: Uint8Array },
): EchKey {
  const [suite] = hpkeSuites(config)
  if (suite === undefined)
    throw new TlsError('TLS_BAD_OPTIONS', 'The ECH config names no HPKE suite that is implemented here')
  const key = importHpkeKey(crypto, suite.kem, scalar)
  if (key.share.toHex() === config.publicKey.toHex()) return { config, key }
  throw new TlsError('TLS_BAD_OPTIONS', 'The ECH key is not the one that the config was made for')
}

export interface EchConfigTemplate {
  /** A DNS name that observers may see, which the server has a certificate for. */
  readonly publicName: string
  /** @default x25519 */
  readonly kem?: HpkeKem
  /** By preference. @default HKDF-SHA256 with AES-128-GCM, then with ChaCha20-Poly1305 */
  readonly suites?: readonly EchSymmetricSuite[]
  /** The length in bytes of the longest name behind the public one, at most 255. @default 0: clients round up alone */
  readonly maximumNameLength?: number
  /** Tells the server's keys apart; observers see it. @default random */
  readonly configId?: number
}

const DEFAULT_SUITES: readonly EchSymmetricSuite[] = [
  { kdf: HpkeKdf.hkdfSha256, aead: HpkeAead.aes128Gcm },
  { kdf: HpkeKdf.hkdfSha256, aead: HpkeAead.chacha20Poly1305 },
]

/** A fresh key with its config, and the scalar to keep it by. @throws TlsError TLS_BAD_OPTIONS */
export function makeEchConfig(
  crypto: CryptoProvider,
  { publicName, kem = HpkeKem.x25519, suites = DEFAULT_SUITES, ...template }: EchConfigTemplate,
): EchKey & { readonly scalar: Uint8Array } {
  const { maximumNameLength = 0, configId = crypto.random(1)[0]! } = template
  if (!isPublicName(publicName)) {
    throw new TlsError(
      'TLS_BAD_OPTIONS',
      `publicName is ${JSON.stringify(publicName)}, expected a DNS name that is no IP address`,
    )
  }
  const scalar = generateHpkeScalar(crypto, kem)
  const key = importHpkeKey(crypto, kem, scalar)
  const contents = new Writer()
    .uint8(configId)
    .uint16(kem)
    .bytes16(key.share)
    .vector16((list) => suites.forEach(({ kdf, aead }) => list.uint16(kdf).uint16(aead)))
    .uint8(maximumNameLength)
    .bytes8(utf8(publicName))
    .vector16(() => undefined)
    .finish()
  const encoded = new Writer().uint16(VERSION).bytes16(contents).finish()
  return { config: decodeEchConfig(encoded), key, scalar }
}

/** What HPKE is bound to besides the key (RFC 9849 §6.1). */
export function echInfo({ encoded }: EchConfig): Uint8Array {
  return concat(utf8('tls ech\0'), encoded)
}
