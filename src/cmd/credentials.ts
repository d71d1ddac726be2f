import type { CryptoProvider, PrivateKey } from '../crypto/provider.ts'
import { parseCertificate, type Certificate } from '../pki/certificate.ts'
import { decodePem } from '../pki/pem.ts'
import { checkKeyMatch, decodePrivateKeyPem } from '../pki/private-key.ts'
import type { Credential } from '../tls/options.ts'
import { parseContents, readOperatorFile, readSecretFile, type NamedFile } from './files.ts'

/**
 * The certificates of a PEM file, in its order.
 *
 * @throws ConfigError
 */
export async function readCertificates(file: NamedFile): Promise<Certificate[]> {
  const text = await readOperatorFile(file)
  return parseContents(file, 'certificates in PEM', () =>
    decodePem(text, 'CERTIFICATE').map((der) => parseCertificate(der)),
  )
}

/**
 * A certificate chain, leaf first, and the private key of its leaf.
 *
 * @throws ConfigError
 */
export async function readCredential(
  files: { readonly cert: NamedFile; readonly key: NamedFile },
  crypto: CryptoProvider,
): Promise<Credential & { readonly key: PrivateKey }> {
  const chain = await readCertificates(files.cert)
  const text = await readSecretFile(files.key)
  const key = parseContents(files.key, 'a private key in PEM', () => decodePrivateKeyPem(text, crypto))
  parseContents(files.key, `the private key of the first certificate in ${files.cert.path}`, () =>
    checkKeyMatch(chain[0]!, key),
  )
  return { chain, key }
}
