import type { Address } from '../config/address.ts'
import { listenersOf, type ProxyConfig } from '../config/proxy-config.ts'
import type { CryptoProvider } from '../crypto/provider.ts'
import type { Transport } from '../net/transport.ts'
import type { Logger } from '../telemetry/log.ts'
import { listenAdmin } from './admin.ts'
import { policyLine } from './flight-stream.ts'
import type { MetChain } from './met-certificates.ts'
import type { MeshViews } from './mesh-view.ts'
import { RevisionHistory } from './revision-history.ts'
import { DataPlanes } from './threads/data-planes.ts'
import type { StartThread } from './threads/thread-slot.ts'

export interface ProxyOptions {
  readonly config: ProxyConfig
  /** Starts the threads that carry traffic. */
  readonly startThread: StartThread
  /** For the admin pages. */
  readonly transport: Transport
  readonly crypto: CryptoProvider
  /** Wall clock, in milliseconds since the Unix epoch. */
  readonly nowMs: () => number
  /** Where identity and policy are published; nothing passes before both are there. */
  readonly views: MeshViews
  readonly log: Logger
  /** Takes the threads' lines of the log, whole ones. */
  readonly onLines: (text: string) => void
  /** Takes certificates of peers that handshakes have proven, from the leaf up. @default nobody wants to know */
  readonly onMet?: (chains: readonly MetChain[]) => void
  /** Uniform in [0, 1). */
  readonly random: () => number
  /** What the controller's state was numbered, for the operator. @default unknown */
  readonly stateNumber?: () => number | undefined
}

/** A proxy that listens. */
export interface RunningProxy {
  readonly admin: Address
  /** By the names in the configuration. */
  readonly addresses: Readonly<Record<string, Address>>
  /** Resolves when the proxy was drained and has stopped, also when someone else asked for it. */
  readonly stopped: Promise<void>
  /**
   * Resolves when traffic is judged by what was published so far.
   *
   * @throws ProxyError PROXY_VIEW_REFUSED
   */
  settled(): Promise<void>
  /** Stops accepting, lets what is under way finish within the configured time, and cuts the rest. */
  drain(): Promise<void>
}

/**
 * Opens all listeners of a configuration, or none. This thread keeps the admin pages; others carry the traffic.
 *
 * Listening begins before there is an identity, so that an address in use is found at once; until identity and
 * policy are there, every connection is refused.
 *
 * @throws NetError when an address cannot be listened on
 */
export async function startProxy(options: ProxyOptions): Promise<RunningProxy> {
  const { config, startThread, transport, crypto, views, log, nowMs, onLines, onMet, random } = options
  if (config.threads > 1) await checkPortsAreFree(config, transport)
  const history = new RevisionHistory(nowMs)
  const planes = new DataPlanes({
    config,
    startThread,
    views,
    log,
    onLines,
    onMet,
    onSettled: (view, refused) =>
      refused === undefined ? history.inForce(view) : history.refused(view, refused),
    random,
    crypto,
  })
  if (views.current !== undefined) history.received(views.current)
  const stopRecording = views.onChange((view) => {
    const entry = history.received(view)
    if (entry !== undefined) planes.followers.tell(policyLine(entry))
  })
  const addresses = await planes.start()
  const stopped = Promise.withResolvers<void>()
  let draining: Promise<void> | undefined
  const admin = await listenAdmin({
    config,
    planes,
    transport,
    crypto,
    nowMs,
    views,
    history,
    addresses,
    stateNumber: options.stateNumber ?? (() => undefined),
    isDraining: () => draining !== undefined,
    drain: () => void drain(),
  }).catch(async (error: unknown) => {
    await planes.drain(0)
    await planes.end()
    throw error
  })
  return { admin: admin.address, addresses, stopped: stopped.promise, settled: () => planes.settled(), drain }

  async function stop(): Promise<void> {
    log.info('Draining', { live: planes.live })
    const startedAtMs = nowMs()
    stopRecording()
    const cut = await planes.drain(config.drainTimeoutMs)
    log.info('Drained', { cut, durationMs: nowMs() - startedAtMs })
    await planes.end()
    await admin.close()
    stopped.resolve()
  }
  function drain(): Promise<void> {
    draining ??= stop()
    return draining
  }
}

/**
 * Threads that share a port would share it with another program of the same user, too, and with nobody the wiser.
 *
 * @throws NetError NET_ADDRESS_IN_USE and others
 */
async function checkPortsAreFree(config: ProxyConfig, transport: Transport): Promise<void> {
  for (const { listen } of listenersOf(config)) {
    const listener = await transport.listen(listen, (connection) => connection.abort())
    await listener.close()
  }
}
