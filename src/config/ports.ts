/** TCP ports from `first` to `last`, both included. */
export interface PortRange {
  readonly first: number
  readonly last: number
}

/** The last TCP port there is. */
export const MAX_PORT = 65_535

/** Reads `80` or `8000-8100`. @returns undefined when it is neither, or its end comes before its beginning */
export function parsePortRange(text: string): PortRange | undefined {
  const [, from, to = from] = /^([1-9]\d{0,4})(?:-([1-9]\d{0,4}))?$/.exec(text) ?? []
  const range = { first: Number(from), last: Number(to) }
  return range.first <= range.last && range.last <= MAX_PORT ? range : undefined
}

/** Writes it the way {@link parsePortRange} reads it. */
export function formatPortRange({ first, last }: PortRange): string {
  return first === last ? String(first) : `${first}-${last}`
}
