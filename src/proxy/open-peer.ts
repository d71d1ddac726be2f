import { formatAddress, type Address } from '../config/address.ts'
import { ProxyError } from './errors.ts'
import { CONNECT_TIMEOUT_MS } from './limits.ts'
import type { MeshView } from './mesh-view.ts'
import { ProvenPeer } from './proven-peer.ts'
import type { ProxyServices } from './services.ts'

/** A peer to connect to, and who it must prove to be. */
export interface PeerTarget {
  /** The listener's that asks for it. */
  readonly name: string
  readonly connect: Address
  /** A SPIFFE ID. */
  readonly peer: string
  /** Tickets are used for peers of the same key. @default the listener's name */
  readonly ticketsFor?: string
}

/** A connection to a peer, with what it rests on. */
export interface OpenedPeer {
  readonly proven: ProvenPeer
  readonly view: MeshView
  /** The id of its handshake. */
  readonly handshake: number
}

/**
 * Connects to a peer over mutual TLS.
 *
 * @param signal calls the attempt off
 * @throws ProxyError PROXY_NOT_READY, NetError, TlsError
 */
export async function openPeer(
  services: ProxyServices,
  target: PeerTarget,
  signal?: AbortSignal,
): Promise<OpenedPeer> {
  const { transport, secure: security, tls, met, views, handshakes, handshakeTimeoutMs, log } = services
  const view = views.usable(tls.nowMs())
  if (view === undefined) throw new ProxyError('PROXY_NOT_READY', 'There is no valid identity or no policy')
  const remote = formatAddress(target.connect)
  const record = handshakes.begin({
    direction: 'outbound',
    engine: security.name,
    listener: target.name,
    remote,
    startedAtMs: tls.nowMs(),
  })
  try {
    const connection = await transport.connect(target.connect, {
      timeoutMs: CONNECT_TIMEOUT_MS,
      ...(signal !== undefined && { signal }),
    })
    const abort = (): void => connection.abort()
    signal?.addEventListener('abort', abort)
    const secure = await security
      .connect(connection, target, {
        view,
        trace: record.trace,
        deadlineMs: handshakeTimeoutMs,
        onFailure: (error) => record.failed(error),
      })
      .finally(() => signal?.removeEventListener('abort', abort))
    record.established(secure.session)
    met.add(secure.session.peer)
    return { proven: ProvenPeer.of(secure, target.peer), view, handshake: record.id }
  } catch (error) {
    record.failed(error as Error)
    log.warn('Cannot reach the peer', { listener: target.name, remote, handshake: record.id, error })
    throw error
  }
}
