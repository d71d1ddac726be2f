import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:http'
import { formatAddress, type Address } from '../../config/address.ts'
import type { CryptoProvider } from '../../crypto/provider.ts'
import { ConnectionDuplex } from '../../net/duplex.ts'
import { secureServer } from '../../net/secure-connection.ts'
import type { Connection, Transport } from '../../net/transport.ts'
import type { Logger } from '../../telemetry/log.ts'
import type { Credential } from '../../tls/options.ts'

export interface BundleEndpointOptions {
  readonly listen: Address
  /** What the endpoint shows. */
  readonly credential: () => Credential | undefined
  /** The bundle document as it is now. */
  readonly document: () => Promise<string>
  readonly crypto: CryptoProvider
  readonly transport: Transport
  readonly log: Logger
}

/** Anybody may connect; other trust domains come every few minutes, each for one answer. */
const MAX_CONNECTIONS = 256
const TIMEOUT_MS = 10_000

/** One path, since an endpoint has one bundle. */
const PATH = '/'

/**
 * Publishes our bundle over HTTPS (SPIFFE Federation §5.2). It is no secret; what counts is that the caller can tell it is ours.
 *
 * @returns where it listens
 * @throws NetError when the address cannot be listened on
 */
export async function serveBundle(
  options: BundleEndpointOptions,
): Promise<AsyncDisposable & { readonly address: Address }> {
  const { listen, transport, log } = options
  const server = createServer(
    { headersTimeout: TIMEOUT_MS, requestTimeout: TIMEOUT_MS, keepAliveTimeout: TIMEOUT_MS },
    (incoming, response) => void answer(incoming, response, options),
  )
  // Node keeps watch over timeouts from here on; this server gets its connections handed to it and never listens.
  server.emit('listening')
  const open = new Set<Connection>()
  const accept = async (connection: Connection): Promise<void> => {
    const { crypto, credential } = options
    const from = formatAddress(connection.remote)
    const secured = await secureServer(
      connection,
      { crypto, nowMs: Date.now, alpn: ['http/1.1'], credential },
      {
        deadlineMs: TIMEOUT_MS,
        onFailure: (error) => log.debug('Connection to the bundle endpoint failed', { from, error }),
      },
    )
    const stream = new ConnectionDuplex(secured)
    stream.on('error', () => {})
    stream.once('close', () => open.delete(connection))
    server.emit('connection', stream)
  }
  const listener = await transport.listen(
    listen,
    (connection) => {
      open.add(connection)
      // Failures have gone to the log through onFailure.
      accept(connection).catch(() => open.delete(connection))
    },
    {
      maxConnections: MAX_CONNECTIONS,
      onError: (error) => log.error('A connection to the bundle endpoint could not be accepted', { error }),
    },
  )
  return {
    address: listener.address,
    async [Symbol.asyncDispose]() {
      await listener.close()
      server.close()
      for (const connection of open) connection.abort()
    },
  }
}

async function answer(
  { method, url }: IncomingMessage,
  response: ServerResponse,
  { document, log }: BundleEndpointOptions,
): Promise<void> {
  if (url !== PATH) return void response.writeHead(404).end()
  if (method !== 'GET' && method !== 'HEAD') return void response.writeHead(405, { allow: 'GET, HEAD' }).end()
  try {
    const text = await document()
    response.writeHead(200, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
      'cache-control': 'no-store',
    })
    response.end(method === 'HEAD' ? undefined : text)
  } catch (error) {
    log.error('The trust bundle could not be published', { error })
    response.writeHead(503).end()
  }
}
