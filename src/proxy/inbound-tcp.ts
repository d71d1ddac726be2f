import type { Permit } from '../authz/decide.ts'
import type { Denial } from '../authz/decision.ts'
import type { Address } from '../config/address.ts'
import type { HandfastError } from '../errors.ts'
import type { Connection } from '../net/transport.ts'
import { authorize, newlyDenied } from './authorize.ts'
import { asProxyFailure, ProxyError } from './errors.ts'
import type { VerifiedClient } from './inbound.ts'
import { CONNECT_TIMEOUT_MS } from './limits.ts'
import { distrust, proofEndMs } from './mutual-tls.ts'
import { part } from './part.ts'
import { pump, type PumpResult } from './pump.ts'
import type { ProxyServices } from './services.ts'

/** Where an inbound listener carries connections to. */
export interface InboundRoute {
  /** The listener's. */
  readonly name: string
  /** Where the application listens. */
  readonly forward: Address
  /** What the application sees as the source. @default what the system chooses */
  readonly from?: string
}

/** Judges a verified connection, carries it to the application if policy permits, and reports it. */
export async function serveTcp(
  services: ProxyServices,
  { name, forward, from }: InboundRoute,
  client: VerifiedClient,
): Promise<void> {
  const { live, tls, access, transport, views } = services
  const { connection, view } = client
  const { session } = connection
  const startedMs = performance.now()
  let connecting: AbortController | undefined
  let app: Connection | undefined
  let cutBy: ProxyError | undefined

  const ended = live.add({
    expiresAtMs: proofEndMs({ session, view }),
    judge: (newer) => distrust(tls, { session, view }, newer) ?? newlyDenied(services, newer, client),
    cut(reason) {
      cutBy = reason
      connecting?.abort()
      connection.abort()
      app?.abort()
    },
    drain() {},
  })
  const decision = authorize(services, views.current ?? view, client)
  const result = await carry(decision)
  ended()
  const error = cutBy ?? result.error
  access.write({
    direction: 'inbound',
    listener: name,
    protocol: 'tcp',
    connection: client.handshake,
    peer: client.principal,
    self: view.svid.id.toString(),
    port: client.port,
    requestBytes: result.requestBytes,
    responseBytes: result.responseBytes,
    durationMs: performance.now() - startedMs,
    decision,
    session,
    ...(error !== undefined && { error: { code: error.code, message: error.message } }),
  })

  async function carry(decision: Permit | Denial): Promise<PumpResult> {
    if (decision.kind === 'denial') {
      await part(connection)
      return nothing(new ProxyError('PROXY_DENIED', decision.reason))
    }
    const stale = distrust(tls, { session, view }, views.current)
    if (stale !== undefined) {
      connection.abort()
      return nothing(stale)
    }
    connecting = new AbortController()
    try {
      app = await transport.connect(forward, {
        timeoutMs: CONNECT_TIMEOUT_MS,
        signal: connecting.signal,
        ...(from !== undefined && { from }),
      })
    } catch (thrown) {
      connection.abort()
      return nothing(asProxyFailure(thrown))
    }
    connecting = undefined
    // Cut while the answer of the application was on its way here.
    if (cutBy !== undefined) app.abort()
    return pump(decision, connection, app)
  }
}

function nothing(error: HandfastError): PumpResult {
  return { requestBytes: 0, responseBytes: 0, error }
}
