import assert from 'node:assert/strict'
import test from 'node:test'
import { equalBytes } from '../../src/bytes/bytes.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { CertificateError } from '../../src/pki/errors.ts'
import { encodeCertificate } from '../../src/tls/messages/authentication.ts'
import { Extensions } from '../../src/tls/messages/extensions.ts'
import type { RawPublicKeyCredential, RawPublicKeyVerifier } from '../../src/tls/options.ts'
import { HandshakeType } from '../../src/tls/registry.ts'
import { clientTickets } from '../../src/tls/session/client-tickets.ts'
import { makeTicketKey, sealedTickets } from '../../src/tls/session/sealed-tickets.ts'
import { assertRefused, established } from '../support/tls-outcome.ts'
import { TlsPair, type TlsPairOptions } from '../support/tls-pair.ts'
import { mintWorkloads, newKey, NOW_MS } from '../support/tls-workloads.ts'

const crypto = nativeCrypto()
const workloads = await mintWorkloads()
const [serverKey, clientKey] = [rawKey(), rawKey()]
const known: ReadonlyMap<string, RawPublicKeyCredential> = new Map([
  ['the server', serverKey],
  ['the client', clientKey],
])

function rawKey(): RawPublicKeyCredential {
  const key = newKey('ec-p256')
  return { rawPublicKey: key.publicKey.spki, key }
}

/** Knows both keys by heart, while they are known. */
function knows(keys: ReadonlyMap<string, RawPublicKeyCredential> = known): RawPublicKeyVerifier {
  const nameOf = (rawPublicKey: Uint8Array): string => {
    for (const [name, known] of keys) if (equalBytes(known.rawPublicKey, rawPublicKey)) return name
    throw new CertificateError('PKI_UNKNOWN_ISSUER', 'Nobody here knows the key')
  }
  return {
    verify: (rawPublicKey) => ({
      name: nameOf(rawPublicKey),
      expiresAtMs: NOW_MS + 3_600_000,
      path: [],
      rawPublicKey,
    }),
    reverify: ({ rawPublicKey }) => void nameOf(rawPublicKey!),
  }
}

const rawOnly = ['RawPublicKey'] as const
/** Both sides prove themselves by key alone. */
const RAW: TlsPairOptions = {
  client: { credential: clientKey, rawPublicKeyVerifier: knows(), peerCertificateTypes: rawOnly },
  server: { credential: serverKey, rawPublicKeyVerifier: knows(), peerCertificateTypes: rawOnly },
}

function names(pair: TlsPair): unknown {
  return pair.ends.map(({ session }) => session!.peer!.name)
}

test('TlsConnection proves both sides by raw public key', () => {
  using pair = established(workloads, RAW)
  assert.deepEqual(names(pair), ['the server', 'the client'])
  assert.deepEqual(pair.client.session!.peer!.rawPublicKey, serverKey.rawPublicKey)
  assert.equal(pair.server.session!.credential, serverKey)
  const shown = pair.client.trace.find((event) => event.kind === 'message' && event.type === 'certificate')
  assert.ok(shown?.kind === 'message' && shown.details.message === 'certificate')
  assert.deepEqual([shown.details.chain, shown.details.rawPublicKey!.kind], [[], 'ec-p256'])
  const chosen = pair.client.trace.find(
    (event) => event.kind === 'message' && event.type === 'encrypted_extensions',
  )
  assert.ok(chosen?.kind === 'message' && chosen.details.message === 'encrypted_extensions')
  assert.deepEqual(
    [chosen.details.serverCertificateType, chosen.details.clientCertificateType],
    ['RawPublicKey', 'RawPublicKey'],
  )
})

test('TlsConnection lets one side show a certificate and the other a raw public key', () => {
  using raw = established(workloads, {
    client: { rawPublicKeyVerifier: knows() },
    server: { credential: serverKey },
  })
  assert.deepEqual(names(raw), ['the server', 'spiffe://shop.example/ns/default/sa/web'])
  using certified = established(workloads, {
    client: { credential: clientKey },
    server: { rawPublicKeyVerifier: knows() },
  })
  assert.deepEqual(names(certified), ['spiffe://shop.example/ns/default/sa/orders', 'the client'])
})

test('TlsConnection as server shows the first of its credentials whose type the client takes', () => {
  const credential = [serverKey, workloads.server]
  using plain = established(workloads, { server: { credential } })
  assert.equal(plain.server.session!.credential, workloads.server)
  using both = established(workloads, { client: { rawPublicKeyVerifier: knows() }, server: { credential } })
  assert.equal(both.server.session!.credential, serverKey)
})

test('TlsConnection as client shows the credential of the type that the server selects', () => {
  const client = { credential: [workloads.client, clientKey] }
  using x509 = established(workloads, { client, server: { rawPublicKeyVerifier: knows() } })
  assert.equal(x509.client.session!.credential, workloads.client)
  using raw = established(workloads, {
    client,
    server: { rawPublicKeyVerifier: knows(), peerCertificateTypes: ['RawPublicKey', 'X509'] },
  })
  assert.equal(raw.client.session!.credential, clientKey)
})

test('TlsConnection says nothing of certificate types while only X.509 is in play', () => {
  using pair = established(workloads, {})
  for (const event of pair.client.trace) {
    if (event.kind !== 'message') continue
    const { details } = event
    if (details.message !== 'client_hello' && details.message !== 'encrypted_extensions') continue
    assert.ok(!details.extensions.some((name) => name.endsWith('certificate_type')))
  }
})

test('TlsConnection refuses a peer that can only prove itself in another way', () => {
  const unsupported = { code: 'TLS_NO_COMMON_CERTIFICATE_TYPE', alert: 'unsupported_certificate' }
  using server = new TlsPair(workloads, { server: { credential: serverKey } }).run()
  assertRefused(server, 'server', {
    ...unsupported,
    // The client gave no choice, and may know of none.
    alert: 'handshake_failure',
    evidence: /accepts the certificate types X509; our .* RawPublicKey/,
  })
  using client = new TlsPair(workloads, {
    client: { credential: workloads.client },
    server: { rawPublicKeyVerifier: knows(), peerCertificateTypes: rawOnly },
  }).run()
  assertRefused(client, 'server', { ...unsupported, evidence: /by X509; accepted here: RawPublicKey/ })
  using silent = new TlsPair(workloads, { client: { credential: clientKey } }).run()
  assertRefused(silent, 'server', { ...unsupported, evidence: /by RawPublicKey; accepted here: X509/ })
})

test('TlsConnection refuses a key that nobody knows, and one that its peer does not have', () => {
  using unknown = new TlsPair(workloads, { ...RAW, server: { ...RAW.server!, credential: rawKey() } }).run()
  assertRefused(unknown, 'client', {
    code: 'TLS_CERTIFICATE_REJECTED',
    alert: 'unknown_ca',
    evidence: /Nobody here knows the key/,
  })
  const stolen = { rawPublicKey: serverKey.rawPublicKey, key: newKey('ec-p256') }
  using thief = new TlsPair(workloads, { ...RAW, server: { ...RAW.server!, credential: stolen } }).run()
  assertRefused(thief, 'client', {
    code: 'TLS_BAD_SIGNATURE',
    alert: 'decrypt_error',
    evidence: /does not match/,
  })
})

/** The server's Certificate with other entries. */
function showing(...entries: readonly Uint8Array[]): TlsPair {
  const context = new Uint8Array(0)
  return new TlsPair(workloads, {
    ...RAW,
    rewriteServer: (message) =>
      message[0] === HandshakeType.certificate
        ? encodeCertificate({
            context,
            entries: entries.map((certificate) => ({
              certificate,
              extensions: new Extensions('certificate'),
            })),
          })
        : message,
  }).run()
}

test('TlsConnection refuses what is not one SubjectPublicKeyInfo', () => {
  const malformed = { code: 'TLS_DECODE_ERROR', alert: 'decode_error' }
  const spki = serverKey.rawPublicKey
  for (const [entries, evidence] of [
    [[workloads.server.certificate.der], /raw public key cannot be read/],
    [[spki.subarray(1)], /raw public key cannot be read/],
    [[spki, spki], /2 raw public keys, expected one/],
    [[new Uint8Array(0)], /ASN1_subjectPublicKeyInfo has a length of 0/],
    [[], /empty Certificate/],
  ] as const) {
    using pair = showing(...entries)
    assertRefused(pair, 'client', { ...malformed, evidence })
  }
})

test('TlsConnection resumes with whom a raw public key proved, while the key is known', () => {
  const store = sealedTickets(crypto, sharedKeys())
  const tickets = clientTickets()
  const connect = (keys?: ReadonlyMap<string, RawPublicKeyCredential>): TlsPair => {
    const client = { ...RAW.client!, tickets, rawPublicKeyVerifier: knows() }
    const server = { ...RAW.server!, tickets: { store }, rawPublicKeyVerifier: knows(keys) }
    return new TlsPair(workloads, { client, server }).run()
  }
  using _first = connect()
  using second = connect()
  assert.deepEqual([second.client.session!.resumed, second.server.session!.resumed], [true, true])
  assert.deepEqual(names(second), ['the server', 'the client'])
  assert.deepEqual(second.server.session!.peer!.rawPublicKey, clientKey.rawPublicKey)
  assert.equal(second.server.session!.serverCertificateType, 'RawPublicKey')
  // Silence would mean X.509, which this client does not take.
  const answer = second.client.trace.find(
    (event) => event.kind === 'message' && event.type === 'encrypted_extensions',
  )
  assert.ok(answer?.kind === 'message' && answer.details.message === 'encrypted_extensions')
  assert.deepEqual(
    [answer.details.serverCertificateType, answer.details.clientCertificateType],
    ['RawPublicKey', undefined],
  )
  using third = connect(new Map([['the server', serverKey]]))
  assert.equal(third.client.session?.resumed, false)
  assert.equal(third.server.error!.code, 'TLS_CERTIFICATE_REJECTED')
})

function sharedKeys(): () => { readonly current: ReturnType<typeof makeTicketKey> } {
  const current = makeTicketKey(crypto)
  return () => ({ current })
}

test('TlsConnection never asks the verifier of certificates about a raw public key', () => {
  const refuses = {
    verify: () => assert.fail('There is no certificate to verify'),
    reverify: () => assert.fail('There is no certificate to verify again'),
  }
  const tickets = clientTickets()
  const store = sealedTickets(crypto, sharedKeys())
  for (const resumed of [false, true]) {
    using pair = established(workloads, {
      client: { ...RAW.client!, tickets, verifier: refuses },
      server: { ...RAW.server!, tickets: { store }, clientVerifier: refuses },
    })
    assert.equal(pair.client.session!.resumed, resumed)
  }
})

test('TlsConnection says so when a raw public key stands where X.509 was agreed', () => {
  using pair = new TlsPair(workloads, {
    rewriteServer: (message) =>
      message[0] === HandshakeType.certificate
        ? encodeCertificate({
            context: new Uint8Array(0),
            entries: [{ certificate: serverKey.rawPublicKey, extensions: new Extensions('certificate') }],
          })
        : message,
  }).run()
  assertRefused(pair, 'client', {
    code: 'TLS_DECODE_ERROR',
    alert: 'decode_error',
    evidence: /holds a raw public key, but X.509 was agreed/,
  })
})
