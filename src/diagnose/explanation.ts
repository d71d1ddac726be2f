/**
 * The shape of an explained handshake: five questions in order, each with the messages and checks that answer it.
 * All text in it is fit for a terminal, whatever a peer sent; nothing in it is secret.
 */
import type { Certificate } from '../pki/certificate.ts'
import type { Protection } from '../tls/trace.ts'

export type Side = 'client' | 'server'

export type StageNumber = 1 | 2 | 3 | 4 | 5

/** What each stage of a handshake settles, as a question; the index is the stage's number less one. */
export const QUESTIONS = [
  'Which version and parameters?',
  'Which keys, without ever sending them?',
  'Who is the server, and mutually the client?',
  'Did anyone alter the talk?',
  'When may data flow?',
] as const

/** One thing a message says or settles. */
export interface Fact {
  readonly label: string
  /** One item, or several that belong together. */
  readonly value: string | readonly string[]
  /** The value only exists for the sake of old middleboxes (RFC 8446 appendix D.4). */
  readonly legacy?: true
}

/** A certificate as an operator recognises it. */
export interface CertificateSummary {
  readonly subject: string
  readonly issuer: string
  readonly spiffeId?: string
  /** DNS names and IP addresses. */
  readonly names: readonly string[]
  /** Hexadecimal. */
  readonly serial: string
  readonly notBeforeMs: number
  readonly notAfterMs: number
  /** The certificate itself, for fingerprints. */
  readonly certificate: Certificate
}

interface Timed {
  /** Since the first event, in milliseconds. */
  readonly afterMs: number
}

export interface MessageStep extends Timed {
  readonly kind: 'message'
  /** Place among all messages and alerts of the connection, from 1: stages group by question, not by time. */
  readonly order: number
  readonly from: Side
  /** As RFC 8446 spells it. */
  readonly name: string
  /** With its header, without record framing. */
  readonly bytes: number
  readonly protection: Protection
  readonly facts: readonly Fact[]
  readonly certificates: readonly CertificateSummary[]
}

export interface AlertStep extends Timed {
  readonly kind: 'alert'
  readonly order: number
  readonly from: Side
  /** As RFC 8446 spells it. */
  readonly description: string
  readonly protection: Protection
}

/** A change_cipher_spec record, which changes nothing. */
interface LegacyStep extends Timed {
  readonly kind: 'change_cipher_spec'
  readonly from: Side
}

/** From here on one direction is protected by other keys. */
interface TransitionStep extends Timed {
  readonly kind: 'transition'
  readonly from: Side
  readonly to: Exclude<Protection, 'plaintext'>
}

/** Something that our side verified, or both agreed on. */
export interface CheckStep extends Timed {
  readonly kind: 'check'
  readonly text: string
}

/** What else this side did or learned: nothing that it verified. */
export interface NoteStep extends Timed {
  readonly kind: 'note'
  readonly text: string
}

export type Step = MessageStep | AlertStep | LegacyStep | TransitionStep | CheckStep | NoteStep

export interface Stage {
  readonly number: StageNumber
  readonly question: string
  /** `open` was not reached, or not finished when the story ends. */
  readonly status: 'answered' | 'failed' | 'open'
  /** The outcome in a few words, when there is one. */
  readonly answer?: string
  readonly steps: readonly Step[]
}

/** Why a handshake or connection failed, for the operator of our side. */
export interface FailureExplanation extends Timed {
  /** The most telling code: the certificate's reason rather than the connection's. */
  readonly code: string
  readonly title: string
  /** The error's own words. */
  readonly message: string
  readonly stage: StageNumber
  /** The last thing that happened before. */
  readonly reached: string
  /** Who gave up; nobody did when the network ended it. */
  readonly refusedBy?: Side
  readonly alert?: { readonly description: string; readonly from: Side }
  /** What was found, one line each. */
  readonly evidence: readonly string[]
  /** What it means. */
  readonly explanation: string
  readonly remedy: string
  /** The certificate at fault. */
  readonly certificate?: CertificateSummary
}

/** When one direction of the traffic changed its protection; absent where it never did. */
export interface Transition {
  readonly from: Side
  /** Only where a client sends early data: this direction is not readable from here on. */
  readonly earlyAfterMs?: number
  readonly handshakeAfterMs?: number
  readonly applicationAfterMs?: number
}

/** What someone on the wire learns of this handshake. */
export interface ObserverView {
  readonly saw: readonly Fact[]
  readonly hidden: readonly Fact[]
}

/** What the handshake has settled, as far as it came. */
export interface Settled {
  readonly version?: string
  readonly cipherSuite?: string
  readonly group?: string
  readonly serverName?: string
  readonly alpn?: string
  /** What became of Encrypted ClientHello; absent where it played no part. */
  readonly ech?: 'offered' | 'greased' | 'accepted' | 'rejected'
  /** Whether a HelloRetryRequest cost a round trip more, and for which group. */
  readonly retry?: { readonly group: string; readonly cookie: boolean }
  /** Whether recorded traffic stays closed to a quantum computer too. */
  readonly postQuantum?: boolean
  /** Whether the handshake goes on from an earlier one. */
  readonly resumed?: boolean
  /** The last ticket that was offered, or could have been; absent when there was none. */
  readonly ticket?: {
    readonly outcome: 'offered' | 'withheld' | 'accepted' | 'refused'
    readonly reason?: string
    readonly ageMs?: number
    /** On a server. */
    readonly ageSkewMs?: number
  }
  /** What became of early data; absent when nobody wanted to send any. */
  readonly earlyData?: { readonly outcome: string; readonly bytes: number }
  /** The identity, as text, of the key that both were given beforehand and that the connection rests on. */
  readonly externalPsk?: string
  /** How often each side has renewed its keys by a KeyUpdate; absent when nobody has. */
  readonly keyUpdates?: { readonly client: number; readonly server: number }
  /** Whom our verifier found the peer to be. */
  readonly peer?: { readonly name: string; readonly expiresAtMs: number }
}

export interface HandshakeExplanation {
  /** Whose trace this is. */
  readonly perspective: Side
  /** Since the Unix epoch, in milliseconds. */
  readonly startedAtMs: number
  /** `refused` failed before data could flow, `broken` after. */
  readonly outcome: 'established' | 'refused' | 'broken' | 'unfinished'
  /** When data could flow, since the first event, in milliseconds. */
  readonly establishedAfterMs?: number
  readonly settled: Settled
  /** All five, in order. */
  readonly stages: readonly Stage[]
  readonly transitions: readonly [client: Transition, server: Transition]
  readonly observer: ObserverView
  readonly failure?: FailureExplanation
}

/** The end of the other direction. */
export function otherSide(side: Side): Side {
  return side === 'client' ? 'server' : 'client'
}
