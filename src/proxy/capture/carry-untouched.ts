import { formatAddress, type Address } from '../../config/address.ts'
import { asProxyFailure, type ProxyError } from '../errors.ts'
import type { Connection } from '../../net/transport.ts'
import { CONNECT_TIMEOUT_MS } from '../limits.ts'
import { pump, type PumpResult } from '../pump.ts'
import type { ProxyServices } from '../services.ts'
import type { PassThrough } from './pass-through.ts'

/** Carries an application's connection to somebody outside the mesh, byte by byte, and reports it. It rests on no certificate. */
export async function carryUntouched(
  { transport, live, access }: ProxyServices,
  warrant: PassThrough,
  { app, to, listener }: { readonly app: Connection; readonly to: Address; readonly listener: string },
): Promise<void> {
  const startedMs = performance.now()
  const connecting = new AbortController()
  let server: Connection | undefined
  let cutBy: ProxyError | undefined
  const ended = live.add({
    expiresAtMs: Infinity,
    judge: () => undefined,
    cut(reason) {
      cutBy = reason
      connecting.abort()
      app.abort()
      server?.abort()
    },
    drain() {},
  })
  const result = await carry().finally(ended)
  const error = cutBy ?? result.error
  access.write({
    direction: 'outbound',
    listener,
    protocol: 'tcp',
    port: to.port,
    destination: formatAddress(to),
    passedThrough: true,
    requestBytes: result.requestBytes,
    responseBytes: result.responseBytes,
    durationMs: performance.now() - startedMs,
    ...(error !== undefined && { error: { code: error.code, message: error.message } }),
  })

  async function carry(): Promise<PumpResult> {
    try {
      server = await transport.connect(to, { timeoutMs: CONNECT_TIMEOUT_MS, signal: connecting.signal })
    } catch (thrown) {
      app.abort()
      return { requestBytes: 0, responseBytes: 0, error: asProxyFailure(thrown) }
    }
    // Cut while the answer was on its way here.
    if (cutBy !== undefined) server.abort()
    return pump(warrant, app, server)
  }
}
