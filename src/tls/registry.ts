/**
 * The numbers of TLS 1.3, from the IANA registries. Unknown numbers are legal on the wire and survive decoding;
 * {@link nameOf} renders any of them.
 */
import type { AeadName, GroupName, HashName, KeyKind, SignatureParameters } from '../crypto/provider.ts'

export const ContentType = {
  invalid: 0,
  change_cipher_spec: 20,
  alert: 21,
  handshake: 22,
  application_data: 23,
} as const
export type ContentType = (typeof ContentType)[keyof typeof ContentType]

export const HandshakeType = {
  client_hello: 1,
  server_hello: 2,
  new_session_ticket: 4,
  end_of_early_data: 5,
  encrypted_extensions: 8,
  certificate: 11,
  certificate_request: 13,
  certificate_verify: 15,
  finished: 20,
  key_update: 24,
  compressed_certificate: 25,
  message_hash: 254,
} as const
export type HandshakeType = (typeof HandshakeType)[keyof typeof HandshakeType]
export type HandshakeTypeName = keyof typeof HandshakeType

export const ExtensionType = {
  server_name: 0,
  max_fragment_length: 1,
  status_request: 5,
  supported_groups: 10,
  ec_point_formats: 11,
  signature_algorithms: 13,
  application_layer_protocol_negotiation: 16,
  signed_certificate_timestamp: 18,
  client_certificate_type: 19,
  server_certificate_type: 20,
  padding: 21,
  encrypt_then_mac: 22,
  extended_main_secret: 23,
  compress_certificate: 27,
  record_size_limit: 28,
  delegated_credential: 34,
  session_ticket: 35,
  pre_shared_key: 41,
  early_data: 42,
  supported_versions: 43,
  cookie: 44,
  psk_key_exchange_modes: 45,
  certificate_authorities: 47,
  oid_filters: 48,
  post_handshake_auth: 49,
  signature_algorithms_cert: 50,
  key_share: 51,
  tls_flags: 62,
  ech_outer_extensions: 0xfd00,
  encrypted_client_hello: 0xfe0d,
  renegotiation_info: 0xff01,
} as const
export type ExtensionType = (typeof ExtensionType)[keyof typeof ExtensionType]

export const ProtocolVersion = { tls10: 0x0301, tls12: 0x0303, tls13: 0x0304 } as const

/** How a side proves itself (RFC 7250 §7); the engine knows these two. */
export const CertificateType = { X509: 0, RawPublicKey: 2 } as const
export type CertificateTypeName = keyof typeof CertificateType

/** RFC 8879 §7.3. */
export const CertificateCompression = { zlib: 1, brotli: 2, zstd: 3 } as const

/** RFC 8446 appendix B.4. */
export const CipherSuite = {
  TLS_AES_128_GCM_SHA256: 0x1301,
  TLS_AES_256_GCM_SHA384: 0x1302,
  TLS_CHACHA20_POLY1305_SHA256: 0x1303,
} as const
export type CipherSuiteName = keyof typeof CipherSuite

export interface CipherSuiteParameters {
  readonly name: CipherSuiteName
  readonly code: number
  readonly aead: AeadName
  readonly hash: Extract<HashName, 'sha256' | 'sha384'>
  /** Records that one key may protect before the safety margin is gone (RFC 8446 §5.5). */
  readonly recordLimit: number
}

/** RFC 8446 §5.5: up to 2^24.5 full-size records AES-GCM keeps a margin of 2^-57. */
const AES_GCM_RECORD_LIMIT = Math.floor(2 ** 24.5)

export const CIPHER_SUITES: readonly CipherSuiteParameters[] = [
  {
    name: 'TLS_AES_128_GCM_SHA256',
    code: CipherSuite.TLS_AES_128_GCM_SHA256,
    aead: 'aes-128-gcm',
    hash: 'sha256',
    recordLimit: AES_GCM_RECORD_LIMIT,
  },
  {
    name: 'TLS_AES_256_GCM_SHA384',
    code: CipherSuite.TLS_AES_256_GCM_SHA384,
    aead: 'aes-256-gcm',
    hash: 'sha384',
    recordLimit: AES_GCM_RECORD_LIMIT,
  },
  {
    name: 'TLS_CHACHA20_POLY1305_SHA256',
    code: CipherSuite.TLS_CHACHA20_POLY1305_SHA256,
    aead: 'chacha20-poly1305',
    hash: 'sha256',
    recordLimit: Number.MAX_SAFE_INTEGER,
  },
]

/** RFC 8446 §4.2.7; those with ML-KEM from draft-ietf-tls-ecdhe-mlkem and draft-ietf-tls-mlkem. */
export const NamedGroup: Readonly<Record<GroupName, number>> = {
  secp256r1: 0x0017,
  secp384r1: 0x0018,
  secp521r1: 0x0019,
  x25519: 0x001d,
  MLKEM768: 0x0201,
  MLKEM1024: 0x0202,
  SecP256r1MLKEM768: 0x11eb,
  X25519MLKEM768: 0x11ec,
  SecP384r1MLKEM1024: 0x11ed,
}

/**
 * RFC 8446 §4.2.3, as far as the engine signs or verifies with them; ML-DSA from draft-ietf-tls-mldsa, the legacy one
 * from draft-ietf-tls-tls13-pkcs1.
 */
export const SignatureScheme = {
  ecdsa_secp256r1_sha256: 0x0403,
  ecdsa_secp384r1_sha384: 0x0503,
  ed25519: 0x0807,
  rsa_pss_rsae_sha256: 0x0804,
  rsa_pss_rsae_sha384: 0x0805,
  rsa_pss_rsae_sha512: 0x0806,
  ecdsa_secp521r1_sha512: 0x0603,
  mldsa44: 0x0904,
  mldsa65: 0x0905,
  mldsa87: 0x0906,
  rsa_pkcs1_sha256_legacy: 0x0420,
} as const
export type SignatureSchemeName = keyof typeof SignatureScheme

export interface SignatureSchemeParameters {
  readonly name: SignatureSchemeName
  readonly code: number
  /** The one kind of key that may use it: TLS 1.3 binds the curve to the hash. */
  readonly keyKind: KeyKind
  readonly parameters: SignatureParameters
  /**
   * Whom peers may prove themselves with it to: everyone, those who ask for it by name, or, of those, servers only.
   * The last is for clients whose old hardware cannot do better; they too must be told to sign with it.
   */
  readonly use: 'default' | 'asked' | 'legacy'
}

/** In our order of preference. */
export const SIGNATURE_SCHEMES: readonly SignatureSchemeParameters[] = [
  scheme('ecdsa_secp256r1_sha256', 'ec-p256', { kind: 'ecdsa', hash: 'sha256' }),
  scheme('ecdsa_secp384r1_sha384', 'ec-p384', { kind: 'ecdsa', hash: 'sha384' }),
  scheme('ed25519', 'ed25519', { kind: 'ed25519' }),
  scheme('rsa_pss_rsae_sha256', 'rsa', { kind: 'rsa-pss', hash: 'sha256' }),
  scheme('rsa_pss_rsae_sha384', 'rsa', { kind: 'rsa-pss', hash: 'sha384' }),
  scheme('rsa_pss_rsae_sha512', 'rsa', { kind: 'rsa-pss', hash: 'sha512' }),
  scheme('ecdsa_secp521r1_sha512', 'ec-p521', { kind: 'ecdsa', hash: 'sha512' }, 'asked'),
  scheme('mldsa44', 'ml-dsa-44', { kind: 'ml-dsa-44' }, 'asked'),
  scheme('mldsa65', 'ml-dsa-65', { kind: 'ml-dsa-65' }, 'asked'),
  scheme('mldsa87', 'ml-dsa-87', { kind: 'ml-dsa-87' }, 'asked'),
  scheme('rsa_pkcs1_sha256_legacy', 'rsa', { kind: 'rsa-pkcs1', hash: 'sha256' }, 'legacy'),
]

function scheme(
  name: SignatureSchemeName,
  keyKind: KeyKind,
  parameters: SignatureParameters,
  use: SignatureSchemeParameters['use'] = 'default',
): SignatureSchemeParameters {
  return { name, code: SignatureScheme[name], keyKind, parameters, use }
}

/** The registry's name of a number, or the number in hexadecimal when the registry has none. */
export function nameOf(registry: Readonly<Record<string, number>>, code: number): string {
  const name = namesIn(registry).get(code)
  if (name !== undefined) return name
  return isGrease(code) ? `GREASE (0x${code.toString(16)})` : `0x${code.toString(16).padStart(4, '0')}`
}

function namesIn(registry: Readonly<Record<string, number>>): ReadonlyMap<number, string> {
  const known = NAMES.get(registry)
  if (known !== undefined) return known
  const names = new Map(Object.entries(registry).map(([name, code]) => [code, name]))
  NAMES.set(registry, names)
  return names
}

const NAMES = new WeakMap<Readonly<Record<string, number>>, ReadonlyMap<number, string>>()

/** The n-th of the 16 values 0x0a0a, 0x1a1a, … 0xfafa that mean nothing (RFC 8701 §2). */
export function greaseCode(n: number): number {
  return (n << 12) | 0x0a00 | (n << 4) | 0x0a
}

/** Whether a two-byte code is one of the reserved values of RFC 8701 §2. */
export function isGrease(code: number): boolean {
  return (code & 0x0f0f) === 0x0a0a && code >>> 8 === (code & 0xff)
}
