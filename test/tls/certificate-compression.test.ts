import assert from 'node:assert/strict'
import test from 'node:test'
import { deflateSync } from 'node:zlib'
import * as fc from 'fast-check'
import { nodeCompression } from '../../src/net/node-compression.ts'
import type { CertificateCompressor } from '../../src/tls/certificate-compression.ts'
import { decodeCertificate } from '../../src/tls/messages/authentication.ts'
import {
  decodeCompressedCertificate,
  encodeCompressedCertificate,
  type CompressedCertificate,
} from '../../src/tls/messages/compressed-certificate.ts'
import { asMessage } from '../../src/tls/messages/handshake-message.ts'
import { CertificateCompression, HandshakeType, nameOf } from '../../src/tls/registry.ts'
import type { CertificateDetails, ClientHelloDetails } from '../../src/tls/trace.ts'
import {
  bytes,
  checkExactness,
  checkHostility,
  checkRoundTrip,
  uint16,
  type CodecUnderTest,
} from '../support/tls-arbitraries.ts'
import { assertRefused, established } from '../support/tls-outcome.ts'
import { TlsPair, type TlsEnd } from '../support/tls-pair.ts'
import { mintWorkloads } from '../support/tls-workloads.ts'

const workloads = await mintWorkloads()

function compressor(name: keyof typeof CertificateCompression): CertificateCompressor {
  return nodeCompression.find(({ algorithm }) => algorithm === CertificateCompression[name])!
}

/** What the certificates looked like that `end` received. */
function received(end: TlsEnd): { readonly type: string; readonly details: CertificateDetails }[] {
  return end.trace.flatMap((event) =>
    event.kind === 'message' && event.direction === 'received' && event.details.message === 'certificate'
      ? [{ type: event.type, details: event.details }]
      : [],
  )
}

for (const { algorithm } of nodeCompression) {
  const name = nameOf(CertificateCompression, algorithm)
  test(`TlsConnection compresses the certificates of both sides with ${name}`, () => {
    const certificateCompression = nodeCompression.filter((each) => each.algorithm === algorithm)
    using pair = established(workloads, {
      client: { certificateCompression },
      server: { certificateCompression },
    })
    for (const [end, peer] of [
      [pair.client, workloads.server],
      [pair.server, workloads.client],
    ] as const) {
      const [certificate, ...others] = received(end)
      assert.deepEqual(others, [])
      assert.equal(certificate!.type, 'compressed_certificate')
      assert.equal(certificate!.details.compression!.algorithm, name)
      assert.deepEqual(
        certificate!.details.chain.map(({ der }) => der.toHex()),
        peer.chain.map(({ der }) => der.toHex()),
      )
      assert.equal(end.session!.peer!.path[0]!.serialNumber, peer.certificate.serialNumber)
    }
  })
}

test('TlsConnection compresses a credential once for all peers that ask for the same, and anew when it changes', () => {
  const zlib = compressor('zlib')
  let compressions = 0
  const counting: CertificateCompressor = {
    ...zlib,
    compress: (message) => {
      compressions++
      return zlib.compress(message)
    },
  }
  const credential = { ...workloads.server, ocspResponse: Uint8Array.of(1) }
  const visit = (requestOcspResponse: boolean): number => {
    using pair = established(workloads, {
      client: { requestOcspResponse, certificateCompression: [zlib] },
      server: { credential: () => credential, certificateCompression: [counting] },
    })
    assert.equal(received(pair.client)[0]!.type, 'compressed_certificate')
    assert.equal(received(pair.client)[0]!.details.stapled?.length ?? 0, requestOcspResponse ? 1 : 0)
    return compressions
  }
  assert.deepEqual([visit(false), visit(false), visit(true), visit(false), visit(true)], [1, 1, 2, 2, 2])
  credential.ocspResponse = Uint8Array.of(2)
  assert.deepEqual([visit(true), visit(false), visit(true)], [3, 3, 3])
})

test('TlsConnection compresses with its own favourite among those of the peer, and not at all without one in common', () => {
  const [zlib, brotli, zstd] = [compressor('zlib'), compressor('brotli'), compressor('zstd')]
  using pair = established(workloads, {
    client: { certificateCompression: [zlib, brotli] },
    server: { certificateCompression: [zstd, brotli, zlib] },
  })
  const algorithms = pair.ends.map((end) => received(end)[0]!.details.compression!.algorithm)
  assert.deepEqual(algorithms, ['brotli', 'zlib'])
  using plain = established(workloads, {
    client: { certificateCompression: [zlib] },
    server: { certificateCompression: [zstd] },
  })
  assert.deepEqual(
    plain.ends.map((end) => received(end)[0]!.type),
    ['certificate', 'certificate'],
  )
})

test('TlsConnection offers no compression unless it is given some', () => {
  using pair = established(workloads, { server: { certificateCompression: nodeCompression } })
  const hello = pair.server.trace.find((event) => event.kind === 'message' && event.type === 'client_hello')
  assert.ok(hello?.kind === 'message')
  assert.ok(!(hello.details as ClientHelloDetails).extensions.includes('compress_certificate'))
  assert.equal(received(pair.client)[0]!.type, 'certificate')
})

/** A handshake in which the server's Certificate goes out as `replace` has it. */
function replaced(replace: (body: Uint8Array) => CompressedCertificate, isOffered = true): TlsPair {
  return new TlsPair(workloads, {
    client: isOffered ? { certificateCompression: [compressor('zlib')] } : {},
    rewriteServer: (message) =>
      message[0] === HandshakeType.certificate
        ? encodeCompressedCertificate(replace(asMessage(message).body))
        : message,
  }).run()
}

function zlibbed(body: Uint8Array): CompressedCertificate {
  return {
    algorithm: CertificateCompression.zlib,
    uncompressedLength: body.length,
    compressed: deflateSync(body),
  }
}

test('TlsConnection refuses a CompressedCertificate that it did not offer to take', () => {
  using pair = replaced(zlibbed, false)
  assertRefused(pair, 'client', {
    code: 'TLS_UNEXPECTED_MESSAGE',
    alert: 'unexpected_message',
    evidence: /but compressed_certificate came/,
  })
})

test('TlsConnection refuses an algorithm that it did not offer', () => {
  using pair = replaced((body) => ({ ...zlibbed(body), algorithm: CertificateCompression.brotli }))
  assertRefused(pair, 'client', {
    code: 'TLS_ILLEGAL_PARAMETER',
    alert: 'illegal_parameter',
    evidence: /the algorithm brotli, which was not offered/,
  })
})

const BAD: Readonly<Record<string, readonly [(body: Uint8Array) => CompressedCertificate, RegExp]>> = {
  'is shorter than announced': [
    (body) => ({ ...zlibbed(body), uncompressedLength: body.length + 1 }),
    /yields \d+ bytes, but announced/,
  ],
  'is longer than announced': [
    (body) => ({ ...zlibbed(body), uncompressedLength: body.length - 1 }),
    /cannot be decompressed to/,
  ],
  'announces more than a message may have': [
    (body) => ({ ...zlibbed(body), uncompressedLength: 2 ** 20 }),
    /announces 1048576 bytes, at most 65536/,
  ],
  'is a bomb': [
    () => ({ ...zlibbed(new Uint8Array(2 ** 23)), uncompressedLength: 1000 }),
    /cannot be decompressed to 1000 bytes/,
  ],
  'goes on after its end': [
    (body) => ({ ...zlibbed(body), compressed: Buffer.concat([deflateSync(body), Buffer.of(0)]) }),
    /1 bytes follow the end/,
  ],
  'is not compressed at all': [(body) => ({ ...zlibbed(body), compressed: body }), /cannot be decompressed/],
}

for (const [problem, [replace, evidence]] of Object.entries(BAD)) {
  test(`TlsConnection refuses a compressed certificate that ${problem}`, () => {
    using pair = replaced(replace)
    assertRefused(pair, 'client', { code: 'TLS_BAD_COMPRESSION', alert: 'bad_certificate', evidence })
  })
}

test('nodeCompression restores whatever it compressed, and stops at the announced length', () => {
  fc.assert(
    fc.property(bytes(1, 4000), (original) => {
      for (const each of nodeCompression) {
        const compressed = each.compress(original)
        assert.deepEqual(Buffer.from(each.decompress(compressed, original.length)), Buffer.from(original))
        if (original.length > 1) assert.throws(() => each.decompress(compressed, original.length - 1))
      }
    }),
    { numRuns: 50 },
  )
})

const codec: CodecUnderTest<CompressedCertificate> = {
  arbitrary: fc.record({
    algorithm: uint16,
    uncompressedLength: fc.integer({ min: 0, max: 2 ** 24 - 1 }),
    compressed: bytes(1, 200),
  }),
  encode: encodeCompressedCertificate,
  decode: decodeCompressedCertificate,
}
test('encodeCompressedCertificate is undone by decodeCompressedCertificate', () => checkRoundTrip(codec))
test('decodeCompressedCertificate takes exactly its bytes', () => checkExactness(codec))
test('decodeCompressedCertificate refuses whatever else in words', () => checkHostility(codec))

test('TlsConnection leaves a certificate that it restored to the rules of the plain one', () => {
  // An empty list from a server is refused, compressed or not.
  const empty = Uint8Array.of(0, 0, 0, 0)
  assert.deepEqual(decodeCertificate(empty).entries, [])
  using pair = replaced(() => zlibbed(empty))
  assertRefused(pair, 'client', {
    code: 'TLS_DECODE_ERROR',
    alert: 'decode_error',
    evidence: /empty Certificate/,
  })
})
