import assert from 'node:assert/strict'
import test from 'node:test'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import type { PrivateKey } from '../../src/crypto/provider.ts'
import { SpiffeId } from '../../src/identity/spiffe-id.ts'
import { svidVerifier } from '../../src/identity/svid-verifier.ts'
import { CertificateError } from '../../src/pki/errors.ts'
import type { CertificateVerifier } from '../../src/pki/verifier.ts'
import { encodeCertificate } from '../../src/tls/messages/authentication.ts'
import type { Credential } from '../../src/tls/options.ts'
import { HandshakeType } from '../../src/tls/registry.ts'
import { mintIntermediate, mintRoot, mintSvid, mintTrustDomain } from '../support/certificates.ts'
import { TlsPair, type Role, type TlsPairOptions } from '../support/tls-pair.ts'
import { CLIENT_ID, mintWorkloads, newKey, NOW_MS, SERVER_ID } from '../support/tls-workloads.ts'

const workloads = await mintWorkloads()
const { intermediate } = workloads.domain
const HOUR_MS = 3_600_000

interface Refusal {
  readonly code: string
  /** What the peer is told. */
  readonly alert: string
  /** The code of the certificate error behind it. */
  readonly cause?: string
  /** What the operator reads. */
  readonly evidence: RegExp
}

/** The pair in which one side shows `credential`, and all else is in order. */
function showing(shower: Role, credential: Credential): TlsPairOptions {
  return shower === 'client' ? { client: { credential } } : { server: { credential: () => credential } }
}

/** What `shower` shows is refused by the other side, on the wire and to the operator, and no data can flow. */
function checkRefusal(options: TlsPairOptions, shower: Role, refusal: Refusal): void {
  using pair = new TlsPair(workloads, options).run()
  const [shown, refusing] = shower === 'client' ? [pair.client, pair.server] : [pair.server, pair.client]
  assert.deepEqual(refusing.calls, [`failed ${refusal.code}`])
  const error = refusing.error!
  assert.match(error.message, refusal.evidence)
  assert.equal(error.alert, refusal.alert)
  if (refusal.cause !== undefined) {
    assert.ok(error.cause instanceof CertificateError)
    assert.equal(error.cause.code, refusal.cause)
    assert.equal(error.blame, 'certificate')
  }
  assert.equal(refusing.session, undefined)
  assert.equal(shown.error!.code, 'TLS_PEER_ALERT')
  assert.equal(shown.error!.received, refusal.alert)
  assert.match(shown.error!.message, new RegExp(`alert ${refusal.alert}$`))
  // A client learns of the server's refusal only after it was established itself (RFC 8446 §4.4.2.4).
  assert.deepEqual(
    shown.calls,
    shower === 'client' ? ['established', 'failed TLS_PEER_ALERT'] : ['failed TLS_PEER_ALERT'],
  )
  assert.equal(refusing.received.length + shown.received.length, 0)
}

const OTHER_DOMAIN = await mintTrustDomain('other.example', { nowMs: NOW_MS })
const FALSE_ROOT = await mintRoot({ nowMs: NOW_MS })
const FALSE_INTERMEDIATE = await mintIntermediate(FALSE_ROOT, { nowMs: NOW_MS })

const CREDENTIALS: readonly (readonly [string, Parameters<typeof mintSvid>[0], object, Refusal])[] = [
  [
    'an expired certificate',
    intermediate,
    { notAfterMs: NOW_MS - HOUR_MS, notBeforeMs: NOW_MS - 2 * HOUR_MS },
    {
      code: 'TLS_CERTIFICATE_REJECTED',
      alert: 'certificate_expired',
      cause: 'PKI_EXPIRED',
      evidence: /2026-05-31T23:00:00/,
    },
  ],
  [
    'a certificate that is not valid yet',
    intermediate,
    { notBeforeMs: NOW_MS + HOUR_MS, notAfterMs: NOW_MS + 2 * HOUR_MS },
    {
      code: 'TLS_CERTIFICATE_REJECTED',
      alert: 'certificate_expired',
      cause: 'PKI_NOT_YET_VALID',
      evidence: /2026-06-01T01:00:00/,
    },
  ],
  [
    'a certificate of another authority of the same name',
    FALSE_INTERMEDIATE,
    {},
    {
      code: 'TLS_CERTIFICATE_REJECTED',
      alert: 'unknown_ca',
      cause: 'PKI_UNKNOWN_ISSUER',
      evidence: /another key than the one that is known by this name/,
    },
  ],
  [
    'two URIs',
    intermediate,
    { uris: [CLIENT_ID, SERVER_ID] },
    {
      code: 'TLS_CERTIFICATE_REJECTED',
      alert: 'bad_certificate',
      cause: 'IDENTITY_AMBIGUOUS',
      evidence: /2 URIs.*sa\/web.*sa\/orders/,
    },
  ],
  [
    'no URI',
    intermediate,
    { uris: [] },
    {
      code: 'TLS_CERTIFICATE_REJECTED',
      alert: 'bad_certificate',
      cause: 'IDENTITY_MISSING',
      evidence: /no URI/,
    },
  ],
  [
    'a certificate authority as a leaf',
    intermediate,
    { ca: true },
    {
      code: 'TLS_CERTIFICATE_REJECTED',
      alert: 'bad_certificate',
      cause: 'IDENTITY_SIGNING_LEAF',
      evidence: /must not authenticate/,
    },
  ],
  [
    'an identity of an unknown trust domain',
    OTHER_DOMAIN.intermediate,
    { uris: ['spiffe://other.example/ns/default/sa/web'] },
    {
      code: 'TLS_CERTIFICATE_REJECTED',
      alert: 'bad_certificate',
      cause: 'IDENTITY_UNKNOWN_TRUST_DOMAIN',
      evidence: /no trust bundle for other\.example/,
    },
  ],
  [
    'an identity certified by another trust domain',
    OTHER_DOMAIN.intermediate,
    {},
    {
      code: 'TLS_CERTIFICATE_REJECTED',
      alert: 'unknown_ca',
      cause: 'PKI_UNKNOWN_ISSUER',
      evidence: /issue/,
    },
  ],
]

for (const [what, issuer, options, refusal] of CREDENTIALS) {
  test(`TlsConnection refuses ${what}, of a client and of a server`, async () => {
    const credential = await mintSvid(issuer, CLIENT_ID, { nowMs: NOW_MS, ...options })
    for (const shower of ['client', 'server'] as const)
      checkRefusal(showing(shower, credential), shower, refusal)
  })
}

function expecting(id: string): CertificateVerifier {
  const bundles = (): typeof workloads.domain.bundles => workloads.domain.bundles
  return svidVerifier({ bundles, crypto: nativeCrypto(), expected: SpiffeId.parse(id) })
}

test('TlsConnection refuses a peer that is not the one expected, and names both', () => {
  const expected = 'spiffe://shop.example/ns/default/sa/payments'
  const refusal = (actual: string): Refusal => ({
    code: 'TLS_CERTIFICATE_REJECTED',
    alert: 'bad_certificate',
    cause: 'IDENTITY_MISMATCH',
    evidence: new RegExp(`is ${actual}, expected ${expected}`),
  })
  checkRefusal({ server: { clientVerifier: expecting(expected) } }, 'client', refusal(CLIENT_ID))
  checkRefusal({ client: { verifier: expecting(expected) } }, 'server', refusal(SERVER_ID))
})

test('TlsConnection refuses a certificate whose key the peer does not hold', () => {
  for (const shower of ['client', 'server'] as const) {
    const credential = { chain: workloads[shower].chain, key: newKey('ec-p256') }
    checkRefusal(showing(shower, credential), shower, {
      code: 'TLS_BAD_SIGNATURE',
      alert: 'decrypt_error',
      evidence: new RegExp(`The ${shower}'s CertificateVerify \\(ecdsa_secp256r1_sha256\\)`),
    })
  }
})

test('TlsConnection refuses a signature scheme that does not suit the certificate', () => {
  for (const shower of ['client', 'server'] as const) {
    const credential = { chain: workloads[shower].chain, key: newKey('ed25519') }
    checkRefusal(showing(shower, credential), shower, {
      code: 'TLS_ILLEGAL_PARAMETER',
      alert: 'illegal_parameter',
      evidence: /ed25519 with a certificate whose key is ec-p256/,
    })
  }
})

test('TlsConnection refuses a certificate that is no certificate', () => {
  for (const shower of ['client', 'server'] as const) {
    const [leaf, ...rest] = workloads[shower].chain
    const chain = [{ ...leaf!, der: leaf!.der.slice(0, -1) }, ...rest]
    checkRefusal(showing(shower, { chain, key: workloads[shower].key }), shower, {
      code: 'TLS_CERTIFICATE_REJECTED',
      alert: 'decode_error',
      cause: 'PKI_MALFORMED',
      evidence: /./,
    })
  }
})

test('TlsConnection refuses a chain of more than ten certificates', () => {
  for (const shower of ['client', 'server'] as const) {
    const { chain, key } = workloads[shower]
    const long = [...chain, ...Array.from({ length: 9 }, () => chain[1]!)]
    checkRefusal(showing(shower, { chain: long, key }), shower, {
      code: 'TLS_DECODE_ERROR',
      alert: 'decode_error',
      evidence: /more than 10 certificates/,
    })
  }
})

test('TlsConnection refuses a peer whose verifier breaks, and blames itself', () => {
  const broken: CertificateVerifier = {
    verify: () => {
      throw new Error('The bundle could not be read')
    },
  }
  const refusal = { code: 'TLS_INTERNAL', alert: 'internal_error', evidence: /could not be read/ }
  checkRefusal({ server: { clientVerifier: broken } }, 'client', refusal)
  checkRefusal({ client: { verifier: broken } }, 'server', refusal)
})

test('TlsConnection refuses a server that shows nothing', () => {
  const nothing = encodeCertificate({ context: new Uint8Array(0), entries: [] })
  const rewriteServer = (message: Uint8Array): Uint8Array =>
    message[0] === HandshakeType.certificate ? nothing : message
  checkRefusal({ rewriteServer }, 'server', {
    code: 'TLS_DECODE_ERROR',
    alert: 'decode_error',
    evidence: /empty Certificate/,
  })
})

test('TlsConnection refuses a certificate that is well signed and whose key is no point of its curve', async () => {
  const key = newKey('ec-p256')
  const spki = key.publicKey.spki.slice()
  spki[spki.length - 1]! ^= 1
  const broken: PrivateKey = {
    kind: key.kind,
    publicKey: { kind: key.kind, bits: 256, spki, verify: () => false },
    sign: (parameters, message) => key.sign(parameters, message),
    exportPkcs8: () => key.exportPkcs8(),
  }
  for (const shower of ['client', 'server'] as const) {
    const credential = await mintSvid(intermediate, CLIENT_ID, { nowMs: NOW_MS, key: broken })
    checkRefusal(showing(shower, credential), shower, {
      code: 'TLS_CERTIFICATE_REJECTED',
      alert: 'unsupported_certificate',
      evidence: /key of the certificate cannot be used/,
    })
  }
})
