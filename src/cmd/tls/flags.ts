/** What both tools of the engine take, and its reading. */
import type { CryptoProvider, GroupName } from '../../crypto/provider.ts'
import { nodeCompression } from '../../net/node-compression.ts'
import type { CertificateCompressor } from '../../tls/certificate-compression.ts'
import type { Credential } from '../../tls/options.ts'
import {
  CipherSuite,
  SIGNATURE_SCHEMES,
  type CipherSuiteName,
  type SignatureSchemeName,
} from '../../tls/registry.ts'
import { readCredential } from '../credentials.ts'
import { UsageError } from '../errors.ts'
import { parseList, parseNames, quoted } from '../flags.ts'

/** For `parseFlags`. */
export const SHARED_FLAGS = {
  cert: { type: 'string', multiple: true },
  key: { type: 'string', multiple: true },
  ca: { type: 'string' },
  alpn: { type: 'string' },
  suites: { type: 'string' },
  groups: { type: 'string' },
  signatures: { type: 'string' },
  'compress-certificates': { type: 'boolean' },
  'psk-identity': { type: 'string' },
  'psk-file': { type: 'string' },
  'psk-hash': { type: 'string' },
  'key-update': { type: 'boolean' },
  keylog: { type: 'string' },
  explain: { type: 'boolean' },
  json: { type: 'boolean' },
} as const

/** Help for the flags that mean the same in both tools. */
export const SHARED_USAGE: string = `  --alpn a,b           application protocols, by preference
  --suites A,B         cipher suites, by preference: ${Object.keys(CipherSuite).join(', ')}
  --groups A,B         key agreement groups, by preference: x25519, secp256r1, …
  --signatures A,B     what the peer may prove itself with, by preference: ed25519, mldsa65, …
  --compress-certificates
                       take and send certificates compressed (RFC 8879): fewer bytes, which older Wiresharks cannot read
  --psk-file FILE      rest on a key that both sides were given beforehand instead of certificates: at least 16 bytes in
                       hexadecimal (openssl rand -hex 32), in a file readable by its owner only; imported as RFC 9258
                       says, which the other side must do too
  --psk-identity ID    what both sides call that key; observers can read it
  --psk-hash HASH      what it is imported with: sha256 (default) or sha384
  --key-update         renew the keys right after the handshake, and ask the peer to do the same
  --keylog FILE        append the secrets of every session (SSLKEYLOGFILE format, RFC 9850), for Wireshark;
                       whoever reads the file reads the traffic`

/** RFC 7301 §3.1: names of 1 to 255 bytes. */
const MAX_ALPN_BYTES = 255

export interface Negotiation {
  readonly alpn?: readonly string[]
  readonly suites?: readonly CipherSuiteName[]
  readonly groups?: readonly GroupName[]
  readonly signatureSchemes?: readonly SignatureSchemeName[]
  readonly certificateCompression?: readonly CertificateCompressor[]
}

interface NegotiationFlags {
  readonly alpn?: string
  readonly suites?: string
  readonly groups?: string
  readonly signatures?: string
  readonly 'compress-certificates'?: boolean
}

/** What is left over for old clients is for configurations, not for trying things out. */
const SIGNATURES: readonly SignatureSchemeName[] = SIGNATURE_SCHEMES.filter(
  ({ use }) => use !== 'legacy',
).map(({ name }) => name)

/** @throws UsageError */
export function readNegotiation(flags: NegotiationFlags, crypto: CryptoProvider): Negotiation {
  return {
    ...(flags.alpn === undefined ? {} : { alpn: readAlpn(flags.alpn) }),
    ...(flags.suites === undefined
      ? {}
      : { suites: parseNames('--suites', flags.suites, Object.keys(CipherSuite) as CipherSuiteName[]) }),
    ...(flags.groups === undefined ? {} : { groups: parseNames('--groups', flags.groups, crypto.groups) }),
    ...(flags.signatures === undefined
      ? {}
      : { signatureSchemes: parseNames('--signatures', flags.signatures, SIGNATURES) }),
    ...(flags['compress-certificates'] === true ? { certificateCompression: nodeCompression } : {}),
  }
}

/**
 * Pairs each `--cert` with the `--key` at the same place and reads them.
 *
 * @throws UsageError, ConfigError
 */
export async function readCredentials(
  flags: { readonly cert?: readonly string[]; readonly key?: readonly string[] },
  crypto: CryptoProvider,
): Promise<Credential[]> {
  const { cert: certs = [], key: keys = [] } = flags
  if (certs.length > keys.length)
    throw new UsageError(`--key: expected one for each of ${certs.length} --cert, got ${keys.length}`)
  if (keys.length > certs.length)
    throw new UsageError(`--cert: expected one for each of ${keys.length} --key, got ${certs.length}`)
  return Promise.all(
    certs.map((path, index) =>
      readCredential(
        { cert: { path, field: '--cert' }, key: { path: keys[index]!, field: '--key' } },
        crypto,
      ),
    ),
  )
}

function readAlpn(text: string): string[] {
  const names = parseList('--alpn', text)
  const long = names.find((name) => Buffer.byteLength(name) > MAX_ALPN_BYTES)
  if (long !== undefined)
    throw new UsageError(`--alpn: expected names of at most ${MAX_ALPN_BYTES} bytes, got ${quoted(long)}`)
  return names
}
