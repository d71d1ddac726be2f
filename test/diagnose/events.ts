/** Traces with fixed times, as the engine reports them. */
import type { Certificate } from '../../src/pki/certificate.ts'
import { CertificateError } from '../../src/pki/errors.ts'
import { TlsError } from '../../src/tls/errors.ts'
import type { Direction, MessageDetails, Protection, TraceEvent } from '../../src/tls/trace.ts'

export const START_MS: number = Date.UTC(2026, 10, 23, 12, 0, 0)
const HOUR_MS = 3_600_000

export const CATALOG = 'spiffe://shop.test/ns/shop/sa/catalog'
const WEB = 'spiffe://shop.test/ns/shop/sa/web'

/** As much of a certificate as an explanation reads. */
export function certificate(name: string, overrides: Partial<Certificate> = {}): Certificate {
  const spiffe = name.startsWith('spiffe://')
  return {
    der: new TextEncoder().encode(name),
    subject: { text: spiffe ? '' : `CN=${name}` },
    issuer: { text: 'CN=Shop workloads,O=Shop' },
    serialNumber: '0a1b2c3d',
    notBeforeMs: START_MS - 60_000,
    notAfterMs: START_MS + HOUR_MS - 60_000,
    subjectAltNames: { uris: spiffe ? [name] : [], dnsNames: spiffe ? [] : [name], ipAddresses: [] },
    ...overrides,
  } as unknown as Certificate
}

export const ROOT: Certificate = certificate('root.shop.test', {
  subject: { text: 'CN=Shop root,O=Shop' },
  subjectAltNames: { uris: [], dnsNames: [], ipAddresses: [] },
} as unknown as Partial<Certificate>)

type Message = Extract<TraceEvent, { kind: 'message' }>

function message(
  [afterMs, direction, bytes]: readonly [number, Direction, number],
  type: Message['type'],
  protection: Protection,
  details: MessageDetails,
): TraceEvent {
  return { kind: 'message', atMs: START_MS + afterMs, direction, bytes, type, protection, details }
}

const CLIENT_HELLO: MessageDetails = {
  message: 'client_hello',
  sessionIdBytes: 32,
  versions: ['TLS 1.3'],
  cipherSuites: ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'],
  groups: ['x25519', 'secp256r1'],
  keyShares: [{ group: 'x25519', bytes: 32 }],
  signatureSchemes: ['ecdsa_secp256r1_sha256', 'ed25519'],
  extensions: ['server_name', 'supported_versions', 'key_share'],
  serverName: 'catalog.shop.svc',
  alpn: ['h2', 'http/1.1'],
}

const SERVER_HELLO: MessageDetails = {
  message: 'server_hello',
  version: 'TLS 1.3',
  cipherSuite: 'TLS_AES_128_GCM_SHA256',
  keyShare: { group: 'x25519', bytes: 32 },
  sessionIdEchoed: true,
}

const at = (afterMs: number): { readonly atMs: number } => ({ atMs: START_MS + afterMs })

/** A client's trace up to the server's Certificate, which is `chain`. */
export function clientUntilCertificate(chain: readonly Certificate[]): TraceEvent[] {
  return [
    message([0, 'sent', 312], 'client_hello', 'plaintext', CLIENT_HELLO),
    { kind: 'change_cipher_spec', direction: 'sent', ...at(0.1) },
    message([1.9, 'received', 122], 'server_hello', 'plaintext', SERVER_HELLO),
    {
      kind: 'agreed',
      version: 'TLS 1.3',
      cipherSuite: 'TLS_AES_128_GCM_SHA256',
      group: 'x25519',
      resumed: false,
      ...at(2.1),
    },
    { kind: 'keys', direction: 'received', protection: 'handshake', ...at(2.1) },
    { kind: 'keys', direction: 'sent', protection: 'handshake', ...at(2.1) },
    { kind: 'change_cipher_spec', direction: 'received', ...at(2.2) },
    message([2.3, 'received', 15], 'encrypted_extensions', 'handshake', {
      message: 'encrypted_extensions',
      extensions: ['application_layer_protocol_negotiation'],
      alpn: 'h2',
    }),
    message([2.4, 'received', 94], 'certificate_request', 'handshake', {
      message: 'certificate_request',
      signatureSchemes: ['ecdsa_secp256r1_sha256', 'ed25519'],
      authorities: ['CN=Shop root,O=Shop'],
    }),
    message([2.5, 'received', 1104], 'certificate', 'handshake', { message: 'certificate', chain }),
  ]
}

/** A client's trace of a mutual handshake that holds, up to the clean end of both halves. */
export function mutualSuccess(): TraceEvent[] {
  const catalog = certificate(CATALOG)
  return [
    ...clientUntilCertificate([catalog, certificate('Shop workloads', { issuer: ROOT.subject })]),
    { kind: 'identity', name: CATALOG, expiresAtMs: catalog.notAfterMs, path: [catalog, ROOT], ...at(3) },
    message([3, 'received', 78], 'certificate_verify', 'handshake', {
      message: 'certificate_verify',
      scheme: 'ecdsa_secp256r1_sha256',
    }),
    { kind: 'possession', scheme: 'ecdsa_secp256r1_sha256', ...at(3.3) },
    message([3.4, 'received', 36], 'finished', 'handshake', { message: 'finished' }),
    { kind: 'transcript', ...at(3.4) },
    { kind: 'keys', direction: 'received', protection: 'application', ...at(3.5) },
    message([3.6, 'sent', 588], 'certificate', 'handshake', {
      message: 'certificate',
      chain: [certificate(WEB)],
    }),
    message([3.9, 'sent', 79], 'certificate_verify', 'handshake', {
      message: 'certificate_verify',
      scheme: 'ecdsa_secp256r1_sha256',
    }),
    message([4, 'sent', 36], 'finished', 'handshake', { message: 'finished' }),
    { kind: 'keys', direction: 'sent', protection: 'application', ...at(4.1) },
    { kind: 'established', ...at(4.1) },
    { kind: 'alert', direction: 'sent', description: 'close_notify', protection: 'application', ...at(812) },
    { kind: 'closed', direction: 'sent', ...at(812) },
    {
      kind: 'alert',
      direction: 'received',
      description: 'close_notify',
      protection: 'application',
      ...at(812.9),
    },
    { kind: 'closed', direction: 'received', ...at(812.9) },
  ]
}

/** A client's trace that ends at a server certificate of yesterday. */
export function expiredServer(): TraceEvent[] {
  const expired = certificate(CATALOG, {
    notBeforeMs: START_MS - 27 * HOUR_MS,
    notAfterMs: START_MS - 26 * HOUR_MS,
  })
  const cause = new CertificateError('PKI_EXPIRED', `The certificate of ${CATALOG} has expired`, {
    certificate: expired,
  })
  const error = new TlsError(
    'TLS_CERTIFICATE_REJECTED',
    `The server's certificate was refused: ${cause.message}`,
    { cause },
  )
  return [
    ...clientUntilCertificate([expired]),
    {
      kind: 'alert',
      direction: 'sent',
      description: 'certificate_expired',
      protection: 'handshake',
      ...at(2.9),
    },
    { kind: 'failed', error, ...at(2.9) },
  ]
}

/** A server's trace of a client that has nothing to show. */
export function anonymousClient(): TraceEvent[] {
  const error = new TlsError(
    'TLS_CERTIFICATE_REQUIRED',
    'The client showed no certificate, and this server demands one',
  )
  return [
    ...clientUntilCertificate([certificate(CATALOG)]).map(fromTheOtherSide),
    message([2.6, 'sent', 79], 'certificate_verify', 'handshake', {
      message: 'certificate_verify',
      scheme: 'ecdsa_secp256r1_sha256',
    }),
    message([2.7, 'sent', 36], 'finished', 'handshake', { message: 'finished' }),
    message([5.2, 'received', 8], 'certificate', 'handshake', { message: 'certificate', chain: [] }),
    {
      kind: 'alert',
      direction: 'sent',
      description: 'certificate_required',
      protection: 'application',
      ...at(5.3),
    },
    { kind: 'failed', error, ...at(5.3) },
  ]
}

/** The same handshake as the client saw it: established, then refused. */
export function refusedAnonymousClient(): TraceEvent[] {
  const error = new TlsError(
    'TLS_PEER_ALERT',
    'The peer ended the open connection with the alert certificate_required',
    {
      received: 'certificate_required',
    },
  )
  const success = mutualSuccess()
  const own = success.findIndex(
    (event) => event.kind === 'message' && event.type === 'certificate' && event.direction === 'sent',
  )
  const established = success.findIndex((event) => event.kind === 'established')
  return [
    ...success.slice(0, own),
    message([3.6, 'sent', 8], 'certificate', 'handshake', { message: 'certificate', chain: [] }),
    // Without a certificate there is nothing to verify: Finished follows at once.
    ...success.slice(own + 2, established + 1),
    {
      kind: 'alert',
      direction: 'received',
      description: 'certificate_required',
      protection: 'application',
      ...at(6),
    },
    { kind: 'failed', error, ...at(6) },
  ]
}

function fromTheOtherSide(event: TraceEvent): TraceEvent {
  if (!('direction' in event)) return event
  return Object.assign({}, event, { direction: event.direction === 'sent' ? 'received' : 'sent' })
}

/** A server's trace of a client that speaks HTTP without TLS. */
export function plaintextClient(): TraceEvent[] {
  const error = new TlsError(
    'TLS_NOT_TLS',
    'The first bytes are "GET / HTTP/1.1", which is HTTP and not TLS: expected a handshake record',
  )
  return [
    {
      kind: 'alert',
      direction: 'sent',
      description: 'unexpected_message',
      protection: 'plaintext',
      ...at(0),
    },
    { kind: 'failed', error, ...at(0) },
  ]
}
