import { rootCertificates } from 'node:tls'
import { isIpAddress, type Address } from '../../config/address.ts'
import type { CryptoProvider } from '../../crypto/provider.ts'
import { messageOf } from '../../errors.ts'
import { SpiffeId } from '../../identity/spiffe-id.ts'
import { svidVerifier } from '../../identity/svid-verifier.ts'
import { trustBundle, TrustBundles, type TrustBundle } from '../../identity/trust-bundle.ts'
import { parseCertificate, type Certificate } from '../../pki/certificate.ts'
import { hostnameVerifier } from '../../pki/host-verifier.ts'
import { decodePem } from '../../pki/pem.ts'
import type { CertificateVerifier } from '../../pki/verifier.ts'
import { readCertificates } from '../credentials.ts'
import { UsageError } from '../errors.ts'
import { parseContents } from '../files.ts'
import { quoted } from '../flags.ts'

export interface ServerTrust {
  readonly ca: string | undefined
  readonly spiffeId: string | undefined
  readonly serverName: string | undefined
  readonly address: Address
}

/**
 * How a client verifies its server: a SPIFFE ID by the rules of X509-SVIDs against the bundle of its trust domain, or
 * else a host name or address against anchors, those of the web where none are named.
 *
 * @throws UsageError, ConfigError
 */
export async function serverVerifier(
  trust: ServerTrust,
  crypto: CryptoProvider,
): Promise<CertificateVerifier> {
  if (trust.spiffeId !== undefined) {
    const expected = parseSpiffeId(trust.spiffeId)
    if (trust.ca === undefined)
      throw new UsageError('--ca: expected the trust bundle of the trust domain in --spiffe-id, got nothing')
    const bundles = TrustBundles.of(await readBundle(trust.ca, expected.trustDomain))
    return svidVerifier({ bundles: () => bundles, crypto, expected })
  }
  const anchors = trust.ca === undefined ? webRoots() : await readAnchors(trust.ca)
  return hostnameVerifier({ anchors, crypto, expectedName: trust.serverName ?? trust.address.host })
}

/** How a client verifies a server that cannot read its encrypted hello: by the public name, whoever is behind it. */
export async function publicNameVerifier(
  ca: string | undefined,
  crypto: CryptoProvider,
): Promise<CertificateVerifier> {
  return hostnameVerifier({ anchors: ca === undefined ? webRoots() : await readAnchors(ca), crypto })
}

/**
 * How a server verifies its clients: any identity that an anchor vouches for. A certificate that claims a SPIFFE ID is
 * held to the rules of X509-SVIDs.
 *
 * @throws ConfigError
 */
export async function clientVerifier(ca: string, crypto: CryptoProvider): Promise<CertificateVerifier> {
  const anchors = await readAnchors(ca)
  const byName = hostnameVerifier({ anchors, crypto })
  const verifierFor = ({ subjectAltNames }: Certificate): CertificateVerifier => {
    const uri = subjectAltNames.uris.find((name) => name.startsWith('spiffe://'))
    if (uri === undefined) return byName
    const { trustDomain } = SpiffeId.parse(uri)
    const bundles = TrustBundles.of(trustBundle(trustDomain, anchors))
    return svidVerifier({ bundles: () => bundles, crypto })
  }
  return {
    authorities: anchors.map(({ subject }) => subject.der),
    verify: (chain, context) => verifierFor(chain[0]!).verify(chain, context),
    reverify: (peer, context) => verifierFor(peer.path[0]!).reverify!(peer, context),
  }
}

/** What goes into server_name: the name asked for, and never an address (RFC 6066 §3). */
export function sniOf(serverName: string | undefined, address: Address): string | undefined {
  const name = serverName ?? address.host
  return isIpAddress({ host: name, port: 0 }) ? undefined : name
}

function parseSpiffeId(text: string): SpiffeId {
  try {
    return SpiffeId.parse(text)
  } catch (cause) {
    throw new UsageError(`--spiffe-id: expected a SPIFFE ID, got ${quoted(text)}: ${messageOf(cause)}`, {
      cause,
    })
  }
}

async function readBundle(path: string, trustDomain: string): Promise<TrustBundle> {
  const anchors = await readAnchors(path)
  return parseContents({ path, field: '--ca' }, `the trust bundle of ${trustDomain}`, () =>
    trustBundle(trustDomain, anchors),
  )
}

function readAnchors(path: string): Promise<Certificate[]> {
  return readCertificates({ path, field: '--ca' })
}

/** The anchors that Node.js ships; a few old roots break rules that the parser holds, and vouch for nobody here. */
function webRoots(): Certificate[] {
  return rootCertificates.flatMap((pem) => {
    try {
      return decodePem(pem, 'CERTIFICATE').map((der) => parseCertificate(der))
    } catch {
      return []
    }
  })
}
