/** By certificate or by raw public key: how each side proves itself (RFC 7250, RFC 8446 §4.4.2). */
import { TlsError } from './errors.ts'
import { certificateTypeOf, listOf } from './credentials.ts'
import type { ClientOptions, EndpointOptions, ServerOptions } from './options.ts'
import { CertificateType, nameOf, type CertificateTypeName } from './registry.ts'

/** What holds for a side that says nothing. */
export const X509_ONLY: readonly number[] = [CertificateType.X509]

/** Whether a list need not, and so must not, be said (RFC 7250 §4.1). */
export function goesWithoutSaying(types: readonly number[]): boolean {
  return types.every((type) => type === CertificateType.X509)
}

/** What a client accepts of servers, by preference. */
export function typesOfServers(options: ClientOptions): readonly number[] {
  return codesOf(options.peerCertificateTypes) ?? [...X509_ONLY, ...rawTypes(options)]
}

/** How a client can prove itself, by preference. */
export function ownTypes({ credential, ownCertificateTypes }: ClientOptions): readonly number[] {
  if (ownCertificateTypes !== undefined) return codesOf(ownCertificateTypes)!
  if (credential === undefined || typeof credential === 'function') return X509_ONLY
  return [...new Set(listOf(credential).map(certificateTypeOf))]
}

/** What a server accepts of clients, by preference; empty when it does not ask them who they are. */
export function typesOfClients(options: ServerOptions): readonly number[] {
  const { clientVerifier, peerCertificateTypes } = options
  const verifiable = [...(clientVerifier === undefined ? [] : X509_ONLY), ...rawTypes(options)]
  return codesOf(peerCertificateTypes)?.filter((type) => verifiable.includes(type)) ?? verifiable
}

/** The server's preference among what the client offers. @throws TlsError TLS_NO_COMMON_CERTIFICATE_TYPE */
export function chooseClientType(accepted: readonly number[], offered: readonly number[]): number {
  const chosen = accepted.find((type) => offered.includes(type))
  if (chosen !== undefined) return chosen
  throw new TlsError(
    'TLS_NO_COMMON_CERTIFICATE_TYPE',
    `The client can prove itself by ${namesOf(offered)}; accepted here: ${namesOf(accepted)}`,
  )
}

/** Holds what a server selected for `whose` Certificate against our offer. @throws TlsError TLS_NO_COMMON_CERTIFICATE_TYPE */
export function checkSelectedType(
  selected: number | undefined,
  offered: readonly number[],
  whose: 'client' | 'server',
): number {
  const type = selected ?? CertificateType.X509
  if (offered.includes(type)) return type
  throw new TlsError(
    'TLS_NO_COMMON_CERTIFICATE_TYPE',
    `The server selected ${namesOf([type])} for the ${whose}'s Certificate${selected === undefined ? ', by saying nothing' : ''}; offered were ${namesOf(offered)}`,
  )
}

function rawTypes({ rawPublicKeyVerifier }: EndpointOptions): readonly number[] {
  return rawPublicKeyVerifier === undefined ? [] : [CertificateType.RawPublicKey]
}

function codesOf(names: readonly CertificateTypeName[] | undefined): readonly number[] | undefined {
  return names?.map((name) => CertificateType[name])
}

/** For an error. */
function namesOf(types: readonly number[]): string {
  return types.map((type) => nameOf(CertificateType, type)).join(', ')
}
