import type { Address } from '../config/address.ts'
import type { ProxyConfig } from '../config/proxy-config.ts'
import type { CryptoProvider } from '../crypto/provider.ts'
import type { Listener, Transport } from '../net/transport.ts'
import { AccessLog } from '../telemetry/access-log.ts'
import { DecisionLog } from '../telemetry/decision-log.ts'
import { HandshakeLog } from '../telemetry/handshake-log.ts'
import type { Logger } from '../telemetry/log.ts'
import { listenAdmin } from './admin.ts'
import { listenInbound } from './inbound.ts'
import { LiveConnections } from './live-connections.ts'
import type { MeshViews } from './mesh-view.ts'
import { listenOutbound } from './outbound.ts'
import type { ProxyServices } from './services.ts'

export interface ProxyOptions {
  readonly config: ProxyConfig
  readonly transport: Transport
  readonly crypto: CryptoProvider
  /** Wall clock, in milliseconds since the Unix epoch. */
  readonly nowMs: () => number
  /** Where identity and policy are published; nothing passes before both are there. */
  readonly views: MeshViews
  readonly log: Logger
  /** A new decision id, for refusals without a decision. */
  readonly newId: () => string
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
  /** Stops accepting, lets what is under way finish within the configured time, and cuts the rest. */
  drain(): Promise<void>
}

/** The bytes of an id: enough that ids never meet and cannot be guessed. */
const ID_BYTES = 10

/** Makes decision ids. */
export function decisionIds(crypto: Pick<CryptoProvider, 'random'>): () => string {
  return () => crypto.random(ID_BYTES).toHex()
}

/**
 * Opens all listeners of a configuration, or none.
 *
 * Listening begins before there is an identity, so that an address in use is found at once; until identity and
 * policy are there, every connection is refused.
 *
 * @throws NetError when an address cannot be listened on
 */
export async function startProxy(options: ProxyOptions): Promise<RunningProxy> {
  const { config, views, log, nowMs, stateNumber = () => undefined } = options
  const services = servicesOf(options)
  const { live } = services
  const addresses: Record<string, Address> = {}
  const stopped = Promise.withResolvers<void>()
  const listeners: Listener[] = []
  const stopRejudging = views.onChange((view) => live.rejudge(view))
  let draining: Promise<void> | undefined

  try {
    for (const outbound of config.outbound) await open(outbound.name, listenOutbound(services, outbound))
    for (const inbound of config.inbound) await open(inbound.name, listenInbound(services, inbound))
    const admin = await listenAdmin({
      services,
      config,
      addresses: () => addresses,
      stateNumber,
      drain: () => void drain(),
    })
    return {
      admin: admin.address,
      addresses,
      stopped: stopped.promise,
      drain,
    }

    async function stop(): Promise<void> {
      log.info('Draining', { live: live.size })
      const startedAtMs = nowMs()
      await Promise.all(listeners.map((listener) => listener.close()))
      const cut = await live.drain(config.drainTimeoutMs)
      stopRejudging()
      await admin.close()
      log.info('Drained', { cut, durationMs: nowMs() - startedAtMs })
      stopped.resolve()
    }
    function drain(): Promise<void> {
      draining ??= stop()
      return draining
    }
  } catch (error) {
    stopRejudging()
    await Promise.all(listeners.map((listener) => listener.close()))
    throw error
  }

  async function open(name: string, opening: Promise<Listener>): Promise<void> {
    const listener = await opening
    listeners.push(listener)
    addresses[name] = listener.address
  }
}

function servicesOf({ config, transport, crypto, nowMs, views, log, newId }: ProxyOptions): ProxyServices {
  return {
    transport,
    tls: { crypto, nowMs },
    handshakeTimeoutMs: config.handshakeTimeoutMs,
    views,
    live: new LiveConnections(nowMs),
    handshakes: new HandshakeLog(),
    decisions: new DecisionLog(),
    access: new AccessLog(log),
    log,
    newId,
  }
}
