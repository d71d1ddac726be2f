import assert from 'node:assert/strict'
import test from 'node:test'
import { utf8 } from '../../src/bytes/bytes.ts'
import { Writer } from '../../src/bytes/writer.ts'
import type { VerificationContext } from '../../src/pki/verifier.ts'
import { decodeCertificate, encodeCertificate } from '../../src/tls/messages/authentication.ts'
import { Extensions } from '../../src/tls/messages/extensions.ts'
import { asMessage } from '../../src/tls/messages/handshake-message.ts'
import type { Credential, PeerVerifier } from '../../src/tls/options.ts'
import { HandshakeType } from '../../src/tls/registry.ts'
import { assertRefused, established } from '../support/tls-outcome.ts'
import { TlsPair } from '../support/tls-pair.ts'
import { mintWorkloads, verifierFor } from '../support/tls-workloads.ts'

const workloads = await mintWorkloads()

/** A SignedCertificateTimestampList of one. */
function timestamps(text: string): Uint8Array {
  return new Writer().vector16((list) => list.bytes16(utf8(text))).finish()
}

function stapled(credential: Credential, text: string): Credential {
  const { chain, key } = credential
  return {
    chain,
    key,
    ocspResponse: utf8(`OCSP of the ${text}`),
    signedCertificateTimestamps: timestamps(text),
  }
}

const client = stapled(workloads.client, 'client')
const server = stapled(workloads.server, 'server')

/** A verifier that notes what it was given. */
class NotingVerifier implements PeerVerifier {
  context: VerificationContext | undefined

  verify(...[chain, context]: Parameters<PeerVerifier['verify']>): ReturnType<PeerVerifier['verify']> {
    this.context = context
    return verifierFor(workloads).verify(chain, context)
  }

  get evidence(): unknown {
    const { ocspResponse, signedCertificateTimestamps } = this.context!
    return { ocspResponse, signedCertificateTimestamps }
  }
}

test('TlsConnection hands what is stapled to a certificate to the verifier, on either side', () => {
  const [ofServer, ofClient] = [new NotingVerifier(), new NotingVerifier()]
  const ask = { requestOcspResponse: true, requestCertificateTimestamps: true }
  using pair = established(workloads, {
    client: { ...ask, verifier: ofServer, credential: client },
    server: { ...ask, clientVerifier: ofClient, credential: () => server },
  })
  for (const [verifier, { ocspResponse, signedCertificateTimestamps }] of [
    [ofServer, server],
    [ofClient, client],
  ] as const)
    assert.deepEqual(verifier.evidence, { ocspResponse, signedCertificateTimestamps })
  const certificate = pair.client.trace.find(
    (event) => event.kind === 'message' && event.direction === 'received' && event.type === 'certificate',
  )
  assert.ok(certificate?.kind === 'message' && certificate.details.message === 'certificate')
  assert.deepEqual(certificate.details.stapled, ['status_request', 'signed_certificate_timestamp'])
})

test('TlsConnection sends what is asked for and no more', () => {
  const { ocspResponse, signedCertificateTimestamps } = server
  for (const [asked, expected] of [
    [{}, { ocspResponse: undefined, signedCertificateTimestamps: undefined }],
    [{ requestOcspResponse: true }, { ocspResponse, signedCertificateTimestamps: undefined }],
    [{ requestCertificateTimestamps: true }, { ocspResponse: undefined, signedCertificateTimestamps }],
  ] as const) {
    const verifier = new NotingVerifier()
    using _pair = established(workloads, {
      client: { ...asked, verifier },
      server: { credential: () => server },
    })
    assert.deepEqual(verifier.evidence, expected)
  }
})

test('TlsConnection does without what a peer does not have', () => {
  const verifier = new NotingVerifier()
  using _pair = established(workloads, {
    client: { requestOcspResponse: true, requestCertificateTimestamps: true, verifier },
  })
  assert.deepEqual(verifier.evidence, { ocspResponse: undefined, signedCertificateTimestamps: undefined })
})

/** The server's Certificate with extensions in the place of its own; `index` counts from the leaf. */
function withExtensions(index: number, add: (extensions: Extensions<'certificate'>) => void) {
  return (message: Uint8Array): Uint8Array => {
    if (message[0] !== HandshakeType.certificate) return message
    const { context, entries } = decodeCertificate(asMessage(message).body)
    const changed = entries.map(({ certificate }, at) => {
      const extensions = new Extensions('certificate')
      if (at === index) add(extensions)
      return { certificate, extensions }
    })
    return encodeCertificate({ context, entries: changed })
  }
}

test('TlsConnection refuses what it did not ask for, wherever in the chain it stands', () => {
  for (const index of [0, 1]) {
    using ocsp = new TlsPair(workloads, {
      client: { requestCertificateTimestamps: true },
      rewriteServer: withExtensions(index, (set) => set.add('status_request', utf8('unasked'))),
    }).run()
    assertRefused(ocsp, 'client', {
      code: 'TLS_UNSOLICITED_EXTENSION',
      alert: 'unsupported_extension',
      evidence: /status_request, which was not asked for/,
    })
    using sct = new TlsPair(workloads, {
      client: { requestOcspResponse: true },
      rewriteServer: withExtensions(index, (set) => set.add('signed_certificate_timestamp', timestamps('x'))),
    }).run()
    assertRefused(sct, 'client', {
      code: 'TLS_UNSOLICITED_EXTENSION',
      alert: 'unsupported_extension',
      evidence: /signed_certificate_timestamp, which was not asked for/,
    })
  }
})

test('TlsConnection gives the verifier what belongs to the leaf alone', () => {
  const verifier = new NotingVerifier()
  using _pair = established(workloads, {
    client: { requestOcspResponse: true, verifier },
    rewriteServer: withExtensions(1, (set) => set.add('status_request', utf8('of the intermediate'))),
  })
  assert.deepEqual(verifier.evidence, { ocspResponse: undefined, signedCertificateTimestamps: undefined })
})

test('TlsConnection refuses staples that are not in their format', () => {
  const ask = { requestOcspResponse: true, requestCertificateTimestamps: true }
  for (const [type, contents, evidence] of [
    [5, '0200000130', /status_type 2, expected 1/],
    [5, '01000000', /ocsp_response has a length of 0/],
    [18, '0000', /sct_list has a length of 0/],
    [18, '00020000', /serialized_sct has a length of 0/],
  ] as const) {
    using pair = new TlsPair(workloads, {
      client: ask,
      rewriteServer: withExtensions(0, (set) => set.addUnknown(type, Uint8Array.fromHex(contents))),
    }).run()
    assertRefused(pair, 'client', { code: 'TLS_DECODE_ERROR', alert: 'decode_error', evidence })
  }
})
