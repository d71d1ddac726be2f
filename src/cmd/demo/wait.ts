import { setTimeout as delay } from 'node:timers/promises'
import { DemoError } from '../errors.ts'

export interface Waiting {
  /** What is waited for, as a noun phrase. */
  readonly what: string
  readonly timeoutMs: number
  /** Calls it off. */
  readonly signal: AbortSignal
}

const POLL_MS = 100

/**
 * Asks until there is an answer.
 *
 * @throws DemoError DEMO_TIMEOUT, and the reason of the signal
 */
export async function until<T>(
  probe: () => Promise<T | undefined>,
  { what, timeoutMs, signal }: Waiting,
): Promise<T> {
  const deadlineMs = performance.now() + timeoutMs
  for (;;) {
    signal.throwIfAborted()
    const answer = await probe()
    if (answer !== undefined) return answer
    if (performance.now() >= deadlineMs) throw tooLate(what, timeoutMs)
    await pause(POLL_MS, signal)
  }
}

/**
 * What `work` comes to, if it does in time.
 *
 * @throws DemoError DEMO_TIMEOUT, the reason of the signal, and what `work` throws
 */
export async function within<T>(work: Promise<T>, { what, timeoutMs, signal }: Waiting): Promise<T> {
  signal.throwIfAborted()
  const stop = Promise.withResolvers<never>()
  const onAbort = (): void => stop.reject(signal.reason)
  signal.addEventListener('abort', onAbort)
  const timer = setTimeout(() => stop.reject(tooLate(what, timeoutMs)), timeoutMs)
  try {
    return await Promise.race([work, stop.promise])
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', onAbort)
  }
}

/** Waits, unless called off. @throws the reason of the signal */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => {})
  signal.throwIfAborted()
}

function tooLate(what: string, timeoutMs: number): DemoError {
  return new DemoError('DEMO_TIMEOUT', `Expected ${what} within ${timeoutMs / 1_000} s, got nothing`)
}
