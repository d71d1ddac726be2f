import { performance } from 'node:perf_hooks'
import type { Address } from '../../config/address.ts'
import { CAPTURE_LISTENERS } from '../../config/capture-config.ts'
import type { CryptoProvider } from '../../crypto/provider.ts'
import { messageOf } from '../../errors.ts'
import type { Listener, Transport } from '../../net/transport.ts'
import { CertificateMemory } from '../../pki/certificate-memory.ts'
import { AccessLog } from '../../telemetry/access-log.ts'
import { encodeFlightLine } from '../../authz/flight/encode.ts'
import { FlightLog } from '../../telemetry/flight-log.ts'
import { HandshakeLog } from '../../telemetry/handshake-log.ts'
import { handshakeSummary } from '../../telemetry/handshake-record.ts'
import { createLogger } from '../../telemetry/log.ts'
import { listenCapturedInbound } from '../capture/captured-inbound.ts'
import { listenCapturedOutbound } from '../capture/captured-outbound.ts'
import { ownPorts } from '../capture/original-destination.ts'
import { OwnAddresses } from '../capture/own-addresses.ts'
import { StaticDirectory } from '../capture/static-directory.ts'
import { decisionIds } from '../decision-ids.ts'
import { ProxyError } from '../errors.ts'
import { HandshakeSlots } from '../handshake-slots.ts'
import { listenInbound } from '../inbound.ts'
import { LiveConnections } from '../live-connections.ts'
import { MetCertificates } from '../met-certificates.ts'
import { MeshViews } from '../mesh-view.ts'
import { listenOutbound } from '../outbound.ts'
import { PeerVerifiers } from '../peer-verifiers.ts'
import type { TlsServices } from '../mutual-tls.ts'
import type { SecureTransport } from '../secure-transport.ts'
import type { ProxyServices } from '../services.ts'
import { ProxyTickets } from '../tickets.ts'
import { countCollections } from './collections.ts'
import { CounterRow, Counters } from './counters.ts'
import { LineSender } from './line-sender.ts'
import type { Answers, FromThread, Question, ThreadOptions, ThreadPort, ToThread } from './messages.ts'
import { pack } from './pack.ts'
import { adoptView } from './pack-view.ts'

/** What a data-plane thread is made of. */
export interface DataPlaneWorld {
  readonly transport: Transport
  /** Makes what secures connections. */
  readonly secure: (tls: TlsServices) => SecureTransport
  readonly crypto: CryptoProvider
  /** Wall clock, in milliseconds since the Unix epoch. */
  readonly nowMs: () => number
  /** Gives back memory that is not used, if there is enough of it; called while nothing is under way. @default does nothing */
  readonly releaseMemory?: () => void
}

/** A data plane at work. */
export interface DataPlane {
  /**
   * Resets everything alive and hears of nothing more: for a thread that is about to end. Its sockets would otherwise end as if
   * in order.
   */
  cut(): void
}

/** How often a thread looks whether it is idle. */
const IDLE_CHECK_MS = 2_000

/** A thread that was busy for less of that time is idle, however many connections rest on it: a stop delays next to nobody. */
const IDLE_UTILIZATION = 0.01

/**
 * Carries traffic and does nothing else: listens, shakes hands, decides, pumps. What it needs to know comes over `port`, ready
 * for use; what it has to tell goes there.
 */
export function runDataPlane(
  port: ThreadPort<FromThread, ToThread>,
  options: ThreadOptions,
  world: DataPlaneWorld,
): DataPlane {
  const { services, lines, flight } = servicesOf(port, options, world)
  const { views, live, log } = services
  const { config } = options
  const listening = listenAll(services, options)
  const newId = services.newId
  const stopCounting = countCollections(services.counters)
  const senders = { log: lines, flight }

  views.onChange((view) => live.rejudge(view))
  const stopWaiting = views.onChange(() => {
    stopWaiting()
    releaseWhenIdle(world.releaseMemory)
  })
  listening.then(
    (listeners) => port.postMessage({ kind: 'listening', addresses: addressesOf(listeners) }),
    (error: unknown) => {
      port.postMessage({ kind: 'not-listening', error: pack(error) })
      port.unref()
    },
  )
  port.on('message', (message) => {
    switch (message.kind) {
      case 'view':
        adopt(message)
        break
      case 'drain':
        void drain()
        break
      case 'end':
        cut()
        port.postMessage({ kind: 'ended' })
        break
      case 'ask':
        void answer(message)
        break
      case 'unfollow':
        services.decisions.follow(undefined)
        break
      case 'taken':
        senders[message.stream].taken()
        break
    }
  })
  return { cut }

  function cut(): void {
    stopCounting()
    live.cutAll(new ProxyError('PROXY_THREAD_FAILED', 'The thread that carried it has ended'))
    services.transport[Symbol.dispose]?.()
  }

  function adopt({ view }: Extract<ToThread, { kind: 'view' }>): void {
    try {
      adoptView(views, view, { newId, crypto: services.tls.crypto })
    } catch (error) {
      log.error('A view of the mesh was refused; the one before stays in force', {
        number: view.number,
        error,
      })
      port.postMessage({ kind: 'refused', number: view.number, reason: messageOf(error) })
      return
    }
    port.postMessage({ kind: 'adopted', number: view.number })
  }

  async function answer({ ask, question }: Extract<ToThread, { kind: 'ask' }>): Promise<void> {
    const answered = question.kind === 'listeners' ? stateOf(await listening) : answerTo(services, question)
    if (question.kind === 'decisions' && question.follow) {
      // What is on its way is in the answer already: it goes before.
      flight.flush()
      services.decisions.follow((line) => flight.write(line))
    }
    port.postMessage({ kind: 'answer', ask, answer: answered })
  }

  async function drain(): Promise<void> {
    await closeAll(await listening)
    const cut = await live.drain(config.drainTimeoutMs)
    lines.flush()
    flight.flush()
    stopCounting()
    port.postMessage({ kind: 'drained', cut })
    // The last sockets linger for their peers to read what they were told.
    port.unref()
  }
}

/** What starting up and a burst of traffic leave behind, V8 would keep. */
function releaseWhenIdle(releaseMemory: (() => void) | undefined): void {
  if (releaseMemory === undefined) return
  let before = performance.eventLoopUtilization()
  setInterval(() => {
    const now = performance.eventLoopUtilization()
    if (performance.eventLoopUtilization(now, before).utilization < IDLE_UTILIZATION) releaseMemory()
    before = performance.eventLoopUtilization()
  }, IDLE_CHECK_MS).unref()
}

function servicesOf(
  port: ThreadPort<FromThread, ToThread>,
  { index, config, counters: memory, ticketSecret }: ThreadOptions,
  { transport, secure, crypto, nowMs }: DataPlaneWorld,
): { readonly services: ProxyServices; readonly lines: LineSender; readonly flight: LineSender } {
  const shared = new Counters(config.threads, memory)
  const counters = new CounterRow(shared, index)
  const lines = new LineSender(port, { stream: 'log', onLost: () => counters.add('lostLines') })
  const flight = new LineSender(port, {
    stream: 'flight',
    onLost: () => counters.add('lostDecisions'),
    lossLine: (count) => encodeFlightLine({ kind: 'lost', count }),
  })
  const certificates = new CertificateMemory()
  const log = createLogger({ level: config.log.level, destination: lines, component: 'proxy' })
  const tickets = config.resumption ? new ProxyTickets(crypto, ticketSecret, certificates) : undefined
  const verifiers = new PeerVerifiers(crypto, certificates)
  const tls = { crypto, nowMs, certificates, verifiers, tickets }
  const services: ProxyServices = {
    transport,
    secure: secure(tls),
    tls,
    met: new MetCertificates((chains) => port.postMessage({ kind: 'met', chains })),
    handshakeTimeoutMs: config.handshakeTimeoutMs,
    views: new MeshViews(),
    live: new LiveConnections(nowMs, (change) => counters.add('live', change)),
    handshakes: new HandshakeLog(() => shared.nextId()),
    handshakeSlots: new HandshakeSlots(Math.ceil(config.limits.handshakes / config.threads), counters),
    maxConnections: Math.ceil(config.limits.connections / config.threads),
    counters,
    decisions: new FlightLog(index),
    access: new AccessLog(log),
    log,
    newId: decisionIds(crypto),
  }
  return { services, lines, flight }
}

/** All listeners or none. @throws NetError */
async function listenAll(
  services: ProxyServices,
  { config }: ThreadOptions,
): Promise<ReadonlyMap<string, Listener>> {
  const listeners = new Map<string, Listener>()
  // Alone, a thread keeps its ports to itself, so that another program on one of them is noticed.
  const sharesPort = config.threads > 1
  try {
    for (const outbound of config.outbound)
      listeners.set(outbound.name, await listenOutbound(services, outbound, { sharesPort }))
    for (const inbound of config.inbound)
      listeners.set(inbound.name, await listenInbound(services, inbound, { sharesPort }))
    if (config.capture !== undefined) {
      const site = { config: config.capture, ports: ownPorts(config), own: new OwnAddresses(), sharesPort }
      const directory = new StaticDirectory(config.capture)
      listeners.set(CAPTURE_LISTENERS.outbound, await listenCapturedOutbound(services, site, directory))
      listeners.set(CAPTURE_LISTENERS.inbound, await listenCapturedInbound(services, site))
    }
    return listeners
  } catch (error) {
    await closeAll(listeners)
    throw error
  }
}

function addressesOf(listeners: ReadonlyMap<string, Listener>): Readonly<Record<string, Address>> {
  return Object.fromEntries(Array.from(listeners, ([name, { address }]) => [name, address]))
}

async function closeAll(listeners: ReadonlyMap<string, Listener>): Promise<void> {
  await Promise.all(Array.from(listeners.values(), (listener) => listener.close()))
}

function stateOf(listeners: ReadonlyMap<string, Listener>): Answers['listeners'] {
  return Object.fromEntries(Array.from(listeners, ([name, { open, refused }]) => [name, { open, refused }]))
}

function answerTo(
  { handshakes, decisions }: ProxyServices,
  question: Exclude<Question, { kind: 'listeners' }>,
): unknown {
  switch (question.kind) {
    case 'handshakes':
      return handshakes.records.map(handshakeSummary)
    case 'handshake': {
      const record = handshakes.find(question.id)
      if (record === undefined) return undefined
      const { id, origin, events, stepsKept, session, error } = record
      return pack({ id, origin, events, stepsKept, session, error })
    }
    case 'decisions':
      return decisions.list()
    case 'decision':
      return decisions.find(question.id)
  }
}
