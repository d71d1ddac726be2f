/** Milliseconds in each unit, largest first, as they may follow each other in a duration. */
const UNIT_MS = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000, ms: 1 } as const

const UNITS = Object.keys(UNIT_MS) as (keyof typeof UNIT_MS)[]

const DURATION = /^(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s)?(?:(\d{1,9})ms)?$/

/**
 * Reads a duration such as `1h`, `1h30m`, `30s` or `500ms`: whole numbers with the units d, h, m, s and ms, each at
 * most once and from the largest to the smallest.
 *
 * @returns milliseconds, or undefined when the text is no duration
 */
export function parseDuration(text: string): number | undefined {
  const match = text === '' ? null : DURATION.exec(text)
  if (match === null) return undefined
  return UNITS.reduce((total, unit, index) => total + Number(match[index + 1] ?? 0) * UNIT_MS[unit], 0)
}

/**
 * Writes a duration the way {@link parseDuration} reads it, with the largest units first: `1h30m`.
 *
 * @param milliseconds a whole number that is not negative
 */
export function formatDuration(milliseconds: number): string {
  let rest = milliseconds
  let text = ''
  for (const unit of UNITS) {
    const count = Math.floor(rest / UNIT_MS[unit])
    rest -= count * UNIT_MS[unit]
    if (count > 0) text += `${count}${unit}`
  }
  return text === '' ? '0s' : text
}
