/** The flight log: what a proxy decided, one JSON object a line (docs/flight-log.md). */
import type { RuleName } from '../decision.ts'
import type { Workload } from '../request.ts'

/** Grows when a reader of the form before would be misled; fields are only ever added without that. */
export const FLIGHT_VERSION = 1

/** A value of a request as far as it may be told: null when the request had none, hidden when it is a credential. */
export type FlightValue<T> = T | null | { readonly hidden: true }

/** A claim of a token: whatever JSON has, but null, which is as good as absent. */
export type ClaimValue = string | number | boolean | readonly unknown[] | Readonly<Record<string, unknown>>

/** The head of a request. What is not in `headers` or `claims` was not looked at. */
export interface FlightHttp {
  readonly method: string
  /** As it came, without its query. */
  readonly path: string
  /** The path with a stand-in for every segment that looks like an identifier (path-template.ts). */
  readonly template: string
  readonly host?: string
  /** Every line of those that policy in force reads, by names in lower case. */
  readonly headers?: Readonly<Record<string, FlightValue<readonly string[]>>>
  /** `iss/sub` of the token that was verified, null when there was none; absent when policy does not ask for one. */
  readonly requestPrincipal?: string | null
  /** Those that policy in force reads. */
  readonly claims?: Readonly<Record<string, FlightValue<ClaimValue>>>
}

/** What was asked. */
export interface FlightRequest {
  /** The SPIFFE ID that the peer proved. */
  readonly peer: string
  readonly workload: Workload
  /** The listener's. */
  readonly port: number
  /** The address that the peer came from, and its port there. */
  readonly source?: { readonly address: string; readonly port: number }
  readonly sni?: string
  readonly alpn?: string
  /** The key agreement of the handshake. */
  readonly group?: string
  /** Absent for a connection that carries bytes. */
  readonly http?: FlightHttp
}

/** Another verdict, which was not enforced. */
export interface FlightShadow {
  readonly verdict: 'permit' | 'denial'
  readonly cause: string
  readonly policy?: string
  readonly rule?: number
}

/** One decision. */
export interface FlightDecision {
  readonly kind: 'decision'
  readonly atMs: number
  /** The decision's id: what the peer was told. */
  readonly id: string
  /** The data-plane thread, and the number of the decision in it: a gap says that lines are missing. */
  readonly thread: number
  readonly seq: number
  /** The id of the handshake. */
  readonly connection: number
  /** The listener's name. */
  readonly listener: string
  readonly request: FlightRequest
  readonly verdict: 'permit' | 'denial'
  readonly cause: string
  /** One line for the operator. */
  readonly reason: string
  readonly policy?: string
  readonly rule?: number
  readonly revision: string
  /** Whether it is about something that was under way already, after a change of policy. */
  readonly again?: true
  /** What would have been said if policies on trial (`dryRun`) were in force; absent when there are none. */
  readonly trial?: FlightShadow
  /** Rules of AUDIT policies that matched. */
  readonly audits?: readonly RuleName[]
}

/** Who writes: the first line of every stream. */
export interface FlightProxy {
  readonly kind: 'proxy'
  readonly atMs: number
  readonly spiffeId?: string
  readonly workload?: Workload
  readonly trustDomain: string
  readonly listeners: readonly {
    readonly name: string
    readonly port: number
    readonly protocol: 'http' | 'tcp'
  }[]
}

/** Policy that this proxy has put to use. */
export interface FlightPolicy {
  readonly kind: 'policy'
  readonly atMs: number
  readonly revision: string
  /** Of the controller's state that it came with. */
  readonly stateNumber?: number
}

/** Lines that could not be written in time. */
export interface FlightLoss {
  readonly kind: 'lost'
  readonly count: number
}

/** Whether a value is kept back. A claim that is an object of just this form is taken for one, and so fails closed. */
export function isHidden(value: unknown): value is { readonly hidden: true } {
  return typeof value === 'object' && value !== null && 'hidden' in value && value.hidden === true
}

export type FlightLine = FlightProxy | FlightPolicy | FlightDecision | FlightLoss
