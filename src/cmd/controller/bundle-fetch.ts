import { readFile } from 'node:fs/promises'
import { request } from 'node:http'
import { type HttpsAnswer, httpsRequest, wholeAnswer } from '../../ca/https-request.ts'
import type { BundleSource, FederatedDomainConfig } from '../../config/federation-config.ts'
import type { CryptoProvider } from '../../crypto/provider.ts'
import { messageOf } from '../../errors.ts'
import { encodeBundleDocument } from '../../identity/bundle-document.ts'
import { BundleError } from '../../identity/errors.ts'
import { SpiffeId } from '../../identity/spiffe-id.ts'
import { svidVerifier } from '../../identity/svid-verifier.ts'
import { readTrustBundlePem, type TrustBundles } from '../../identity/trust-bundle.ts'
import { ConnectionDuplex } from '../../net/duplex.ts'
import { secureClient } from '../../net/secure-connection.ts'
import type { Transport } from '../../net/transport.ts'

export interface BundleFetchWorld {
  readonly crypto: CryptoProvider
  readonly transport: Transport
  /** What endpoints that are known by their SPIFFE IDs are verified with. */
  readonly bundles: () => TrustBundles
}

/** Connection, handshake and answer each. */
const DEADLINE_MS = 5_000

const HTTPS_PORT = 443

/**
 * The bundle document at a source, as it is now. Redirects are not followed: who publishes is named in the configuration.
 *
 * @throws BundleError BUNDLE_UNAVAILABLE
 */
export async function fetchBundle(
  { trustDomain, source }: FederatedDomainConfig,
  world: BundleFetchWorld,
): Promise<string> {
  const place = source.kind === 'file' ? source.file : source.url
  try {
    if (source.kind === 'file') return await readBundleFile(source.file, trustDomain)
    const { status, text } = await (source.kind === 'web' ? askWeb(source) : askSpiffe(source, world))
    if (status === 200) return text
    throw new Error(`it answered with status ${status}`)
  } catch (error) {
    throw new BundleError(
      'BUNDLE_UNAVAILABLE',
      `There is no bundle to be had from ${place}: ${messageOf(error)}`,
      {
        cause: error,
      },
    )
  }
}

/**
 * The bundle document in a file; one of PEM certificates is as good.
 *
 * @throws the file system's error, CertificateError
 */
export async function readBundleFile(path: string, trustDomain: string): Promise<string> {
  const text = await readFile(path, 'utf8')
  if (!text.includes('-----BEGIN ')) return text
  const bundle = readTrustBundlePem(trustDomain, text)
  return encodeBundleDocument({ bundle, sequence: undefined, refreshHintSeconds: undefined })
}

const HEADERS = { accept: 'application/json' }

async function askWeb({ url, caFile }: Extract<BundleSource, { kind: 'web' }>): Promise<HttpsAnswer> {
  const ca = caFile === undefined ? undefined : await readFile(caFile, 'utf8')
  return httpsRequest(url, { headers: HEADERS, ...(ca !== undefined && { ca }) })
}

/** SPIFFE Federation §5.2.2: the endpoint shows an X.509-SVID, and its host name proves nothing. */
async function askSpiffe(
  { url, spiffeId }: Extract<BundleSource, { kind: 'spiffe' }>,
  { crypto, transport, bundles }: BundleFetchWorld,
): Promise<HttpsAnswer> {
  const { hostname, port, pathname, search, host } = new URL(url)
  const address = { host: hostname.replace(/^\[(.*)\]$/, '$1'), port: Number(port || HTTPS_PORT) }
  const connection = await transport.connect(address, { timeoutMs: DEADLINE_MS })
  const secured = await secureClient(
    connection,
    {
      crypto,
      nowMs: Date.now,
      alpn: ['http/1.1'],
      verifier: svidVerifier({ bundles, crypto, expected: SpiffeId.parse(spiffeId) }),
    },
    { deadlineMs: DEADLINE_MS },
  )
  const stream = new ConnectionDuplex(secured)
  try {
    return await wholeAnswer(
      request({
        createConnection: () => stream,
        path: pathname + search,
        headers: { ...HEADERS, host, connection: 'close' },
        signal: AbortSignal.timeout(DEADLINE_MS),
      }),
    )
  } finally {
    stream.destroy()
  }
}
