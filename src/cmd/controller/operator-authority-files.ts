import { stat } from 'node:fs/promises'
import { CaError } from '../../ca/errors.ts'
import {
  judgeOperatorAuthority,
  type OperatorAuthority,
  type OperatorMaterial,
} from '../../ca/operator-authority.ts'
import type { AuthorityFiles, ControllerConfig } from '../../config/controller-config.ts'
import { ConfigError } from '../../config/errors.ts'
import type { CryptoProvider } from '../../crypto/provider.ts'
import { messageOf } from '../../errors.ts'
import { parseCertificate } from '../../pki/certificate.ts'
import { decodeEncryptedKeyPem, decodePkcs12 } from '../../pki/operator-files.ts'
import { decodePem } from '../../pki/pem.ts'
import {
  checkPrivate,
  type NamedFile,
  parseContents,
  readOperatorBytes,
  readOperatorFile,
  readSecretFile,
} from '../files.ts'

/**
 * Reads and judges the authority that the operator has configured; undefined without one.
 *
 * @throws ConfigError that names the file and what is wrong with it
 */
export async function readOperatorAuthority(
  {
    authority,
    trustDomain,
    maxSvidTtlMs,
  }: Pick<ControllerConfig, 'authority' | 'trustDomain' | 'maxSvidTtlMs'>,
  { crypto, nowMs }: { readonly crypto: CryptoProvider; readonly nowMs: number },
): Promise<OperatorAuthority | undefined> {
  if (authority === undefined) return undefined
  const passphrase = await readPassphrase(authority)
  const file = authorityFile(authority)
  const material =
    authority.kind === 'pkcs12'
      ? await readPkcs12(file, passphrase ?? '', crypto)
      : await readPemPair(authority, { file, passphrase, crypto })
  try {
    return await judgeOperatorAuthority(material, { trustDomain, crypto, nowMs, svidTtlMs: maxSvidTtlMs })
  } catch (error) {
    if (!(error instanceof CaError)) throw error
    throw unfit(file, error)
  }
}

/** Changes when any of the files has changed, as far as the file system tells. */
export async function authorityFingerprint(files: AuthorityFiles): Promise<string> {
  const { kind, passphraseFile, ...rest } = files
  const paths = [...Object.values(rest), passphraseFile].filter((path) => path !== undefined)
  const stats = await Promise.all(
    paths.map((path) => stat(path).then(({ ino, size, mtimeMs }) => [ino, size, mtimeMs], messageOf)),
  )
  return JSON.stringify([kind, stats])
}

async function readPassphrase({ passphraseFile: path }: AuthorityFiles): Promise<string | undefined> {
  if (path === undefined) return undefined
  const text = await readSecretFile({ path, field: 'spec.authority.passphraseFile' })
  return text.replace(/\r?\n$/, '')
}

async function readPkcs12(
  file: NamedFile,
  passphrase: string,
  crypto: CryptoProvider,
): Promise<OperatorMaterial> {
  const bytes = await readOperatorBytes(file)
  const { mode } = await stat(file.path)
  checkPrivate(file, mode)
  return unlessUnfit(file, () => decodePkcs12(bytes, { passphrase, crypto }))
}

async function readPemPair(
  { certificateFile, keyFile }: Extract<AuthorityFiles, { kind: 'pem' }>,
  {
    file,
    passphrase,
    crypto,
  }: { readonly file: NamedFile; readonly passphrase: string | undefined; readonly crypto: CryptoProvider },
): Promise<OperatorMaterial> {
  const text = await readOperatorFile({ ...file, path: certificateFile })
  const certificates = parseContents(file, 'certificates in PEM', () =>
    decodePem(text, 'CERTIFICATE').map(parseCertificate),
  )
  const keyNamed: NamedFile = { path: keyFile, field: 'spec.authority.keyFile' }
  const keyText = await readSecretFile(keyNamed)
  const key = await unlessUnfit(keyNamed, () => decodeEncryptedKeyPem(keyText, { passphrase, crypto }))
  return { certificates, key }
}

function authorityFile(files: AuthorityFiles): NamedFile {
  return files.kind === 'pkcs12'
    ? { path: files.pkcs12File, field: 'spec.authority.pkcs12File' }
    : { path: files.certificateFile, field: 'spec.authority.certificateFile' }
}

async function unlessUnfit<T>(file: NamedFile, read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    throw unfit(file, error)
  }
}

function unfit({ path, field }: NamedFile, error: unknown): ConfigError {
  const expected = 'a certificate authority that can sign for the trust domain'
  return new ConfigError(
    'CONFIG_INVALID',
    [{ file: path, field, expected, got: `another: ${messageOf(error)}` }],
    {
      cause: error,
    },
  )
}
