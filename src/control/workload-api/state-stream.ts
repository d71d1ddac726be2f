import { type DescMessage, type MessageShape, toBinary } from '@bufbuild/protobuf'
import { type ServerWritableStream, status } from '@grpc/grpc-js'
import { equalBytes } from '../../bytes/bytes.ts'
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
export function stateStreamHandler<Schema extends DescMessage>(
  schema: Schema,
  render: (identity: ValidIdentity) => MessageShape<Schema>,
  options: StateStreamOptions,
): (call: ServerWritableStream<unknown, MessageShape<Schema>>) => void {
  return (call) => void new StateStream(call, schema, render, options).run()
}

class StateStream<Schema extends DescMessage> {
  readonly #call: ServerWritableStream<unknown, MessageShape<Schema>>
  readonly #schema: Schema
  readonly #render: (identity: ValidIdentity) => MessageShape<Schema>
  readonly #options: StateStreamOptions
  readonly #cleanups = new DisposableStack()
  /** What was sent last, encoded. */
  #sent: Uint8Array | undefined
  #blocked = false
  #cancelExpiry = (): void => {}

  constructor(
    call: ServerWritableStream<unknown, MessageShape<Schema>>,
    schema: Schema,
    render: (identity: ValidIdentity) => MessageShape<Schema>,
    options: StateStreamOptions,
  ) {
    this.#call = call
    this.#schema = schema
    this.#render = render
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
    const message = this.#render(valid)
    const encoded = toBinary(this.#schema, message)
    if (this.#sent !== undefined && equalBytes(this.#sent, encoded)) return
    this.#sent = encoded
    this.#blocked = !this.#call.write(message)
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
