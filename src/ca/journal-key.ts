import type { CryptoProvider, PrivateKey, PublicKey } from '../crypto/provider.ts'
import { messageOf } from '../errors.ts'
import { decodePem, encodePem } from '../pki/pem.ts'
import { PUBLIC_FILE_MODE, SECRET_FILE_MODE, writeDurably } from './durable-file.ts'
import { CaError } from './errors.ts'
import type { JournalFiles } from './journal-files.ts'
import { readSecretFile } from './secret-file.ts'

/** Makes the key of a new journal, and publishes its public half. @throws CaError CA_STORE_IO */
export async function makeJournalKey(files: JournalFiles, crypto: CryptoProvider): Promise<PrivateKey> {
  const key = crypto.generateKey('ec-p256')
  await writeDurably(files.key, encodePem('PRIVATE KEY', key.exportPkcs8()), { mode: SECRET_FILE_MODE })
  return key
}

/**
 * The key of a journal; undefined where there is none.
 *
 * @throws CaError CA_STORE_PERMISSIONS, CA_STORE_CORRUPT, CA_STORE_IO
 */
export async function loadJournalKey(
  files: JournalFiles,
  crypto: CryptoProvider,
): Promise<PrivateKey | undefined> {
  const text = await readSecretFile(files.key)
  if (text === undefined) return undefined
  return asKey(files.key, () => p256(crypto.importPrivateKey(onlyBlock(text, 'PRIVATE KEY'))))
}

/** Writes the public key for those who verify. @throws CaError CA_STORE_IO */
export async function publishJournalKey(files: JournalFiles, { publicKey }: PrivateKey): Promise<void> {
  await writeDurably(files.publicKey, encodePem('PUBLIC KEY', publicKey.spki), { mode: PUBLIC_FILE_MODE })
}

/**
 * A published key, as PEM text.
 *
 * @param path for messages
 * @throws CaError CA_STORE_CORRUPT
 */
export function readJournalPublicKey(path: string, text: string, crypto: CryptoProvider): PublicKey {
  return asKey(path, () => p256(crypto.importPublicKey(onlyBlock(text, 'PUBLIC KEY'))))
}

/** The name of a key in journals. */
export function journalKeySha256({ spki }: PublicKey, crypto: CryptoProvider): string {
  return crypto.digest('sha256', spki).toHex()
}

function onlyBlock(text: string, label: string): Uint8Array {
  const [block, ...more] = decodePem(text, label)
  if (more.length > 0) throw new RangeError(`${1 + more.length} blocks ${label}`)
  return block!
}

function p256<Key extends { readonly kind: string }>(key: Key): Key {
  if (key.kind !== 'ec-p256') throw new RangeError(`a key of kind ${key.kind}, expected ec-p256`)
  return key
}

function asKey<Key>(path: string, read: () => Key): Key {
  try {
    return read()
  } catch (error) {
    throw new CaError('CA_STORE_CORRUPT', `${path} is not the key of a journal: ${messageOf(error)}`, {
      path,
      cause: error,
    })
  }
}
