import type { SeenRequests } from './app-server.ts'
import type { DecisionRecord, ExplainedHandshake, Miss } from './sidecar-admin.ts'

/** A decision in a line, as the operator reads it. */
export function decisionText(decision: DecisionRecord | undefined): string {
  return decision === undefined ? 'none' : `${decision.kind} ${decision.id}: ${decision.reason}`
}

/** What stood in the way of a request, as the operator reads it. */
export function missText(miss: Miss | undefined): string {
  if (miss === undefined) return 'nothing'
  const { policy, field, wanted, got } = miss
  return `${policy} ${field}: wants ${wanted.join(', ')}, got ${got ?? 'nothing'}`
}

/** Why a handshake failed, as the operator reads it. */
export function failureText({ failure, outcome }: ExplainedHandshake): string {
  return failure === undefined ? outcome : `${failure.code}: ${failure.message}`
}

/** Requests that an application saw while a step ran. */
export function newRequestsText(before: SeenRequests, after: SeenRequests): string {
  const count = after.count - before.count
  return count === 0
    ? `saw no request; still ${after.count} in all`
    : `saw ${count} more, the last ${after.last[0]?.method} ${after.last[0]?.path}`
}

/** Enough of a serial number to tell it from others. */
export function serialText(serial: string): string {
  const characters = 12
  return serial.length <= characters ? serial : `${serial.slice(0, characters)}…`
}
