import type { ServerDuplexStream } from '@grpc/grpc-js'
import { CaError } from '../ca/errors.ts'
import { messageOf } from '../errors.ts'
import type { Logger } from '../telemetry/log.ts'
import { type ConnectionPeer, peerOf } from './connection-peer.ts'
import { ControlError } from './errors.ts'
import type { Revocations } from '../identity/revocations.ts'
import type { Snapshot, SnapshotRequest, SnapshotVersion, Subscribe } from './gen/handfast_pb.ts'
import { statusOf } from './grpc-status.ts'
import { sameVersion, type StateVersion } from './mesh-state.ts'
import { encodeSnapshot } from './message-codec.ts'
import type { BoardPlace, SnapshotBoard } from './snapshot-board.ts'
import type { Timers } from './timers.ts'

/** A subscriber that takes longer to answer a snapshot is stuck: it is cut off and comes back. */
const ANSWER_TIMEOUT_MS = 60_000

/** A DNS name's length; longer is no name of a node. */
const MAX_NODE_CHARS = 253

/** What is kept of the reason for a refusal. */
const MAX_REASON_CHARS = 1024

/** setTimeout takes no more; a longer wait is checked again after it. */
const MAX_TIMER_MS = 2 ** 31 - 1

export interface SnapshotServiceOptions {
  readonly board: SnapshotBoard
  readonly timers: Timers
  readonly log: Logger
  /** Aborts when the server closes: subscribers are sent away, to come back to the next. */
  readonly closing: AbortSignal
}

type SnapshotCall = ServerDuplexStream<SnapshotRequest, Snapshot>

/** Answers StreamSnapshots. Ends a stream when the certificate that opened it does. */
export function snapshotHandler(options: SnapshotServiceOptions): (call: SnapshotCall) => void {
  return (call) => {
    const peer = peerOf(call)
    if (peer === undefined) {
      call.emit('error', statusOf(new CaError('CA_NO_EVIDENCE', 'Snapshots need a client certificate')))
      return
    }
    new SnapshotStream(call, peer, options).start()
  }
}

/**
 * One subscriber. At most one snapshot is on its way to it without an answer: a slow one costs no memory, and gets
 * the newest state next.
 */
class SnapshotStream {
  readonly #call: SnapshotCall
  readonly #peer: ConnectionPeer
  readonly #board: SnapshotBoard
  readonly #timers: Timers
  readonly #closing: AbortSignal
  readonly #onClosing = (): void =>
    this.#fail(new ControlError('CONTROL_UNAVAILABLE', 'The controller is going away'))
  #log: Logger
  #place: BoardPlace | undefined
  /** What was sent and waits for an answer. */
  #unanswered: StateVersion | undefined
  /** The last that was answered, either way. */
  #answered: StateVersion | undefined
  #cancelAnswerTimer = (): void => {}
  #cancelExpiryTimer = (): void => {}
  /** The list by which the subscriber was found not to be revoked. */
  #judgedBy: Revocations | undefined
  #over = false

  constructor(
    call: SnapshotCall,
    peer: ConnectionPeer,
    { board, timers, log, closing }: SnapshotServiceOptions,
  ) {
    this.#closing = closing
    this.#call = call
    this.#peer = peer
    this.#board = board
    this.#timers = timers
    this.#log = log.child({ peer: peer.id.toString() })
  }

  start(): void {
    this.#call.on('data', (request: SnapshotRequest) => this.#receive(request))
    this.#call.on('end', () => {
      if (this.#finish('the proxy left')) this.#call.end()
    })
    this.#call.on('cancelled', () => this.#finish('the connection ended'))
    this.#call.on('error', (error: unknown) => this.#finish(messageOf(error)))
    this.#watchExpiry()
    this.#closing.addEventListener('abort', this.#onClosing)
    if (this.#closing.aborted) this.#onClosing()
  }

  #receive({ kind }: SnapshotRequest): void {
    if (this.#over) return
    switch (kind.case) {
      case 'subscribe':
        return this.#subscribe(kind.value)
      case 'ack':
        return this.#acknowledge(kind.value.version)
      case 'nack':
        return this.#refuse(kind.value.version, kind.value.reason.slice(0, MAX_REASON_CHARS))
      case undefined:
        return this.#fail(new ControlError('CONTROL_PROTOCOL', 'A snapshot request of an unknown kind came'))
    }
  }

  #subscribe({ node, current }: Subscribe): void {
    if (this.#place !== undefined)
      return this.#fail(new ControlError('CONTROL_PROTOCOL', 'A second subscription came on one stream'))
    if (node === '' || node.length > MAX_NODE_CHARS)
      return this.#fail(new ControlError('CONTROL_PROTOCOL', `The node's name has ${node.length} characters`))
    this.#log = this.#log.child({ node })
    this.#place = this.#board.subscribe({
      peer: this.#peer,
      node,
      connectedAtMs: this.#timers.nowMs(),
      changed: () => this.#sendNewest(),
    })
    const { version } = this.#board.current
    this.#log.info('Proxy subscribed', { epoch: current?.epoch, number: current?.number })
    if (sameVersion(current, version)) {
      this.#answered = version
      this.#place.acknowledge(version.number)
    }
    this.#sendNewest()
  }

  #acknowledge(version: SnapshotVersion | undefined): void {
    if (!this.#takeAnswer(version)) return
    this.#place!.acknowledge(version!.number)
    this.#log.info('Proxy acknowledged', { number: version!.number })
    this.#sendNewest()
  }

  #refuse(version: SnapshotVersion | undefined, reason: string): void {
    if (!this.#takeAnswer(version)) return
    this.#place!.refuse(version!.number, reason, this.#timers.nowMs())
    this.#log.warn('Proxy refused a snapshot and keeps the one it had', { number: version!.number, reason })
    this.#sendNewest()
  }

  /** Whether the answer is to what was sent last. Anything else ends the stream. */
  #takeAnswer(version: SnapshotVersion | undefined): boolean {
    if (!sameVersion(version, this.#unanswered)) {
      this.#fail(new ControlError('CONTROL_PROTOCOL', 'An answer came to a snapshot that was not sent'))
      return false
    }
    this.#cancelAnswerTimer()
    this.#answered = this.#unanswered
    this.#unanswered = undefined
    return true
  }

  #sendNewest(): void {
    const { current } = this.#board
    if (this.#over || this.#isRevoked(current.revocations)) return
    if (this.#unanswered !== undefined || sameVersion(this.#answered, current.version)) return
    this.#unanswered = current.version
    this.#cancelAnswerTimer = this.#timers.after(ANSWER_TIMEOUT_MS, () =>
      this.#fail(new ControlError('CONTROL_DEADLINE', `No answer came in ${ANSWER_TIMEOUT_MS} ms`)),
    )
    this.#call.write(encodeSnapshot(current))
  }

  /** Whoever is revoked is sent nothing more, and told why. */
  #isRevoked(revocations: Revocations | undefined): boolean {
    if (revocations === this.#judgedBy) return false
    const revoked = this.#peer.revokedBy(revocations)
    this.#judgedBy = revocations
    if (revoked === undefined) return false
    this.#fail(
      new CaError('CA_REVOKED', `The certificate of ${this.#peer.id.toString()} is revoked: ${revoked}`),
    )
    return true
  }

  #watchExpiry(): void {
    const leftMs = this.#peer.expiresAtMs - this.#timers.nowMs()
    if (leftMs <= 0)
      return this.#fail(new CaError('CA_PEER_EXPIRED', 'The certificate that opened the stream has expired'))
    this.#cancelExpiryTimer = this.#timers.after(Math.min(leftMs, MAX_TIMER_MS), () => this.#watchExpiry())
  }

  #fail(error: CaError | ControlError): void {
    if (!this.#finish(error.message)) return
    this.#call.emit('error', statusOf(error))
  }

  /** Leaves the board; false when that had been done. */
  #finish(reason: string): boolean {
    if (this.#over) return false
    this.#over = true
    this.#cancelAnswerTimer()
    this.#cancelExpiryTimer()
    this.#closing.removeEventListener('abort', this.#onClosing)
    if (this.#place !== undefined) this.#log.info('Proxy unsubscribed', { reason })
    this.#place?.[Symbol.dispose]()
    return true
  }
}
