import { formatAddress } from '../config/address.ts'
import type { OutboundListener } from '../config/proxy-config.ts'
import { HandfastError, messageOf } from '../errors.ts'
import { ConnectionDuplex } from '../net/duplex.ts'
import type { Connection, Listener } from '../net/transport.ts'
import { ProxyError } from './errors.ts'
import { distrust, proofEndMs } from './mutual-tls.ts'
import { openPeer, type OpenedPeer } from './open-peer.ts'
import { HttpOutbound } from './outbound-http.ts'
import { pump, type PumpResult } from './pump.ts'
import type { ProxyServices } from './services.ts'

/**
 * Listens for the application's plaintext and carries it to the one peer that the configuration names.
 *
 * @throws NetError when the address cannot be listened on
 */
export async function listenOutbound(
  services: ProxyServices,
  config: OutboundListener,
  { sharesPort }: { readonly sharesPort: boolean },
): Promise<Listener> {
  const { transport, views, tls, live, counters, maxConnections, log } = services
  let port = config.listen.port
  const http = config.protocol === 'http' ? new HttpOutbound(services, config, () => port) : undefined
  const accept = (app: Connection): void => {
    counters.add('accepted')
    if (live.draining || (http === undefined && views.usable(tls.nowMs()) === undefined)) {
      log.warn('Refused a connection', {
        listener: config.name,
        remote: formatAddress(app.remote),
        error: new ProxyError(
          'PROXY_NOT_READY',
          live.draining ? 'The proxy is stopping' : 'No identity or policy',
        ),
      })
      app.abort()
      return
    }
    if (http === undefined) void carryTcp(services, config, { app, port })
    else http.serve(new ConnectionDuplex(app))
  }
  const listener = await transport.listen(config.listen, accept, {
    sharesPort,
    maxConnections,
    onError: (error) => log.error('Cannot accept a connection', { listener: config.name, error }),
  })
  port = listener.address.port
  return listener
}

/** Connects to the peer and carries bytes both ways; the application sees a reset when there is no such peer. */
async function carryTcp(
  services: ProxyServices,
  listener: OutboundListener,
  { app, port }: { readonly app: Connection; readonly port: number },
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
    listener: listener.name,
    protocol: 'tcp',
    port,
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
      opened = await openPeer(services, listener, opening!.signal)
      opening = undefined
    } catch (thrown) {
      connecting()
      app.abort()
      return { requestBytes: 0, responseBytes: 0, error: asError(thrown) }
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

function asError(thrown: unknown): HandfastError {
  return thrown instanceof HandfastError
    ? thrown
    : new ProxyError('PROXY_UPSTREAM_GONE', messageOf(thrown), { cause: thrown })
}
