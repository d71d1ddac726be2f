import { formatAddress, type Address } from '../config/address.ts'
import type { Connection } from '../net/transport.ts'
import { asProxyFailure, type ProxyError } from './errors.ts'
import { distrust, proofEndMs } from './mutual-tls.ts'
import { openPeer, type OpenedPeer, type PeerTarget } from './open-peer.ts'
import { pump, type PumpResult } from './pump.ts'
import type { ProxyServices } from './services.ts'

/** A connection of the application. */
export interface OutboundConnection {
  readonly app: Connection
  /** Where it was taken, or was meant to go. */
  readonly port: number
  /** Where it was meant to go, if it was captured. */
  readonly destination?: Address
}

/** Connects to the peer and carries bytes both ways; the application sees a reset when there is no such peer. */
export async function carryToPeer(
  services: ProxyServices,
  target: PeerTarget,
  { app, port, destination }: OutboundConnection,
): Promise<void> {
  const { live, tls, views, access } = services
  const startedMs = performance.now()
  let opening: AbortController | undefined = new AbortController()
  let opened: OpenedPeer | undefined
  let cutBy: ProxyError | undefined
  const cut = (reason: ProxyError): void => {
    cutBy = reason
    opening?.abort()
    app.abort()
    opened?.proven.connection.abort()
  }

  const connecting = live.add({ expiresAtMs: Infinity, judge: () => undefined, cut, drain: () => {} })
  const result = await carry()
  const error = cutBy ?? result.error
  access.write({
    direction: 'outbound',
    listener: target.name,
    protocol: 'tcp',
    port,
    ...(destination !== undefined && { destination: formatAddress(destination) }),
    ...(opened && {
      connection: opened.handshake,
      peer: opened.proven.name,
      self: opened.view.svid.id.toString(),
      session: opened.proven.connection.session,
    }),
    requestBytes: result.requestBytes,
    responseBytes: result.responseBytes,
    durationMs: performance.now() - startedMs,
    ...(error !== undefined && { error: { code: error.code, message: error.message } }),
  })

  async function carry(): Promise<PumpResult> {
    try {
      opened = await openPeer(services, target, opening!.signal)
      opening = undefined
    } catch (thrown) {
      connecting()
      app.abort()
      return { requestBytes: 0, responseBytes: 0, error: asProxyFailure(thrown) }
    }
    const { proven, view } = opened
    const { session } = proven.connection
    const ended = live.add(
      {
        expiresAtMs: proofEndMs({ session, view }),
        judge: (newer) => distrust(tls, { session, view }, newer),
        cut,
        drain: () => {},
      },
      views.current,
    )
    connecting()
    return pump(proven, app, proven.connection).finally(ended)
  }
}
