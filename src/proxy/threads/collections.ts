import { PerformanceObserver } from 'node:perf_hooks'
import type { CounterRow } from './counters.ts'

/** A stop that somebody who waits for an answer would notice. */
const LONG_MS = 10

/** Counts how often and for how long the garbage collector stops this thread. Returns the way to stop that. */
export function countCollections(counters: CounterRow): () => void {
  const observer = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) {
      counters.add('collections')
      counters.add('collectionMicros', Math.round(duration * 1000))
      if (duration > LONG_MS) counters.add('longCollections')
    }
  })
  observer.observe({ entryTypes: ['gc'] })
  return () => observer.disconnect()
}
