import type { Permit } from '../authz/decide.ts'
import type { Denial } from '../authz/decision.ts'
import type { SettledSession } from './handshake-record.ts'
import type { Logger } from './log.ts'

/** One connection of a TCP listener, or one request of an HTTP listener, after its end. */
export interface AccessEntry {
  readonly direction: 'inbound' | 'outbound'
  readonly listener: string
  readonly protocol: 'tcp' | 'http'
  /** The id of the handshake in the flight log. */
  readonly connection?: number
  /** The SPIFFE ID that the other side proved; absent when the handshake never got there. */
  readonly peer?: string
  /** Our own. */
  readonly self?: string
  /** The listener's, or the one that a captured connection was meant for. */
  readonly port: number
  /** `ip:port` that a captured connection of the application was meant for. */
  readonly destination?: string
  /** The destination is outside the mesh: bytes were carried untouched. */
  readonly passedThrough?: true
  readonly method?: string
  /** Without the query. */
  readonly path?: string
  readonly status?: number
  /** Of the application, from the client to the server. */
  readonly requestBytes: number
  /** Of the application, from the server to the client. */
  readonly responseBytes: number
  readonly durationMs: number
  readonly decision?: Permit | Denial
  readonly session?: SettledSession
  /** The code of what went wrong, and the operator's message. */
  readonly error?: { readonly code: string; readonly message: string }
}

/** Writes access log lines: one per entry, message `access`. */
export class AccessLog {
  readonly #log: Logger

  constructor(log: Logger) {
    this.#log = log
  }

  write({ decision, session, durationMs, ...rest }: AccessEntry): void {
    this.#log.info('access', {
      ...rest,
      durationMs: Math.round(durationMs * 1_000) / 1_000,
      ...(decision && {
        decision: decision.id,
        verdict: decision.kind,
        cause: decision.cause,
        reason: decision.reason,
        policy: decision.policy,
        rule: decision.rule,
        revision: decision.revision,
        trial: decision.dryRun,
        audits: decision.audited,
      }),
      ...(session && {
        tls: {
          version: session.version,
          suite: session.cipherSuite,
          group: session.group,
          resumed: session.resumed,
        },
      }),
    })
  }
}

/** Queries carry what should not be kept. */
export function withoutQuery(target: string): string {
  return target.replace(/[?#].*$/s, '')
}
