import { AlertLevel, alertName } from '../../tls/alerts.ts'
import { nameOf } from '../../tls/registry.ts'

/** RFC 8446 §5.1: the type of a record with an alert. */
const ALERT_RECORD = 21

/** RFC 8446 §5.1 and §6: type, version, length of two bytes, then level and description. */
const ALERT_RECORD_BYTES = 7

/** An alert that anyone on the wire can read, in words; undefined for other bytes. */
export function plainAlert(bytes: Uint8Array): string | undefined {
  if (bytes.length !== ALERT_RECORD_BYTES || bytes[0] !== ALERT_RECORD) return undefined
  if (bytes[3] !== 0 || bytes[4] !== 2) return undefined
  return `alert, ${nameOf(AlertLevel, bytes[5]!)}, ${alertName(bytes[6]!)}`
}

/** Bytes as people write them: `15 03 03`. */
export function spacedHex(bytes: Uint8Array): string {
  return bytes.toHex().replaceAll(/..(?!$)/g, '$& ')
}
