import type { CryptoProvider } from '../crypto/provider.ts'
import { equalBytes } from '../bytes/bytes.ts'
import type { Certificate } from './certificate.ts'
import { refused } from './certificate-rules.ts'
import { canonicalDnsName, dnsNameCovers, ipAddressText, parseIpAddress } from './host-name.ts'
import { recheckPath } from './recheck.ts'
import { listText, printable } from './label.ts'
import { validatePath } from './path.ts'
import type { CertificateVerifier, VerificationContext, VerifiedPeer } from './verifier.ts'

export interface HostnameVerifierOptions {
  readonly anchors: readonly Certificate[]
  readonly crypto: CryptoProvider
  /** The DNS name or IP address that the peer must prove. @default the server name of the connection */
  readonly expectedName?: string
}

/**
 * A verifier for peers that are known by host name, as on the web. A server without an expected name is refused;
 * a client without one is known by the first name its certificate has.
 */
export function hostnameVerifier({
  anchors,
  crypto,
  expectedName,
}: HostnameVerifierOptions): CertificateVerifier {
  return {
    authorities: anchors.map(({ subject }) => subject.der),
    verify(chain: readonly Certificate[], context: VerificationContext): VerifiedPeer {
      const { peerRole, nowMs } = context
      const usage = peerRole === 'server' ? 'serverAuth' : 'clientAuth'
      const { path, expiresAtMs } = validatePath(chain, { anchors, nowMs, crypto, usage })
      return { name: provenName(path[0]!, context, expectedName), expiresAtMs, path }
    },
    reverify({ path }: VerifiedPeer, context: VerificationContext): void {
      recheckPath(path, { anchors, nowMs: context.nowMs })
      provenName(path[0]!, context, expectedName)
    },
  }
}

/** The name that a leaf proves, which is the one expected of it when there is one. */
function provenName(
  leaf: Certificate,
  { peerRole, serverName }: VerificationContext,
  expectedName: string | undefined,
): string {
  const expected = expectedName ?? (peerRole === 'server' ? serverName : undefined)
  if (expected !== undefined) {
    checkHostName(leaf, expected)
    return expected
  }
  if (peerRole === 'client') return ownName(leaf)
  throw refused('PKI_NAME_MISMATCH', leaf, 'cannot be matched: no name was asked for, so none can be proven')
}

/**
 * Checks that a certificate covers a DNS name or an IP address. The subject's common name is never read
 * (RFC 9525 §2).
 *
 * @throws CertificateError PKI_NAME_MISMATCH
 */
export function checkHostName(certificate: Certificate, expected: string): void {
  const { dnsNames, ipAddresses } = certificate.subjectAltNames
  const address = parseIpAddress(expected)
  const name = address === undefined ? canonicalDnsName(expected) : undefined
  const matches =
    address === undefined
      ? name !== undefined && dnsNames.some((presented) => dnsNameCovers(presented, name))
      : ipAddresses.some((presented) => equalBytes(presented, address))
  if (matches) return
  const presented = [...dnsNames, ...ipAddresses.map(ipAddressText)]
  const has = presented.length === 0 ? 'no DNS name and no IP address' : listText(presented)
  throw refused('PKI_NAME_MISMATCH', certificate, `is not for ${JSON.stringify(expected)}: it has ${has}`)
}

/** What a client's certificate says of itself. */
function ownName({ subject, subjectAltNames, serialNumber }: Certificate): string {
  const { uris, dnsNames, emailAddresses } = subjectAltNames
  const name = uris[0] ?? dnsNames[0] ?? emailAddresses[0] ?? subject.text
  return name === '' ? `serial number ${serialNumber}` : printable(name)
}
