/** Raw public keys and compressed certificates, as the suite has them. */
import { concat, equalBytes } from '../../src/bytes/bytes.ts'
import type { CryptoProvider } from '../../src/crypto/provider.ts'
import type { CertificateCompressor } from '../../src/tls/certificate-compression.ts'
import { certificateTypeOf } from '../../src/tls/credentials.ts'
import { TlsError } from '../../src/tls/errors.ts'
import type {
  AnyCredential,
  ClientOptions,
  EndpointOptions,
  RawPublicKeyVerifier,
} from '../../src/tls/options.ts'
import { CertificateType, type CertificateTypeName } from '../../src/tls/registry.ts'
import { UnsupportedFlag, type Settings } from './flags.ts'
import { late } from './late.ts'

/** What the flags say of how peers may prove themselves. */
export function peerProofs(
  settings: Settings,
  crypto: CryptoProvider,
  refusal: () => TlsError | undefined,
): Pick<EndpointOptions, 'peerCertificateTypes' | 'rawPublicKeyVerifier' | 'certificateCompression'> {
  const { acceptedPeerCertTypes: types } = settings
  const certificateCompression = compressors(settings, crypto)
  const isRaw = types.includes(CertificateType.RawPublicKey)
  return {
    certificateCompression,
    ...(types.length === 0 ? {} : { peerCertificateTypes: types.map(typeNamed) }),
    ...(isRaw ? { rawPublicKeyVerifier: rawVerifier(settings, crypto, refusal) } : {}),
  }
}

/** How a client can prove itself: as it is told, or as its credentials can. */
export function ownProofs(
  { availableClientCertTypes }: Settings,
  credentials: readonly AnyCredential[],
): Pick<ClientOptions, 'ownCertificateTypes'> {
  const types =
    availableClientCertTypes.length === 0 ? credentials.map(certificateTypeOf) : availableClientCertTypes
  return types.length === 0 ? {} : { ownCertificateTypes: [...new Set(types)].map(typeNamed) }
}

/** The year 10889, as everywhere in the suite. */
const NEVER_MS = 2 ** 48 - 1

function rawVerifier(
  { expectPeerRpkSha256, verifyFail, async: isAsync }: Settings,
  crypto: CryptoProvider,
  refusal: () => TlsError | undefined,
): RawPublicKeyVerifier {
  return {
    verify: (rawPublicKey) =>
      late(isAsync, () => {
        const refused = refusal()
        if (refused !== undefined) throw refused
        if (verifyFail) throw new TlsError('TLS_CERTIFICATE_REJECTED', 'The test wants every key refused')
        const expected =
          expectPeerRpkSha256 === undefined ? undefined : Uint8Array.fromBase64(expectPeerRpkSha256)
        if (expected !== undefined && !equalBytes(crypto.digest('sha256', rawPublicKey), expected))
          throw new Error('The raw public key of the peer is not the one expected')
        return { name: 'peer', expiresAtMs: NEVER_MS, path: [], rawPublicKey }
      }),
    reverify: () => undefined,
  }
}

function typeNamed(code: number): CertificateTypeName {
  const entry = Object.entries(CertificateType).find(([, candidate]) => candidate === code)
  if (entry === undefined) throw new UnsupportedFlag(`the certificate type ${code}`)
  return entry[0] as CertificateTypeName
}

const EXPANSION = Uint8Array.of(1, 2, 3, 4)
/** The first two bytes of every Certificate in a handshake. */
const SHRINKAGE = Uint8Array.of(0, 0)

/** The algorithms that the suite makes up, in the order of its own shim. */
function compressors(
  { installCertCompressionAlgs, installOneCertCompressionAlg }: Settings,
  crypto: CryptoProvider,
): readonly CertificateCompressor[] {
  const all: readonly CertificateCompressor[] = [
    {
      algorithm: 0xff02,
      compress: (bytes) => concat(EXPANSION, bytes),
      decompress: (compressed) => compressed.subarray(EXPANSION.length),
    },
    {
      algorithm: 0xff01,
      compress: (bytes) => bytes.subarray(SHRINKAGE.length),
      decompress: (compressed) => concat(SHRINKAGE, compressed),
    },
    {
      algorithm: 0xff03,
      compress: (bytes) => concat(crypto.random(1), bytes),
      decompress: (compressed) => compressed.subarray(1),
    },
  ]
  if (installCertCompressionAlgs) return all
  return all.filter(({ algorithm }) => algorithm === installOneCertCompressionAlg)
}
