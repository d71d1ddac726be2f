import { formatAddress } from '../config/address.ts'
import type { OutboundListener } from '../config/proxy-config.ts'
import { ProxyError } from './errors.ts'
import { CONNECT_TIMEOUT_MS } from './limits.ts'
import type { MeshView } from './mesh-view.ts'
import { ProvenPeer } from './proven-peer.ts'
import type { ProxyServices } from './services.ts'

/** A connection to a peer, with what it rests on. */
export interface OpenedPeer {
  readonly proven: ProvenPeer
  readonly view: MeshView
  /** The id of its handshake. */
  readonly handshake: number
}

/**
 * Connects to the peer of an outbound listener over mutual TLS.
 *
 * @param signal calls the attempt off
 * @throws ProxyError PROXY_NOT_READY, NetError, TlsError
 */
export async function openPeer(
  services: ProxyServices,
  listener: OutboundListener,
  signal?: AbortSignal,
): Promise<OpenedPeer> {
  const { transport, secure: security, tls, views, handshakes, handshakeTimeoutMs, log } = services
  const view = views.usable(tls.nowMs())
  if (view === undefined) throw new ProxyError('PROXY_NOT_READY', 'There is no valid identity or no policy')
  const remote = formatAddress(listener.connect)
  const record = handshakes.begin({
    direction: 'outbound',
    engine: security.name,
    listener: listener.name,
    remote,
    startedAtMs: tls.nowMs(),
  })
  try {
    const connection = await transport.connect(listener.connect, {
      timeoutMs: CONNECT_TIMEOUT_MS,
      ...(signal !== undefined && { signal }),
    })
    const abort = (): void => connection.abort()
    signal?.addEventListener('abort', abort)
    const secure = await security
      .connect(connection, listener, {
        view,
        trace: record.trace,
        deadlineMs: handshakeTimeoutMs,
        onFailure: (error) => record.failed(error),
      })
      .finally(() => signal?.removeEventListener('abort', abort))
    record.established(secure.session)
    return { proven: ProvenPeer.of(secure, listener.peer), view, handshake: record.id }
  } catch (error) {
    record.failed(error as Error)
    log.warn('Cannot reach the peer', { listener: listener.name, remote, handshake: record.id, error })
    throw error
  }
}
