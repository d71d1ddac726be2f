/** A part of half of the remaining life by which renewals are spread, so that workloads started together do not renew together. */
const JITTER = 0.1

/**
 * Nobody renews later than at 55 % of a certificate's life. What is a twentieth of a life beyond that covers clocks that
 * differ and requests that had to be repeated.
 */
const OVERDUE_PART = 0.6

/** Attempts near the end of a certificate are at most this part of what is left of it apart. */
const RETRY_PART = 1 / 8

/** And no closer than this: a controller that is about to come back is not to be kept from it. */
const SHORTEST_RETRY_MS = 500

/** When to renew a certificate that has `leftMs` of its life left: at half of it, give or take a tenth. */
export function renewalDelayMs(leftMs: number, random: () => number): number {
  const half = Math.max(0, leftMs) / 2
  return half * (1 - JITTER + 2 * JITTER * random())
}

/**
 * When to try again what has failed: a controller that comes back before the certificate ends finds everyone in time, so
 * attempts come closer as the end nears. After it nothing is to be saved, and the usual delays hold again.
 *
 * @param backoffMs the delay that grows with every failure
 * @param leftMs what remains of the certificate in use; undefined when there is none
 */
export function retryDelayMs(backoffMs: number, leftMs: number | undefined): number {
  if (leftMs === undefined || leftMs <= 0) return backoffMs
  return Math.min(backoffMs, Math.max(SHORTEST_RETRY_MS, leftMs * RETRY_PART))
}

/** From when on a certificate should have been renewed, in milliseconds since the Unix epoch. */
export function overdueFromMs({
  issuedAtMs,
  expiresAtMs,
}: {
  readonly issuedAtMs: number
  readonly expiresAtMs: number
}): number {
  return issuedAtMs + (expiresAtMs - issuedAtMs) * OVERDUE_PART
}
