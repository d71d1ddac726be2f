import { create, type MessageInitShape } from '@bufbuild/protobuf'
import type { Client, ServiceError } from '@grpc/grpc-js'
import { messageOf } from '../errors.ts'
import { Backoff } from './backoff.ts'
import { ControlError } from './errors.ts'
import {
  type Snapshot,
  type SnapshotRequest,
  SnapshotRequestSchema,
  SnapshotService,
} from './gen/handfast_pb.ts'
import { methodDefinition } from './grpc-service.ts'
import { controlErrorOf } from './grpc-status.ts'
import type { StateVersion, VersionedState } from './mesh-state.ts'
import type { ReplicaChoice } from './replica-choice.ts'
import type { SecureChannelCredentials } from './secure-channel.ts'
import { decodeSnapshot, decodeVersion } from './message-codec.ts'
import type { Timers } from './timers.ts'

const STREAM_SNAPSHOTS = methodDefinition(SnapshotService.method.streamSnapshots)

/** What a subscription tells the log. */
export type SubscriptionEvent =
  | { readonly kind: 'applied'; readonly version: StateVersion }
  | { readonly kind: 'refused'; readonly version: StateVersion; readonly error: unknown }
  | { readonly kind: 'disconnected'; readonly error: ControlError; readonly retryInMs: number }

export interface SubscribeOptions {
  /** What this process calls itself, such as its host's name. */
  readonly node: string
  /** Puts a state to use, whole; what it throws is the reason for refusing it, and the state before stays. */
  readonly apply: (state: VersionedState) => void | Promise<void>
  readonly onEvent?: (event: SubscriptionEvent) => void
}

interface Channel {
  readonly client: Client
  readonly credentials: SecureChannelCredentials
  /** Which replica it leads to. */
  readonly address: string
}

interface SubscriptionOptions extends SubscribeOptions {
  readonly connect: () => Channel
  readonly replicas: ReplicaChoice
  readonly timers: Timers
  readonly random: () => number
}

/** Follows the controller's state and never gives up; what was applied last stays while the controller is away. */
export class SnapshotSubscription implements Disposable {
  readonly #options: SubscriptionOptions
  readonly #backoff: Backoff
  #applied: StateVersion | undefined
  /** Since a state has come. */
  #failures = 0
  #applying: Promise<unknown> = Promise.resolve()
  #hangUp = (): void => {}
  #cancelRetry = (): void => {}
  #disposed = false

  constructor(options: SubscriptionOptions) {
    this.#options = options
    this.#backoff = new Backoff({ random: options.random })
    this.#connect()
  }

  /** The state that was applied last. */
  get applied(): StateVersion | undefined {
    return this.#applied
  }

  /** Leaves the stream if there is one, and begins another, for which our newest certificate is shown. */
  reconnect(): void {
    if (this.#disposed) return
    this.#hangUp()
    this.#cancelRetry()
    this.#connect()
  }

  [Symbol.dispose](): void {
    this.#disposed = true
    this.#hangUp()
    this.#cancelRetry()
  }

  #connect(): void {
    const { connect, replicas, node } = this.#options
    const { client, credentials, address } = connect()
    const stream = client.makeBidiStreamRequest(
      STREAM_SNAPSHOTS.path,
      STREAM_SNAPSHOTS.requestSerialize,
      STREAM_SNAPSHOTS.responseDeserialize,
    )
    let over = false
    const end = (): boolean => {
      if (over) return false
      over = true
      stream.cancel()
      client.close()
      return true
    }
    const failed = (error: ControlError): void => {
      if (!end()) return
      replicas.leave(address)
      this.#retry(error)
    }
    this.#hangUp = end

    stream.on('error', (error: ServiceError) => failed(controlErrorOf(error, credentials.lastError)))
    stream.on('end', () => failed(new ControlError('CONTROL_UNAVAILABLE', 'The controller ended the stream')))
    stream.on('data', (snapshot: Snapshot) => void answerInTurn(snapshot))
    const answerInTurn = async (snapshot: Snapshot): Promise<void> => {
      try {
        const answer = await this.#answer(snapshot)
        if (!over) stream.write(answer)
      } catch (error) {
        const reason = `A snapshot is not readable: ${messageOf(error)}`
        failed(new ControlError('CONTROL_PROTOCOL', reason, { cause: error }))
      }
    }
    stream.write(
      request({
        case: 'subscribe',
        value: { node, ...(this.#applied !== undefined && { current: this.#applied }) },
      }),
    )
  }

  /** One at a time, also across a change of streams, so that states are applied in the order in which they came. */
  #answer(snapshot: Snapshot): Promise<SnapshotRequest> {
    const answer = this.#applying.then(() => this.#apply(snapshot))
    this.#applying = answer.catch(() => {})
    return answer
  }

  async #apply(snapshot: Snapshot): Promise<SnapshotRequest> {
    const version = decodeVersion(snapshot)
    this.#backoff.reset()
    this.#failures = 0
    try {
      await this.#options.apply(decodeSnapshot(snapshot, version))
    } catch (error) {
      this.#options.onEvent?.({ kind: 'refused', version, error })
      return request({ case: 'nack', value: { version, reason: messageOf(error) } })
    }
    this.#applied = version
    this.#options.onEvent?.({ kind: 'applied', version })
    return request({ case: 'ack', value: { version } })
  }

  #retry(error: ControlError): void {
    if (this.#disposed) return
    const { replicas } = this.#options
    const retryInMs = replicas.retryDelayMs(++this.#failures, this.#backoff)
    this.#cancelRetry = this.#options.timers.after(retryInMs, () => this.#connect())
    this.#options.onEvent?.({ kind: 'disconnected', error, retryInMs })
  }
}

function request(kind: NonNullable<MessageInitShape<typeof SnapshotRequestSchema>['kind']>): SnapshotRequest {
  return create(SnapshotRequestSchema, { kind })
}
