import { alertName, AlertDescription, AlertLevel } from './alerts.ts'
import { TlsError } from './errors.ts'

export interface ReceivedAlert {
  readonly level: number
  readonly code: number
  /** The registry's name, or the number. */
  readonly description: string
  /** Whether the connection goes on, or ends in order: all others are fatal (RFC 8446 §6). */
  readonly isPeaceful: boolean
}

/** @throws TlsError TLS_DECODE_ERROR */
export function readAlert(fragment: Uint8Array): ReceivedAlert {
  if (fragment.length !== 2) {
    throw new TlsError('TLS_DECODE_ERROR', `An alert has ${fragment.length} bytes, expected 2`)
  }
  const [level, code] = fragment as unknown as [number, number]
  const isPeaceful = code === AlertDescription.user_canceled || code === AlertDescription.close_notify
  return { level, code, description: alertName(code), isPeaceful }
}

/** Holds the level of an alert against its description. @throws TlsError TLS_ILLEGAL_PARAMETER, TLS_DECODE_ERROR */
export function checkAlertLevel({ level, description, isPeaceful }: ReceivedAlert): void {
  if (level !== AlertLevel.warning && level !== AlertLevel.fatal) {
    throw new TlsError(
      'TLS_ILLEGAL_PARAMETER',
      `The alert ${description} has the level ${level}, expected 1 or 2`,
    )
  }
  if (level === AlertLevel.warning && !isPeaceful) {
    throw new TlsError('TLS_DECODE_ERROR', `The alert ${description} has the level warning, expected fatal`)
  }
}
