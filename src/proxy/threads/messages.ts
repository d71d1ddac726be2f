import type { PolicyResources } from '../../authz/resources.ts'
import type { Address } from '../../config/address.ts'
import type { ProxyConfig } from '../../config/proxy-config.ts'
import type { MetChain } from '../met-certificates.ts'
import type { ThreadKey } from '../../crypto/native-keys.ts'
import type { FlightDecision } from '../../authz/flight/flight-line.ts'
import type { KeySets } from '../request-authenticator.ts'
import type { FoundDecision } from '../../telemetry/flight-log.ts'
import type { HandshakeSummary } from '../../telemetry/handshake-record.ts'
import type { RevocationList } from '../../identity/revocations.ts'

/** What a data-plane thread is started with. */
export interface ThreadOptions {
  /** From 0. */
  readonly index: number
  /** Port 0 in it takes any free one; every later thread is given the ports that the first one took. */
  readonly config: ProxyConfig
  /** Memory of the counters that all threads share. */
  readonly counters: SharedArrayBuffer
  /** What the tickets of all threads are sealed under. */
  readonly ticketSecret: Uint8Array
}

/** Values that the structured clone algorithm carries, as `packed` in pack.ts makes them. */
export type Packed = unknown

/** The certificate that a thread shows. The key is lent and not copied. */
export interface PackedSvid {
  /** DER, leaf first. */
  readonly chain: readonly Uint8Array[]
  readonly key: ThreadKey
}

export interface PackedBundle {
  readonly trustDomain: string
  /** DER. */
  readonly anchors: readonly Uint8Array[]
}

/** Policies that were found good already, as far as they are for the workload of the certificate. */
export interface PackedPolicy {
  readonly revision: string
  readonly trustDomain: string
  readonly resources: PolicyResources
}

/** A view of the mesh on its way to a thread; what is absent is as it was in the one before. */
export interface PackedView {
  /** Grows with each that is sent. */
  readonly number: number
  readonly svid: PackedSvid
  readonly bundles?: readonly PackedBundle[]
  readonly policy?: PackedPolicy
  readonly keySets?: KeySets
  readonly revocations?: RevocationList
}

/** What an operator asks of a thread's own records. */
export type Question =
  | { readonly kind: 'listeners' }
  | { readonly kind: 'handshakes' }
  | { readonly kind: 'handshake'; readonly id: number }
  | { readonly kind: 'decisions'; readonly follow?: true }
  | { readonly kind: 'decision'; readonly id: string }

export interface Answers {
  /** By name: connections open now, and connections refused because too many were. */
  readonly listeners: Readonly<Record<string, { readonly open: number; readonly refused: number }>>
  /** Summaries, oldest first. */
  readonly handshakes: readonly HandshakeSummary[]
  /** HandshakeFacts, or undefined. */
  readonly handshake: Packed
  /** Oldest first. With `follow`, all that come after these come as lines of the stream `flight`. */
  readonly decisions: readonly FlightDecision[]
  readonly decision: FoundDecision | undefined
}

/** What lines are of: the log, or the flight log, which is sent while somebody follows it. */
export type LineStream = 'log' | 'flight'

/** From the main thread. */
export type ToThread =
  | { readonly kind: 'view'; readonly view: PackedView }
  /** Stop accepting, let everything finish, say `drained`, and end when the last socket is closed. */
  | { readonly kind: 'drain' }
  /** Reset what is left, hear of nothing more and say `ended`. */
  | { readonly kind: 'end' }
  | { readonly kind: 'ask'; readonly ask: number; readonly question: Question }
  /** The oldest `lines` of the stream that were not taken yet have been written. */
  | { readonly kind: 'taken'; readonly stream: LineStream }
  /** Nobody follows the flight log any more. */
  | { readonly kind: 'unfollow' }

/** To the main thread. */
export type FromThread =
  | { readonly kind: 'listening'; readonly addresses: Readonly<Record<string, Address>> }
  | { readonly kind: 'not-listening'; readonly error: Packed }
  | { readonly kind: 'adopted'; readonly number: number }
  | { readonly kind: 'refused'; readonly number: number; readonly reason: string }
  /** Whole lines. */
  | { readonly kind: 'lines'; readonly stream: LineStream; readonly text: string }
  | { readonly kind: 'answer'; readonly ask: number; readonly answer: unknown }
  /** Certificates of peers that handshakes have proven. */
  | { readonly kind: 'met'; readonly chains: readonly MetChain[] }
  | { readonly kind: 'drained'; readonly cut: number }
  | { readonly kind: 'ended' }

/** One end of the channel between both: a MessagePort, or a Worker. */
export interface ThreadPort<Sent, Received> {
  postMessage(message: Sent): void
  on(event: 'message', listener: (message: Received) => void): unknown
  /** Lets this side end although the other may still speak. */
  unref(): void
}
