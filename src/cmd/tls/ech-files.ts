/**
 * ECH configs and keys as files: PEM, with the private key (PKCS#8) before the block ECHCONFIG, which holds an
 * ECHConfigList. Other tools for ECH write and read the same.
 */
import { decodeAgreementKey, encodeAgreementKey } from '../../crypto/agreement-key-encoding.ts'
import type { CryptoProvider } from '../../crypto/provider.ts'
import { decodePem, encodePem } from '../../pki/pem.ts'
import {
  decodeEchConfigList,
  encodeEchConfigList,
  importEchKey,
  type EchConfig,
  type EchKey,
} from '../../tls/ech/config.ts'
import { TlsError } from '../../tls/errors.ts'
import { parseContents, readOperatorFile, readSecretFile } from '../files.ts'

const CONFIG_LABEL = 'ECHCONFIG'
const KEY_LABEL = 'PRIVATE KEY'

/** The text of a file with a key and its config. */
export function echKeyFile({ config, key }: EchKey, scalar: Uint8Array): string {
  const pkcs8 = encodeAgreementKey({ group: key.group, scalar })
  return encodePem(KEY_LABEL, pkcs8) + encodePem(CONFIG_LABEL, encodeEchConfigList([config]))
}

/** The keys of a server. @throws ConfigError */
export async function readEchKeys(paths: readonly string[], crypto: CryptoProvider): Promise<EchKey[]> {
  const keys: EchKey[] = []
  for (const path of paths) {
    const file = { path, field: '--ech-key' }
    const text = await readSecretFile(file)
    keys.push(...parseContents(file, 'an ECH config and its private key in PEM', () => keysIn(text, crypto)))
  }
  return keys
}

function keysIn(text: string, crypto: CryptoProvider): EchKey[] {
  const { group, scalar } = decodeAgreementKey(decodePem(text, KEY_LABEL)[0]!)
  const { share } = crypto.importKeyAgreementKey(group, scalar)
  const own = configsIn(text).filter(({ publicKey }) => publicKey.toHex() === share.toHex())
  if (own.length === 0) throw new TlsError('TLS_BAD_OPTIONS', 'None of the configs was made for the key')
  return own.map((config) => importEchKey(crypto, { config, scalar }))
}

function configsIn(text: string): EchConfig[] {
  return decodePem(text, CONFIG_LABEL).flatMap((list) => decodeEchConfigList(list))
}

/** An ECHConfigList, given as base64 or as the name of a file that holds one in PEM. @throws ConfigError */
export async function readEchConfigs(value: string): Promise<Uint8Array> {
  const given = fromBase64(value)
  if (given !== undefined) return given
  const file = { path: value, field: '--ech-config' }
  const text = await readOperatorFile(file)
  return parseContents(file, 'ECH configs in PEM', () => encodeEchConfigList(configsIn(text)))
}

/** Undefined for what is no list of configs, and so must be a file. */
function fromBase64(text: string): Uint8Array | undefined {
  try {
    const list = Uint8Array.fromBase64(text)
    decodeEchConfigList(list)
    return list
  } catch {
    return undefined
  }
}
