/** Durations and moments in words for people. */

const UNITS = [
  { name: 'd', ms: 86_400_000 },
  { name: 'h', ms: 3_600_000 },
  { name: 'min', ms: 60_000 },
  { name: 's', ms: 1_000 },
] as const

/** The two largest units of a duration, rounded down: `59 min 12 s`, `3 d 4 h`; below a second in milliseconds. */
export function durationText(durationMs: number): string {
  const first = UNITS.findIndex((unit) => durationMs >= unit.ms)
  if (first === -1) return `${Math.max(0, Math.trunc(durationMs))} ms`
  const { name, ms } = UNITS[first]!
  const whole = Math.trunc(durationMs / ms)
  const next = UNITS[first + 1]
  const rest = next === undefined ? 0 : Math.trunc((durationMs - whole * ms) / next.ms)
  return rest === 0 ? `${whole} ${name}` : `${whole} ${name} ${rest} ${next!.name}`
}

/** A moment in UTC to the second: `2026-11-23 18:32:51 UTC`. */
export function momentText(atMs: number): string {
  const date = new Date(atMs)
  if (Number.isNaN(date.getTime())) return 'a time beyond all calendars'
  return `${date.toISOString().slice(0, 19).replace('T', ' ')} UTC`
}

/** What is left of a certificate's validity, or how far the moment lies outside it. */
export function validityText(validity: { notBeforeMs: number; notAfterMs: number }, atMs: number): string {
  const { notBeforeMs, notAfterMs } = validity
  if (atMs < notBeforeMs)
    return `not valid until ${momentText(notBeforeMs)}, in ${durationText(notBeforeMs - atMs)}`
  if (atMs >= notAfterMs + 1_000)
    return `expired ${momentText(notAfterMs)}, ${durationText(atMs - notAfterMs)} ago`
  return `until ${momentText(notAfterMs)}, ${durationText(notAfterMs - atMs)} left`
}

/** A short span by the connection's clock, with one decimal: `4.8 ms`. */
export function millisecondsText(spanMs: number): string {
  return `${spanMs.toFixed(1)} ms`
}
