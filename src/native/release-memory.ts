import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { loadKoffi } from './koffi.ts'

/** What V8 calls its collector; the last resort also lets go of what it keeps for speed. */
type Collect = (options: { readonly type: 'major'; readonly flavor: 'last-resort' }) => void

let collect: Collect | undefined
let trim: (() => unknown) | undefined

/**
 * Gives memory that is no longer used back to the operating system: this thread's heap, and what the C library keeps. It stops
 * the thread for some tens of milliseconds, so it is for a thread that has just been set up and has nothing to do.
 *
 * Loading and compiling a program leaves far more behind than it needs, and V8 lets go of it only under pressure.
 */
export function releaseMemory(): void {
  collect ??= exposeCollector()
  collect({ type: 'major', flavor: 'last-resort' })
  trim ??= bindTrim()
  trim()
}

/** Less is not worth a stop. */
const WORTHWHILE_BYTES = 16 * 1024 * 1024

let keptBytes = -Infinity

/** {@link releaseMemory}, if the heap has grown since this thread did it last. For a thread that has nothing to do at the moment. */
export function releaseGrownMemory(): void {
  if (getHeapStatistics().total_heap_size < keptBytes + WORTHWHILE_BYTES) return
  releaseMemory()
  keptBytes = getHeapStatistics().total_heap_size
}

/** The flag is for contexts made while it is set: nothing else gets to see the function. */
function exposeCollector(): Collect {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as Collect
  setFlagsFromString('--no-expose-gc')
  return gc
}

/** Only glibc has it; elsewhere its memory is small enough. */
function bindTrim(): () => unknown {
  try {
    const mallocTrim = loadKoffi().load(null).func('int malloc_trim(size_t pad)')
    return () => mallocTrim(0)
  } catch {
    return () => {}
  }
}
