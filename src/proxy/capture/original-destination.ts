import { formatAddress, isLoopback, type Address } from '../../config/address.ts'
import type { ProxyConfig } from '../../config/proxy-config.ts'
import type { Connection } from '../../net/transport.ts'
import { ProxyError } from '../errors.ts'
import type { OwnAddresses } from './own-addresses.ts'

/** Ports that carry captured traffic, or answer the operator: no captured connection may lead to them. */
export type OwnPorts = ReadonlySet<number>

/** The ports of a proxy as configured. */
export function ownPorts({ capture, admin }: Pick<ProxyConfig, 'capture' | 'admin'>): OwnPorts {
  const listens = [
    admin.listen,
    ...(capture === undefined ? [] : [capture.outbound.listen, capture.inbound.listen]),
  ]
  return new Set(listens.map(({ port }) => port))
}

/**
 * Where the packet filter took a connection from.
 *
 * @throws ProxyError PROXY_NOT_CAPTURED when it was made straight to us: nobody knows then where it is to go
 */
function capturedFrom({ originalDestination: to, local, remote }: Connection): Address {
  if (to !== undefined && (to.host !== local.host || to.port !== local.port)) return to
  throw new ProxyError(
    'PROXY_NOT_CAPTURED',
    `${formatAddress(remote)} connected straight to ${formatAddress(local)}, which takes captured connections only`,
  )
}

/**
 * Where the application meant to connect to.
 *
 * @throws ProxyError PROXY_NOT_CAPTURED, or PROXY_BAD_DESTINATION for one that would lead back here
 */
export function outboundDestination(connection: Connection, ports: OwnPorts, own: OwnAddresses): Address {
  const to = capturedFrom(connection)
  if (isLoopback(to) || (ports.has(to.port) && own.has(to.host)))
    throw bad(to, 'an address outside this host, since traffic within it is not captured')
  return to
}

/**
 * Where a client meant to connect to: the application, at one of this host's addresses.
 *
 * @throws ProxyError PROXY_NOT_CAPTURED, or PROXY_BAD_DESTINATION for the proxy's own ports, and for other hosts, to which it would be an
 *   open door
 */
export function inboundDestination(connection: Connection, ports: OwnPorts, own: OwnAddresses): Address {
  const to = capturedFrom(connection)
  if (ports.has(to.port)) throw bad(to, "a port of the application, not the proxy's own")
  if (isLoopback(to) || !own.has(to.host)) throw bad(to, 'an address of this host that others can reach')
  return to
}

function bad(to: Address, expected: string): ProxyError {
  return new ProxyError(
    'PROXY_BAD_DESTINATION',
    `Captured on the way to ${formatAddress(to)}: expected ${expected}`,
  )
}
