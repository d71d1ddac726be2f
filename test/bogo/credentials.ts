import { readFileSync } from 'node:fs'
import type { CryptoProvider } from '../../src/crypto/provider.ts'
import { parseCertificate, type Certificate } from '../../src/pki/certificate.ts'
import { decodePem } from '../../src/pki/pem.ts'
import { decodePrivateKeyPem } from '../../src/pki/private-key.ts'
import type { Credential } from '../../src/tls/options.ts'
import type { CredentialFlags, Settings } from './flags.ts'

/** The credentials of the flags, by preference; the default one comes last. */
export function readCredentials(settings: Settings, crypto: CryptoProvider): Credential[] {
  return [...settings.credentials, settings.defaultCredential]
    .filter(({ certFile, keyFile }) => certFile !== undefined && keyFile !== undefined)
    .map((flags) => readCredential(flags, crypto))
}

/** The certificates of a PEM file, leaf first. */
export function readChain(file: string): Certificate[] {
  return decodePem(readFileSync(file, 'latin1'), 'CERTIFICATE').map((der) => parseCertificate(der))
}

function readCredential({ certFile, keyFile }: CredentialFlags, crypto: CryptoProvider): Credential {
  return {
    chain: readChain(certFile!),
    key: decodePrivateKeyPem(readFileSync(keyFile!, 'latin1'), crypto),
  }
}
