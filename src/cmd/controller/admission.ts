import { formatAddress } from '../../config/address.ts'
import type { ConnectionPeer } from '../../control/connection-peer.ts'
import type { IdentitySource } from '../../control/identity-source.ts'
import type { ControlServer } from '../../control/server.ts'
import type { CryptoProvider } from '../../crypto/provider.ts'
import { SpiffeId } from '../../identity/spiffe-id.ts'
import { svidVerifier } from '../../identity/svid-verifier.ts'
import { ConnectionDuplex } from '../../net/duplex.ts'
import { secureServer } from '../../net/secure-connection.ts'
import type { Connection } from '../../net/transport.ts'
import type { VerifiedPeer } from '../../pki/verifier.ts'
import type { Logger } from '../../telemetry/log.ts'
import type { ServerOptions } from '../../tls/options.ts'

/** A proxy is done with its handshake in milliseconds, over any distance in a second. */
const HANDSHAKE_TIMEOUT_MS = 10_000

/** Without a certificate there is one thing to do here, and it takes one call. */
const ANONYMOUS_CONNECTION_MS = 30_000

/** Connections cost memory before they have proven anything. */
const MAX_CONNECTIONS = 10_000

export interface AdmissionOptions {
  readonly server: ControlServer
  readonly identity: IdentitySource
  readonly crypto: CryptoProvider
  readonly log: Logger
}

/** Takes connections from the network: TLS first, with the client's certificate if it has one, then gRPC. */
export function admission({
  server,
  identity,
  crypto,
  log,
}: AdmissionOptions): (connection: Connection) => void {
  const options: ServerOptions = {
    crypto,
    nowMs: () => Date.now(),
    alpn: ['h2'],
    credential: () => identity.current(),
    clientVerifier: svidVerifier({ bundles: () => identity.bundles(), crypto }),
    allowAnonymousClient: true,
  }
  let open = 0

  /** Resolves when the connection has ended. */
  async function admit(connection: Connection): Promise<void> {
    const from = formatAddress(connection.remote)
    const secured = await secureServer(connection, options, {
      deadlineMs: HANDSHAKE_TIMEOUT_MS,
      onFailure: (error) => log.warn('Connection failed', { from, error }),
    })
    const { alpn, peer } = secured.session
    // A client that offers no ALPN at all is not gRPC (RFC 9113 §3.2).
    if (alpn !== 'h2') {
      log.warn('Connection refused: the client did not offer ALPN h2', { from })
      secured.abort()
      return
    }
    const stream = new ConnectionDuplex(secured)
    const limit =
      peer === undefined ? setTimeout(() => stream.destroy(), ANONYMOUS_CONNECTION_MS).unref() : undefined
    stream.on('error', (error) => log.debug('Connection broke off', { from, error }))
    log.debug('Connection accepted', { from, peer: peer?.name })
    server.acceptConnection(stream, peer && connectionPeer(peer, crypto), from)
    await new Promise((resolve) => stream.once('close', resolve))
    clearTimeout(limit)
  }

  return (connection) => {
    if (open >= MAX_CONNECTIONS) {
      log.warn('Connection refused: too many are open', { from: formatAddress(connection.remote), open })
      connection.abort()
      return
    }
    open++
    // Failures have gone to the log through onFailure.
    void admit(connection)
      .catch(() => {})
      .finally(() => open--)
  }
}

function connectionPeer({ name, expiresAtMs, path }: VerifiedPeer, crypto: CryptoProvider): ConnectionPeer {
  // A path of one is a leaf that is an anchor: it has signed itself.
  const issuer = path[1] ?? path[0]!
  return {
    id: SpiffeId.parse(name),
    serialNumber: path[0]!.serialNumber,
    expiresAtMs,
    issuerKey: issuer.publicKey.spki,
    revokedBy(revocations) {
      const revoked = revocations?.find({ name, path }, crypto)
      return revoked && revocations?.describe(revoked)
    },
  }
}
