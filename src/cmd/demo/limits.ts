/** Bounds on what a step waits for; far more than anything takes on an idle machine. */

/** One HTTP request, through two sidecars. */
export const REQUEST_TIMEOUT_MS = 5_000

/** Starting one command, and a handshake. */
export const COMMAND_TIMEOUT_MS = 15_000

/** Something that was caused to appear on an admin page. */
export const RECORD_TIMEOUT_MS = 5_000
