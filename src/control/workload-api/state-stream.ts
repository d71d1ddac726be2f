import { type ServerWritableStream, status } from '@grpc/grpc-js'
import type { Timers } from '../timers.ts'
import {
  currentIdentity,
  identityWithin,
  type ValidIdentity,
  type WorkloadIdentity,
} from './identity-feed.ts'

export interface StateStreamOptions {
  readonly identity: WorkloadIdentity
  readonly timers: Timers
  /** Aborts when the proxy stops. */
  readonly closing: AbortSignal
}

/** setTimeout takes no more; a later end is checked again after it. */
const MAX_TIMER_MS = 2 ** 31 - 1

/**
 * Answers a call with a stream of states: the present one at once, then each that differs. A slow reader is given only the
 * newest. Ends with UNAVAILABLE when there is no valid identity, or no more: what a caller holds is then of no use to it.
 */
export function stateStreamHandler<Message>(
  { render, differ }: StateRendering<Message>,
  options: StateStreamOptions,
): (call: ServerWritableStream<unknown, Message>) => void {
  return (call) => void new StateStream(call, { render, differ }, options).run()
}

/** How a state is sent. */
export interface StateRendering<Message> {
  readonly render: (identity: ValidIdentity) => Message
  /** Whether two states are rendered differently. Messages are not kept to be compared: there are keys in them. */
  readonly differ: (one: ValidIdentity, other: ValidIdentity) => boolean
}

class StateStream<Message> {
  readonly #call: ServerWritableStream<unknown, Message>
  readonly #rendering: StateRendering<Message>
  readonly #options: StateStreamOptions
  readonly #cleanups = new DisposableStack()
  #sent: ValidIdentity | undefined
  #blocked = false
  #cancelExpiry = (): void => {}

  constructor(
    call: ServerWritableStream<unknown, Message>,
    rendering: StateRendering<Message>,
    options: StateStreamOptions,
  ) {
    this.#call = call
    this.#rendering = rendering
    this.#options = options
  }

  async run(): Promise<void> {
    const { identity, timers, closing } = this.#options
    const call = this.#call
    const end = (): void => this.#cleanups.dispose()
    call.on('cancelled', end)
    call.on('error', end)
    call.on('drain', () => {
      this.#blocked = false
      this.#send()
    })
    const onClosing = (): void => this.#fail('The proxy is stopping')
    closing.addEventListener('abort', onClosing)
    this.#cleanups.defer(() => closing.removeEventListener('abort', onClosing))
    this.#cleanups.defer(() => this.#cancelExpiry())
    if (closing.aborted) return onClosing()
    await identityWithin(identity, timers)
    if (this.#cleanups.disposed) return
    this.#cleanups.defer(identity.onChange(() => this.#send()))
    this.#send()
  }

  #send(): void {
    if (this.#cleanups.disposed || this.#blocked) return
    const { identity, timers } = this.#options
    const valid = currentIdentity(identity, timers)
    if (valid === undefined) return this.#fail('There is no valid identity at present')
    this.#watchExpiry(valid.svid.expiresAtMs)
    const { render, differ } = this.#rendering
    if (this.#sent !== undefined && !differ(this.#sent, valid)) return
    this.#sent = valid
    this.#blocked = !this.#call.write(render(valid))
  }

  #watchExpiry(expiresAtMs: number): void {
    const { timers } = this.#options
    this.#cancelExpiry()
    const leftMs = expiresAtMs - timers.nowMs()
    this.#cancelExpiry = timers.after(Math.min(leftMs, MAX_TIMER_MS), () => this.#send())
  }

  #fail(details: string): void {
    if (this.#cleanups.disposed) return
    this.#cleanups.dispose()
    this.#call.emit('error', { code: status.UNAVAILABLE, details })
  }
}
