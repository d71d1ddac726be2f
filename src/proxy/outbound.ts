import { formatAddress } from '../config/address.ts'
import type { OutboundListener } from '../config/proxy-config.ts'
import { ConnectionDuplex } from '../net/duplex.ts'
import type { Connection, Listener } from '../net/transport.ts'
import { ProxyError } from './errors.ts'
import { HttpOutbound } from './outbound-http.ts'
import { carryToPeer } from './outbound-tcp.ts'
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
    if (http === undefined) void carryToPeer(services, config, { app, port })
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
