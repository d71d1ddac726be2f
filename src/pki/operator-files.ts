/**
 * Certificates and keys in the forms in which operators keep them. The one user of node-forge, which is loaded when it is
 * needed and sees nothing that came over a network.
 */
import type Forge from 'node-forge'
import type { CryptoProvider, PrivateKey } from '../crypto/provider.ts'
import { messageOf } from '../errors.ts'
import { type Certificate, parseCertificate } from './certificate.ts'
import { CertificateError } from './errors.ts'
import { encodePem, readPem } from './pem.ts'
import { decodePrivateKeyPem } from './private-key.ts'

export interface KeyAndCertificates {
  readonly key: PrivateKey
  /** In the order of the file, the one of the key first. */
  readonly certificates: readonly Certificate[]
}

const ENCRYPTED = 'ENCRYPTED PRIVATE KEY'

/**
 * The one private key of a PEM text, which may be encrypted (PKCS#8, RFC 5958 §3).
 *
 * @throws CertificateError PKI_PEM, PKI_MALFORMED, PKI_ENCRYPTED_KEY, PKI_UNSUPPORTED, PKI_WEAK_KEY
 */
export async function decodeEncryptedKeyPem(
  text: string,
  { passphrase, crypto }: { readonly passphrase: string | undefined; readonly crypto: CryptoProvider },
): Promise<PrivateKey> {
  const encrypted = readPem(text).find(({ label }) => label === ENCRYPTED)
  if (encrypted === undefined || passphrase === undefined) return decodePrivateKeyPem(text, crypto)
  const forge = await loadForge()
  const info = attempt('PKI_ENCRYPTED_KEY', 'The private key cannot be decrypted', () => {
    const clear = forge.pki.decryptPrivateKeyInfo(forge.asn1.fromDer(binary(encrypted.der)), passphrase)
    if (clear === null) throw new TypeError('the passphrase is wrong')
    return bytesOf(forge.asn1.toDer(clear).getBytes())
  })
  try {
    return decodePrivateKeyPem(encodePem('PRIVATE KEY', info), crypto)
  } finally {
    info.fill(0)
  }
}

/**
 * The one key of a PKCS#12 file (RFC 7292) and its certificates.
 *
 * @throws CertificateError PKI_ENCRYPTED_KEY for a wrong passphrase or a file that is none, and as decodePrivateKeyPem
 */
export async function decodePkcs12(
  file: Uint8Array,
  { passphrase, crypto }: { readonly passphrase: string; readonly crypto: CryptoProvider },
): Promise<KeyAndCertificates> {
  const forge = await loadForge()
  const { asn1, pki, pkcs12 } = forge
  const { keys, certificates } = attempt('PKI_ENCRYPTED_KEY', 'The PKCS#12 file cannot be opened', () => {
    const opened = pkcs12.pkcs12FromAsn1(asn1.fromDer(binary(file)), passphrase)
    const bags = (type: string) => opened.getBags({ bagType: type })[type] ?? []
    return {
      // forge reads RSA itself, and leaves everything else as it was.
      keys: [...bags(pki.oids['pkcs8ShroudedKeyBag']!), ...bags(pki.oids['keyBag']!)].map(
        ({ key, asn1: raw }) =>
          bytesOf(asn1.toDer(key ? pki.wrapRsaPrivateKey(pki.privateKeyToAsn1(key)) : raw).getBytes()),
      ),
      certificates: bags(pki.oids['certBag']!).map(({ cert, asn1: raw }) =>
        bytesOf(asn1.toDer(cert ? pki.certificateToAsn1(cert) : raw).getBytes()),
      ),
    }
  })
  const [pkcs8] = keys
  if (pkcs8 === undefined || keys.length > 1)
    throw new CertificateError(
      'PKI_PEM',
      `The PKCS#12 file must hold one private key; it holds ${keys.length}`,
    )
  try {
    const key = decodePrivateKeyPem(encodePem('PRIVATE KEY', pkcs8), crypto)
    return { key, certificates: keyFirst(certificates.map(parseCertificate), key) }
  } finally {
    pkcs8.fill(0)
  }
}

/** Tools put certificates into a PKCS#12 file in whatever order. */
function keyFirst(certificates: readonly Certificate[], { publicKey }: PrivateKey): readonly Certificate[] {
  const own = publicKey.spki.toHex()
  return certificates.toSorted(
    (a, b) => Number(b.publicKey.spki.toHex() === own) - Number(a.publicKey.spki.toHex() === own),
  )
}

/** Node gives CommonJS modules as the default export. */
async function loadForge(): Promise<typeof Forge> {
  return (await import('node-forge')).default
}

function attempt<T>(code: 'PKI_ENCRYPTED_KEY', what: string, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    throw new CertificateError(code, `${what}: ${messageOf(cause)}`, { cause })
  }
}

/** forge keeps bytes in strings. */
function binary(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1')
}

function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(text, 'latin1'))
}
