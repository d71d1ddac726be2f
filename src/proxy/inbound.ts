import { formatAddress } from '../config/address.ts'
import type { InboundListener } from '../config/proxy-config.ts'
import type { SecuredConnection } from '../net/secured.ts'
import type { Connection, Listener } from '../net/transport.ts'
import { ProxyError } from './errors.ts'
import { HttpInbound } from './inbound-http.ts'
import { serveTcp } from './inbound-tcp.ts'
import type { MeshView } from './mesh-view.ts'
import type { ProxyServices } from './services.ts'

/** A connection whose client has proven itself, before any decision about it. */
export interface VerifiedClient {
  readonly connection: SecuredConnection
  /** The SPIFFE ID that it proved. */
  readonly principal: string
  /** The address that it connected from. */
  readonly sourceIp: string
  /** What the handshake was made under. */
  readonly view: MeshView
  /** The id of the handshake. */
  readonly handshake: number
  /** The listener's, or the one that a captured client meant. */
  readonly port: number
  /** The listener's name. */
  readonly listener: string
}

/**
 * Listens for mutual TLS and carries what policy permits to the application.
 *
 * @throws NetError when the address cannot be listened on
 */
export async function listenInbound(
  services: ProxyServices,
  config: InboundListener,
  { sharesPort }: { readonly sharesPort: boolean },
): Promise<Listener> {
  const { transport, counters, maxConnections, log } = services
  let port = config.listen.port
  const http = config.protocol === 'http' ? new HttpInbound(services, config) : undefined
  const accept = async (raw: Connection): Promise<void> => {
    counters.add('accepted')
    const client = await verifyClient(services, config, raw, port)
    if (client === undefined) return
    if (http === undefined) await serveTcp(services, config, client)
    else http.serve(client)
  }
  const listener = await transport.listen(config.listen, (raw) => void accept(raw), {
    sharesPort,
    maxConnections,
    onError: (error) => log.error('Cannot accept a connection', { listener: config.name, error }),
  })
  port = listener.address.port
  return listener
}

/**
 * The handshake. Whoever does not come out of it as a verified peer is gone when this returns undefined.
 *
 * @param port what policy is asked about
 */
export async function verifyClient(
  services: ProxyServices,
  { name }: Pick<InboundListener, 'name'>,
  raw: Connection,
  port: number,
): Promise<VerifiedClient | undefined> {
  const { secure, views, tls, met, live, handshakes, handshakeSlots, handshakeTimeoutMs, log } = services
  const remote = formatAddress(raw.remote)
  const startedMs = performance.now()
  if (views.usable(tls.nowMs()) === undefined || live.draining) return refuse(notReady(live.draining))

  const ended = live.add({
    expiresAtMs: Infinity,
    judge: () => undefined,
    cut: () => raw.abort(),
    drain: () => {},
  })
  const slot = handshakeSlots.take(handshakeTimeoutMs)
  const free = slot instanceof Promise ? await slot : slot
  // What was ready may have ceased to be while this one waited.
  const view = views.usable(tls.nowMs())
  if (free === undefined || view === undefined || live.draining) {
    ended()
    free?.()
    return refuse(free === undefined ? late(handshakeTimeoutMs) : notReady(live.draining))
  }
  const record = handshakes.begin({
    direction: 'inbound',
    engine: secure.name,
    listener: name,
    remote,
    startedAtMs: tls.nowMs(),
  })
  try {
    const connection = await secure.accept(raw, {
      view,
      trace: record.trace,
      deadlineMs: Math.max(0, handshakeTimeoutMs - (performance.now() - startedMs)),
      onFailure: (error) => record.failed(error),
    })
    record.established(connection.session)
    met.add(connection.session.peer)
    const principal = connection.session.peer?.name
    if (principal === undefined) {
      connection.abort()
      throw new ProxyError('PROXY_UNPROVEN_PEER', 'The client showed no certificate')
    }
    return {
      connection,
      principal,
      sourceIp: raw.remote.host,
      view,
      handshake: record.id,
      port,
      listener: name,
    }
  } catch (error) {
    record.failed(error as Error)
    log.warn('Handshake failed', { listener: name, remote, handshake: record.id, error })
    return undefined
  } finally {
    free()
    ended()
  }

  function refuse(error: ProxyError): undefined {
    log.warn('Refused a connection', { listener: name, remote, error })
    raw.abort()
  }
}

function notReady(isDraining: boolean): ProxyError {
  return new ProxyError('PROXY_NOT_READY', isDraining ? 'The proxy is stopping' : 'No identity or policy')
}

function late(timeoutMs: number): ProxyError {
  return new ProxyError('PROXY_HANDSHAKE_LATE', `Its turn did not come within ${timeoutMs} ms`)
}
