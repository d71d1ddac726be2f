/** OpenSSL's `s_client` and `s_server`. */
import { execFileSync } from 'node:child_process'
import type { GroupName } from '../../../src/crypto/provider.ts'
import type { MeshFiles } from '../../cmd/tls-files.ts'
import { probe, STDBUF, type Program } from '../../support/peers.ts'

/** Its server says much into a pipe only when it ends, unless it is told otherwise. */
export const OPENSSL: Program | string =
  typeof STDBUF === 'string' ? STDBUF : probe('openssl', ['version'], /^OpenSSL ((?:1\.1\.1|[3-9]\.)\S*)/)

/** Those that every OpenSSL with TLS 1.3 has. */
export const OPENSSL_GROUPS: readonly GroupName[] = ['x25519', 'secp256r1', 'secp384r1']

/** OpenSSL's names, in what it takes and in what it says. */
const GROUP_NAMES: readonly (readonly [GroupName, string, RegExp])[] = [
  ['x25519', 'X25519', /^X25519/],
  ['secp256r1', 'P-256', /^(?:ECDH, )?(?:prime256v1|secp256r1|P-256)/],
  ['secp384r1', 'P-384', /^(?:ECDH, )?(?:secp384r1|P-384)/],
  ['X25519MLKEM768', 'X25519MLKEM768', /^X25519MLKEM768/],
]

export function opensslGroup(group: GroupName): string {
  return GROUP_NAMES.find(([ours]) => ours === group)![1]
}

/** Our name for a group as OpenSSL prints it; what has none is given back as it is. */
export function groupFromOpenssl(printed: string): string {
  return GROUP_NAMES.find(([, , pattern]) => pattern.test(printed))?.[0] ?? printed
}

/**
 * Flags of a party that shows a credential and verifies ours. `-cert` takes the leaf alone, and `-cert_chain` sends all
 * of the file after it: the leaf comes twice, which verifiers have to bear with (RFC 8446 §4.4.2).
 */
export function opensslFlags({ ca }: Pick<MeshFiles, 'ca'>, credential: MeshFiles['web']): string[] {
  const [, cert, , key] = credential
  return ['-cert', cert, '-cert_chain', cert, '-key', key, '-CAfile', ca, '-verify_return_error']
}

/** The number of the alert that it was sent, by what it prints; undefined when it prints none. */
export function alertNumberIn(stderr: string): number | undefined {
  const number = /SSL alert number (\d+)/.exec(stderr)?.[1]
  return number === undefined ? undefined : Number(number)
}

/** Chain and key of a credential in one file, as other makes read them. */
export function writePkcs12(
  [, cert, , key]: MeshFiles['web'],
  { path, name, password }: { readonly path: string; readonly name: string; readonly password: string },
): void {
  const input = ['-name', name, '-in', cert, '-inkey', key]
  execFileSync(opensslPath(), ['pkcs12', '-export', ...input, '-out', path, '-passout', `pass:${password}`])
}

export function opensslPath(): string {
  if (typeof OPENSSL === 'string') throw new Error(OPENSSL)
  return OPENSSL.path
}
