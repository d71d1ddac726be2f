import { PASS_THROUGH_SOURCE } from '../../capture/plan.ts'
import { formatAddress, type Address } from '../../config/address.ts'
import { CAPTURE_LISTENERS, type CaptureConfig } from '../../config/capture-config.ts'
import type { Connection, Listener } from '../../net/transport.ts'
import { verifyClient } from '../inbound.ts'
import { serveTcp } from '../inbound-tcp.ts'
import type { ProxyServices } from '../services.ts'
import { inboundDestination, type OwnPorts } from './original-destination.ts'
import type { OwnAddresses } from './own-addresses.ts'

/** What the packet filter and this host say of captured connections. */
export interface CaptureSite {
  readonly config: CaptureConfig
  readonly ports: OwnPorts
  readonly own: OwnAddresses
  readonly sharesPort: boolean
}

const NAME = CAPTURE_LISTENERS.inbound

/**
 * Takes what the packet filter leads here on its way to the application: mutual TLS, then policy for the port that the client meant, then
 * the application at the address that the client meant.
 *
 * @throws NetError when the address cannot be listened on
 */
export function listenCapturedInbound(
  services: ProxyServices,
  { config, ports, own, sharesPort }: CaptureSite,
): Promise<Listener> {
  const { transport, counters, maxConnections, log } = services
  const accept = async (raw: Connection): Promise<void> => {
    counters.add('accepted')
    let to: Address
    try {
      to = inboundDestination(raw, ports, own)
    } catch (error) {
      log.warn('Refused a connection', { listener: NAME, remote: formatAddress(raw.remote), error })
      raw.abort()
      return
    }
    const client = await verifyClient(services, { name: NAME }, raw, to.port)
    if (client === undefined) return
    const from = to.host.includes(':') ? PASS_THROUGH_SOURCE.ipv6 : PASS_THROUGH_SOURCE.ipv4
    await serveTcp(services, { name: NAME, forward: to, from }, client)
  }
  return transport.listen(config.inbound.listen, (raw) => void accept(raw), {
    sharesPort,
    maxConnections,
    isRedirected: true,
    onError: (error) => log.error('Cannot accept a connection', { listener: NAME, error }),
  })
}
