import type { Address } from '../../config/address.ts'
import { Backoff } from '../../control/backoff.ts'
import { messageOf } from '../../errors.ts'
import type { Logger } from '../../telemetry/log.ts'
import { ProxyError } from '../errors.ts'
import type { MetChain } from '../met-certificates.ts'
import type { MeshView } from '../mesh-view.ts'
import type { FromThread, LineStream, Question, ThreadOptions, ThreadPort, ToThread } from './messages.ts'
import { unpack } from './pack.ts'
import { ViewPacker } from './pack-view.ts'

/** A thread that was started. */
export interface Thread {
  readonly port: ThreadPort<ToThread, FromThread>
  /** Resolves once it has ended, with what ended it. */
  readonly ended: Promise<unknown>
  /** Ends it at once. */
  terminate(): Promise<void>
}

/** Starts a thread that runs a data plane. */
export type StartThread = (options: ThreadOptions) => Thread

/** A view with its number. */
export interface NumberedView {
  readonly number: number
  readonly view: MeshView
}

export interface ThreadSlotOptions {
  readonly start: (addresses: Readonly<Record<string, Address>> | undefined) => Thread
  /** What a thread that has just begun to listen is given first. */
  readonly newest: () => NumberedView | undefined
  readonly onLines: (stream: LineStream, text: string) => void
  /** Called when a thread has begun to listen, also when it was started anew. @default nothing happens */
  readonly onListening?: () => void
  /** Takes certificates that the thread has met. */
  readonly onMet: (chains: readonly MetChain[]) => void
  /** Called when a thread has ended that should not have. */
  readonly onDied: () => void
  readonly log: Logger
  readonly random: () => number
}

/** What an operator sees of a thread. */
export interface ThreadStatus {
  readonly state: 'starting' | 'running' | 'waiting' | 'stopped'
  /** The number of the view that it works with. */
  readonly view: number | undefined
  readonly restarts: number
  readonly lastFailure: string | undefined
}

/** A first delay short enough that peers' retries meet the new thread; a thread that dies at once is not started in a loop. */
const RESTART_BASE_MS = 100
const RESTART_MAX_MS = 10_000

/** A thread that has run so long counts as sound again. */
const SOUND_MS = 60_000

/** A thread that has not taken a view by then is stuck. */
const ADOPT_TIMEOUT_MS = 5_000

/** Beyond the time that connections have to finish: what a thread needs to cut the rest and say so. */
const DRAIN_GRACE_MS = 2_000

/** Connections that we have ended stay so long at most, for their peers to read the last words (net/engine-connection.ts). */
const LINGER_MS = 1_500

/** How long a thread may take to let go of everything. */
const END_MS = 500

/** How long a thread may take to answer an operator. */
const ANSWER_TIMEOUT_MS = 2_000

/** The place of one data-plane thread: starts it, starts it anew when it dies, and keeps it up to date. */
export class ThreadSlot {
  readonly #options: ThreadSlotOptions
  readonly #backoff: Backoff
  #thread: Thread | undefined
  #packer = new ViewPacker()
  #state: ThreadStatus['state'] = 'starting'
  #view: number | undefined
  #restarts = 0
  #lastFailure: string | undefined
  #addresses: Readonly<Record<string, Address>> | undefined
  #startedMs = 0
  #restartTimer: NodeJS.Timeout | undefined
  #asks = 0
  readonly #adopting = new Map<number, PromiseWithResolvers<void>>()
  readonly #asking = new Map<number, PromiseWithResolvers<unknown>>()
  readonly #drained = Promise.withResolvers<number>()
  readonly #over = Promise.withResolvers<void>()

  constructor(options: ThreadSlotOptions) {
    this.#options = options
    this.#backoff = new Backoff({ random: options.random, baseMs: RESTART_BASE_MS, maxMs: RESTART_MAX_MS })
  }

  get status(): ThreadStatus {
    return {
      state: this.#state,
      view: this.#view,
      restarts: this.#restarts,
      lastFailure: this.#lastFailure,
    }
  }

  /**
   * Starts the first thread; later ones are started by themselves.
   *
   * @param addresses where it listens, if that is settled already. @default as configured
   * @returns where it listens
   * @throws NetError when an address cannot be listened on
   */
  start(addresses?: Readonly<Record<string, Address>>): Promise<Readonly<Record<string, Address>>> {
    this.#addresses = addresses
    return this.#run()
  }

  /**
   * Sends a view.
   *
   * @returns when the thread has put it to use, or has ended: the next one begins with the newest
   * @throws ProxyError PROXY_VIEW_REFUSED
   */
  publish({ number, view }: NumberedView): Promise<void> {
    if (this.#state !== 'running') return Promise.resolve()
    const adopting = Promise.withResolvers<void>()
    this.#adopting.set(number, adopting)
    this.#thread!.port.postMessage({ kind: 'view', view: this.#packer.pack(number, view) })
    const timer = setTimeout(
      () => this.#refused(number, `it was not taken within ${ADOPT_TIMEOUT_MS} ms`),
      ADOPT_TIMEOUT_MS,
    )
    return adopting.promise.finally(() => clearTimeout(timer))
  }

  /** Asks the thread; undefined when there is none that answers. */
  async ask(question: Question): Promise<unknown> {
    if (this.#state !== 'running') return undefined
    const ask = this.#asks++
    const asking = Promise.withResolvers<unknown>()
    this.#asking.set(ask, asking)
    const timer = setTimeout(() => asking.resolve(undefined), ANSWER_TIMEOUT_MS)
    this.#thread!.port.postMessage({ kind: 'ask', ask, question })
    try {
      return await asking.promise
    } finally {
      clearTimeout(timer)
      this.#asking.delete(ask)
    }
  }

  /** Nobody follows the flight log any more. */
  unfollow(): void {
    if (this.#state === 'running') this.#thread!.port.postMessage({ kind: 'unfollow' })
  }

  /**
   * Lets the thread finish; it is not started anew from here on.
   *
   * @returns how many connections were cut
   */
  async drain(timeoutMs: number): Promise<number> {
    clearTimeout(this.#restartTimer)
    const wasRunning = this.#state === 'running'
    this.#state = 'stopped'
    if (!wasRunning) return 0
    this.#thread!.port.postMessage({ kind: 'drain' })
    const timer = setTimeout(() => this.#drained.resolve(0), timeoutMs + DRAIN_GRACE_MS)
    const cut = await this.#drained.promise
    clearTimeout(timer)
    return cut
  }

  /** After draining: waits for the last sockets to close, and ends the thread if it has not ended by itself. */
  async end(): Promise<void> {
    const thread = this.#thread
    if (thread === undefined) return
    if (await within(thread.ended, LINGER_MS)) return
    // In order, for native code must not call into a thread that is terminated.
    thread.port.postMessage({ kind: 'end' })
    await within(this.#over.promise, END_MS)
    await thread.terminate()
  }

  #run(): Promise<Readonly<Record<string, Address>>> {
    const listening = Promise.withResolvers<Readonly<Record<string, Address>>>()
    const thread = this.#options.start(this.#addresses)
    this.#thread = thread
    this.#state = 'starting'
    this.#startedMs = performance.now()
    this.#packer = new ViewPacker()
    thread.port.on('message', (message) => {
      if (thread !== this.#thread) return
      if (message.kind === 'listening') {
        this.#listens(message.addresses)
        listening.resolve(message.addresses)
      } else if (message.kind === 'not-listening') {
        listening.reject(unpack(message.error))
      } else {
        this.#heard(message)
      }
    })
    void this.#watch(thread, listening)
    return listening.promise
  }

  async #watch(thread: Thread, listening: Pick<PromiseWithResolvers<never>, 'reject'>): Promise<void> {
    const cause = await thread.ended
    listening.reject(cause)
    if (thread === this.#thread) this.#ended(cause)
  }

  #listens(addresses: Readonly<Record<string, Address>>): void {
    if (this.#state !== 'starting') return
    this.#state = 'running'
    this.#addresses = addresses
    const newest = this.#options.newest()
    // Nobody waits for this one; a refusal is in the log of the thread.
    if (newest !== undefined) this.publish(newest).catch(() => {})
    this.#options.onListening?.()
  }

  #heard(message: Exclude<FromThread, { kind: 'listening' | 'not-listening' }>): void {
    switch (message.kind) {
      case 'adopted':
        this.#view = message.number
        this.#adopting.get(message.number)?.resolve()
        this.#adopting.delete(message.number)
        break
      case 'refused':
        this.#refused(message.number, message.reason)
        break
      case 'lines':
        this.#options.onLines(message.stream, message.text)
        this.#thread?.port.postMessage({ kind: 'taken', stream: message.stream })
        break
      case 'answer':
        this.#asking.get(message.ask)?.resolve(message.answer)
        break
      case 'met':
        this.#options.onMet(message.chains)
        break
      case 'drained':
        this.#drained.resolve(message.cut)
        break
      case 'ended':
        this.#over.resolve()
        break
    }
  }

  #refused(number: number, reason: string): void {
    // What the thread has is no longer known, so it is sent the next view whole.
    this.#packer = new ViewPacker()
    const error = new ProxyError(
      'PROXY_VIEW_REFUSED',
      `A data-plane thread refused view ${number}: ${reason}`,
    )
    this.#adopting.get(number)?.reject(error)
    this.#adopting.delete(number)
  }

  #ended(cause: unknown): void {
    for (const { resolve } of this.#adopting.values()) resolve()
    for (const { resolve } of this.#asking.values()) resolve(undefined)
    this.#adopting.clear()
    this.#drained.resolve(0)
    const wasRunning = this.#state === 'running'
    this.#view = undefined
    this.#thread = undefined
    if (this.#state === 'stopped') return
    this.#state = 'waiting'
    this.#lastFailure = messageOf(cause)
    this.#options.onDied()
    // The very first start is for whoever called it to judge.
    if (!wasRunning && this.#addresses === undefined) return
    if (performance.now() - this.#startedMs > SOUND_MS) this.#backoff.reset()
    const retryInMs = this.#backoff.next()
    this.#options.log.error('A data-plane thread died; its connections were cut', {
      error: cause,
      retryInMs: Math.round(retryInMs),
    })
    this.#restartTimer = setTimeout(() => this.#restart(), retryInMs)
  }

  #restart(): void {
    this.#restarts++
    this.#run().then(
      () => this.#options.log.info('A data-plane thread was started anew', { restarts: this.#restarts }),
      (error: unknown) => {
        this.#options.log.error('A data-plane thread could not be started anew', { error })
        void this.#thread?.terminate()
      },
    )
  }
}

/** Whether something happens in time. */
async function within(event: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  const late = Promise.withResolvers<false>()
  const timer = setTimeout(() => late.resolve(false), timeoutMs)
  try {
    return await Promise.race([event.then(() => true), late.promise])
  } finally {
    clearTimeout(timer)
  }
}
