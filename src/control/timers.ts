/** Time as the control plane uses it; tests bring their own. */
export interface Timers {
  /** Wall clock, in milliseconds since the Unix epoch. */
  nowMs(): number
  /** Calls `run` once, `delayMs` from now, unless the returned function is called first. */
  after(delayMs: number, run: () => void): () => void
}

/** The process's clock. A pending call keeps the process alive: cancel it to end. */
export const systemTimers: Timers = {
  nowMs: () => Date.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs)
    return () => clearTimeout(timer)
  },
}
