/** What one round of something repeated came to. */
export interface Rate {
  readonly perSecond: number
  /** Processor time of the whole process for each, in microseconds; other work on the machine hardly shows in it. */
  readonly cpuMicroseconds: number
}

/** Repeats `act`: by number and not by time, so that on a busy machine as much is measured as on a quiet one. */
export async function rateOf(act: () => Promise<void>, count: number): Promise<Rate> {
  const cpu = process.cpuUsage()
  const begin = performance.now()
  for (let i = 0; i < count; i++) await act()
  const elapsedMs = performance.now() - begin
  const { user, system } = process.cpuUsage(cpu)
  return { perSecond: (1000 * count) / elapsedMs, cpuMicroseconds: (user + system) / count }
}

/** Measures one and the other in turns. */
export async function interleaved<Figure>(
  rounds: number,
  one: () => Promise<Figure>,
  other: () => Promise<Figure>,
): Promise<readonly [one: readonly Figure[], other: readonly Figure[]]> {
  const figures: readonly [Figure[], Figure[]] = [[], []]
  for (let round = 0; round < rounds; round++) {
    figures[0].push(await one())
    figures[1].push(await other())
  }
  return figures
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!
}
