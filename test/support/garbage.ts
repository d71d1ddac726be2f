/** Garbage collection on demand, for tests of what is given back. */
import { setImmediate as turn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Finalizers run in turns of the event loop: so often they get one. */
const MADE_PER_TURN = 2_000

setFlagsFromString('--expose-gc')

/** Collects everything that nobody refers to. */
export const collectGarbage: () => void = runInNewContext('gc') as () => void

/**
 * Makes something `count` times, twice, and says by how many bytes the second round made the process grow: what is
 * given back, by its owner or by the garbage collector, does not count.
 */
export async function residentGrowth(count: number, make: (index: number) => void): Promise<number> {
  const before = await residentAfter(count, make)
  return (await residentAfter(count, make)) - before
}

async function residentAfter(count: number, make: (index: number) => void): Promise<number> {
  for (let i = 0; i < count; i++) {
    make(i)
    if (i % MADE_PER_TURN !== MADE_PER_TURN - 1) continue
    collectGarbage()
    await turn()
  }
  collectGarbage()
  await turn()
  return process.memoryUsage.rss()
}
