import { canonicalDnsName, dnsNameCovers } from '../../pki/host-name.ts'
import type { Credential, ServerOptions } from '../../tls/options.ts'

/**
 * Chooses the certificate by the name that a client asks for. A single credential answers everyone, as does the first
 * for clients that name nothing; of several, none answers a name that none has.
 */
export function chooseBySni(
  credentials: readonly [Credential, ...Credential[]],
): ServerOptions['credential'] {
  const [first] = credentials
  return (serverName) => {
    if (credentials.length === 1 || serverName === undefined) return first
    const name = canonicalDnsName(serverName)
    if (name === undefined) return undefined
    return credentials.find(({ chain }) =>
      chain[0]!.subjectAltNames.dnsNames.some((presented) => dnsNameCovers(presented, name)),
    )
  }
}
