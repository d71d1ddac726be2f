import { readFileSync } from 'node:fs'
import type { CryptoProvider, PrivateKey } from '../../src/crypto/provider.ts'
import { parseCertificate, type Certificate } from '../../src/pki/certificate.ts'
import { decodePem } from '../../src/pki/pem.ts'
import type { AnyCredential, Credential, SigningKey } from '../../src/tls/options.ts'
import { SIGNATURE_SCHEMES } from '../../src/tls/registry.ts'
import type { ExternalPsk } from '../../src/tls/session/external-psk.ts'
import type { CredentialFlags, Settings } from './flags.ts'
import { late } from './late.ts'

/** A credential and its number among those of -new-x509-credential; the default one has -1. */
export type NumberedCredential = AnyCredential & { readonly number: number }

/** The credentials of the flags, by preference; the default one comes last. */
export function readCredentials(settings: Settings, crypto: CryptoProvider): NumberedCredential[] {
  const { async: isAsync, declineOcspCallback } = settings
  const reading = { crypto, isAsync, withStaples: !declineOcspCallback }
  const announced = settings.credentials.map((flags, number) => ({ flags, number }))
  return [...announced, { flags: settings.defaultCredential, number: -1 }]
    .filter(
      ({ flags: { certFile, keyFile, newRpkCredential } }) =>
        keyFile !== undefined && (newRpkCredential || certFile !== undefined),
    )
    .map(({ flags, number }) => readCredential(flags, { ...reading, number }))
}

/** A key that both sides were given, and its number among the credentials. */
export interface NumberedPsk extends ExternalPsk {
  readonly number: number
}

/** The keys of the flags, by preference; undefined when there are none. */
export function readExternalPsks({ credentials }: Settings): NumberedPsk[] | undefined {
  const psks = credentials.flatMap(
    ({ pskImporterKey, pskImporterIdentity, pskImporterContext, pskImporterSha384 }, number) =>
      pskImporterKey === undefined
        ? []
        : {
            number,
            key: Uint8Array.fromBase64(pskImporterKey),
            identity: Uint8Array.fromBase64(pskImporterIdentity ?? ''),
            context: Uint8Array.fromBase64(pskImporterContext ?? ''),
            hash: pskImporterSha384 ? ('sha384' as const) : ('sha256' as const),
          },
  )
  return psks.length === 0 ? undefined : psks
}

/** The certificates of a PEM file, leaf first. */
export function readChain(file: string): Certificate[] {
  return decodePem(readFileSync(file, 'latin1'), 'CERTIFICATE').map((der) => parseCertificate(der))
}

interface Reading {
  readonly crypto: CryptoProvider
  readonly isAsync: boolean
  readonly withStaples: boolean
  readonly number: number
}

function readCredential(
  flags: CredentialFlags,
  { crypto, isAsync, withStaples, number }: Reading,
): NumberedCredential {
  const { certFile, keyFile, signingPrefs, mustMatchIssuer, ocspResponse, signedCertTimestamps } = flags
  const key = readKey(keyFile!, crypto)
  const common = {
    number,
    key: isAsync ? lateSigner(key) : key,
    ...(signingPrefs.length === 0 ? {} : { signatureSchemes: schemesOf(signingPrefs) }),
  }
  if (flags.newRpkCredential) return { ...common, rawPublicKey: key.publicKey.spki }
  return {
    ...common,
    chain: readChain(certFile!),
    onlyForNamedIssuers: mustMatchIssuer,
    ...(ocspResponse === undefined || !withStaples
      ? {}
      : { ocspResponse: Uint8Array.fromBase64(ocspResponse) }),
    ...(signedCertTimestamps === undefined
      ? {}
      : { signedCertificateTimestamps: Uint8Array.fromBase64(signedCertTimestamps) }),
  }
}

/** As a key that lives elsewhere. */
function lateSigner(key: PrivateKey): SigningKey {
  return {
    kind: key.kind,
    sign: (parameters, content) => late(true, () => key.sign(parameters, content)),
  }
}

/** By the provider alone: one of the suite's keys is too short for those who read key files. */
function readKey(file: string, crypto: CryptoProvider): PrivateKey {
  return crypto.importPrivateKey(decodePem(readFileSync(file, 'latin1'), 'PRIVATE KEY')[0]!)
}

/** Those that the engine signs with; the others only show what it refuses to do. */
function schemesOf(codes: readonly number[]): NonNullable<Credential['signatureSchemes']> {
  return codes.flatMap((code) =>
    SIGNATURE_SCHEMES.filter((scheme) => scheme.code === code).map(({ name }) => name),
  )
}
