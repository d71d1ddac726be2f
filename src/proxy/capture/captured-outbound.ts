import { formatAddress, type Address } from '../../config/address.ts'
import { CAPTURE_LISTENERS } from '../../config/capture-config.ts'
import { messageOf } from '../../errors.ts'
import type { Connection, Listener } from '../../net/transport.ts'
import { ProxyError } from '../errors.ts'
import { carryToPeer } from '../outbound-tcp.ts'
import type { ProxyServices } from '../services.ts'
import type { CaptureSite } from './captured-inbound.ts'
import { carryUntouched } from './carry-untouched.ts'
import { LoopGuard } from './loop-guard.ts'
import { outboundDestination } from './original-destination.ts'
import type { Destination, PeerDirectory } from './peer-directory.ts'

const NAME = CAPTURE_LISTENERS.outbound

/**
 * Takes what the packet filter leads here on its way out, and carries it to where it was meant to go: to workloads of the mesh by mutual
 * TLS, to everyone else untouched.
 *
 * @throws NetError when the address cannot be listened on
 */
export function listenCapturedOutbound(
  common: ProxyServices,
  { config, ports, own, sharesPort }: CaptureSite,
  directory: PeerDirectory,
): Promise<Listener> {
  const guard = new LoopGuard()
  const services = { ...common, transport: guard.over(common.transport) }
  const { transport, live, views, tls, counters, maxConnections, log } = services
  const accept = async (app: Connection): Promise<void> => {
    counters.add('accepted')
    try {
      if (live.draining) throw new ProxyError('PROXY_NOT_READY', 'The proxy is stopping')
      const to = outboundDestination(app, ports, own)
      guard.admit(app, to)
      await carry(app, to, await destinationOf(app, to))
    } catch (error) {
      log.warn('Refused a connection', { listener: NAME, remote: formatAddress(app.remote), error })
      app.abort()
    }
  }
  return transport.listen(config.outbound.listen, (app) => void accept(app), {
    sharesPort,
    maxConnections,
    isRedirected: true,
    onError: (error) => log.error('Cannot accept a connection', { listener: NAME, error }),
  })

  /** The answer may take its time; whoever drains or cuts does not wait for it. */
  async function destinationOf(app: Connection, to: Address): Promise<Destination> {
    const asking = new AbortController()
    let cutBy: ProxyError | undefined
    const ended = live.add({
      expiresAtMs: Infinity,
      judge: () => undefined,
      cut(reason) {
        cutBy = reason
        asking.abort()
        app.abort()
      },
      drain() {},
    })
    try {
      const found = await directory.lookup(to, asking.signal)
      if (cutBy !== undefined) throw cutBy
      return found
    } catch (thrown) {
      if (thrown instanceof ProxyError) throw thrown
      throw new ProxyError(
        'PROXY_DESTINATION_REFUSED',
        `Nobody knows ${formatAddress(to)}: ${messageOf(thrown)}`,
        {
          cause: thrown,
        },
      )
    } finally {
      ended()
    }
  }

  async function carry(app: Connection, to: Address, destination: Destination): Promise<void> {
    switch (destination.kind) {
      case 'refused':
        throw new ProxyError('PROXY_DESTINATION_REFUSED', destination.reason)
      case 'pass-through':
        return carryUntouched(services, destination.warrant, { app, to, listener: NAME })
      case 'meshed': {
        if (views.usable(tls.nowMs()) === undefined)
          throw new ProxyError('PROXY_NOT_READY', `No identity or policy to reach ${destination.peer} with`)
        const { peer, connect } = destination
        const target = { name: NAME, connect, peer, ticketsFor: `${peer} ${formatAddress(connect)}` }
        return carryToPeer(services, target, { app, port: to.port, destination: to })
      }
    }
  }
}
