import type { Address } from '../../config/address.ts'
import { CAPTURE_LISTENERS } from '../../config/capture-config.ts'
import type { ProxyConfig } from '../../config/proxy-config.ts'
import type { CryptoProvider } from '../../crypto/provider.ts'
import { messageOf } from '../../errors.ts'
import type { HandshakeFacts } from '../../telemetry/handshake-record.ts'
import type { Logger } from '../../telemetry/log.ts'
import type { FlightDecision } from '../../authz/flight/flight-line.ts'
import type { FoundDecision } from '../../telemetry/flight-log.ts'
import type { Json } from '../../telemetry/plain-json.ts'
import type { MetChain } from '../met-certificates.ts'
import type { MeshView, MeshViews } from '../mesh-view.ts'
import { TICKET_SECRET_BYTES } from '../tickets.ts'
import { Counters, type CounterName } from './counters.ts'
import { FlightFollowers } from './flight-followers.ts'
import type { Answers, Question } from './messages.ts'
import { unpack } from './pack.ts'
import { ThreadSlot, type NumberedView, type StartThread, type ThreadStatus } from './thread-slot.ts'

export interface DataPlanesOptions {
  readonly config: ProxyConfig
  readonly startThread: StartThread
  /** What the threads are to know. */
  readonly views: MeshViews
  readonly log: Logger
  /** Takes the threads' lines of the log, whole ones. */
  readonly onLines: (text: string) => void
  /** Told of every view that all threads work by, and of every one that was refused. @default nobody */
  readonly onSettled?: (view: MeshView, refused?: string) => void
  /** Takes certificates that threads have met, each thread for itself. @default nobody wants to know */
  readonly onMet?: ((chains: readonly MetChain[]) => void) | undefined
  /** Uniform in [0, 1). */
  readonly random: () => number
  readonly crypto: CryptoProvider
}

/** One data-plane thread as an operator sees it. */
export interface ThreadReport extends ThreadStatus {
  readonly index: number
  readonly counters: Readonly<Record<CounterName, number>>
  /** Undefined when the thread does not answer. */
  readonly listeners: Answers['listeners'] | undefined
}

/**
 * The threads that carry traffic, seen from the main thread: what is published to them, asked of them, and when they end.
 * Traffic never waits for anything here.
 */
export class DataPlanes {
  readonly #options: DataPlanesOptions
  readonly #counters: Counters
  readonly #slots: readonly ThreadSlot[]
  readonly #stopFollowing: () => void
  /** Those who follow the flight log of all threads. */
  readonly followers: FlightFollowers = new FlightFollowers(() => this.#slots)
  #numbers = 0
  #newest: NumberedView | undefined
  /** The newest that a thread has put to use. */
  #good: NumberedView | undefined
  #publishing: Promise<void> = Promise.resolve()

  constructor(options: DataPlanesOptions) {
    this.#options = options
    const { config, startThread, log, onLines, onMet = () => {}, random, views, crypto } = options
    this.#counters = new Counters(config.threads)
    const ticketSecret = crypto.random(TICKET_SECRET_BYTES)
    this.#slots = Array.from(
      { length: config.threads },
      (_, index) =>
        new ThreadSlot({
          start: (addresses) =>
            startThread({
              index,
              config: addresses === undefined ? config : listeningAt(config, addresses),
              counters: this.#counters.memory,
              ticketSecret,
            }),
          newest: () => this.#newest,
          onLines: (stream, text) => (stream === 'log' ? onLines(text) : this.followers.take(index, text)),
          onListening: () => this.followers.started(index),
          onMet,
          onDied: () => this.#counters.clearGauges(index),
          log: log.child({ thread: index }),
          random,
        }),
    )
    this.#stopFollowing = views.onChange((view) => this.#publish(view))
    if (views.current !== undefined) this.#publish(views.current)
  }

  /**
   * Starts all threads.
   *
   * @returns where they listen, by the names in the configuration
   * @throws NetError when an address cannot be listened on
   */
  async start(): Promise<Readonly<Record<string, Address>>> {
    const [first, ...others] = this.#slots
    try {
      const addresses = await first!.start()
      await Promise.all(others.map((slot) => slot.start(addresses)))
      return addresses
    } catch (error) {
      await this.drain(0)
      await this.end()
      throw error
    }
  }

  /**
   * Resolves when all threads have put to use what has been published so far.
   *
   * @throws ProxyError PROXY_VIEW_REFUSED
   */
  async settled(): Promise<void> {
    await this.#publishing
  }

  /** Every thread, also one that does not answer. */
  threads(): Promise<readonly ThreadReport[]> {
    return Promise.all(
      this.#slots.map(async (slot, index) => {
        const listeners = (await slot.ask({ kind: 'listeners' })) as ThreadReport['listeners']
        return { index, ...slot.status, counters: this.#counters.of(index), listeners }
      }),
    )
  }

  /** Whether any thread takes traffic, with a view of the mesh. */
  get isServing(): boolean {
    return this.#slots.some(({ status }) => status.state === 'running' && status.view !== undefined)
  }

  /** Everything alive in all threads. */
  get live(): number {
    return this.#slots.reduce((sum, _, index) => sum + this.#counters.read(index, 'live'), 0)
  }

  /** Summaries of the handshakes that are kept, oldest first. */
  async handshakes(): Promise<readonly Json[]> {
    const lists = await this.#askAll('handshakes', { kind: 'handshakes' })
    return lists.flat().sort((a, b) => a.id - b.id)
  }

  async handshake(id: number): Promise<HandshakeFacts | undefined> {
    const [found] = await this.#askAll('handshake', { kind: 'handshake', id })
    return found === undefined ? undefined : (unpack(found) as HandshakeFacts)
  }

  /** Oldest first. */
  async decisions(): Promise<readonly FlightDecision[]> {
    const lists = await this.#askAll('decisions', { kind: 'decisions' })
    return lists.flat().sort((a, b) => a.atMs - b.atMs)
  }

  async decision(id: string): Promise<FoundDecision | undefined> {
    const [found] = await this.#askAll('decision', { kind: 'decision', id })
    return found
  }

  /**
   * Stops accepting everywhere and lets what is under way finish within `timeoutMs`.
   *
   * @returns how many connections were cut
   */
  async drain(timeoutMs: number): Promise<number> {
    this.#stopFollowing()
    const cut = await Promise.all(this.#slots.map((slot) => slot.drain(timeoutMs)))
    return cut.reduce((sum, count) => sum + count, 0)
  }

  /** After draining: resolves when all threads have ended. */
  async end(): Promise<void> {
    await Promise.all(this.#slots.map((slot) => slot.end()))
  }

  #publish(view: MeshView): void {
    const numbered = { number: ++this.#numbers, view }
    this.#newest = numbered
    // Threads take views in order, so that whoever waits for the newest has waited for all.
    this.#publishing = this.#publishTo(numbered)
    this.#publishing.catch(() => {})
  }

  async #publishTo(numbered: NumberedView): Promise<void> {
    try {
      await Promise.all(this.#slots.map((slot) => slot.publish(numbered)))
      this.#good = numbered
      this.#options.onSettled?.(numbered.view)
    } catch (error) {
      this.#options.onSettled?.(numbered.view, messageOf(error))
      // A thread that is started anew must not meet it again.
      if (this.#newest === numbered) this.#newest = this.#good
      this.#options.log.error('A change was refused; what was before stays in force', { error })
      throw error
    }
  }

  async #askAll<Kind extends Question['kind']>(
    _kind: Kind,
    question: Extract<Question, { kind: Kind }>,
  ): Promise<NonNullable<Answers[Kind]>[]> {
    const answers = await Promise.all(this.#slots.map((slot) => slot.ask(question)))
    return answers.filter((answer) => answer !== undefined) as NonNullable<Answers[Kind]>[]
  }
}

/** The configuration with the ports that were chosen where any was asked for. */
function listeningAt(config: ProxyConfig, addresses: Readonly<Record<string, Address>>): ProxyConfig {
  const settled = <Entry extends { readonly name: string; readonly listen: Address }>(
    listener: Entry,
  ): Entry => ({
    ...listener,
    listen: addresses[listener.name] ?? listener.listen,
  })
  const { capture } = config
  return {
    ...config,
    outbound: config.outbound.map(settled),
    inbound: config.inbound.map(settled),
    ...(capture && {
      capture: {
        ...capture,
        outbound: settled({ ...capture.outbound, name: CAPTURE_LISTENERS.outbound }),
        inbound: settled({ ...capture.inbound, name: CAPTURE_LISTENERS.inbound }),
      },
    }),
  }
}
