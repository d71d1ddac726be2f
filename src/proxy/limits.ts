/** Bounds of the data plane. Whatever waits for someone else waits no longer than one of these. */

/** From accept to the end of a request's head: generous for a slow network, hostile to connections held open by dripping. */
export const HEADERS_TIMEOUT_MS = 15_000

/** Headers of a request together; what most servers accept, so that what they accept passes. */
export const MAX_HEADER_BYTES = 16_384

/** TCP connection to an application or another proxy, name resolution included. */
export const CONNECT_TIMEOUT_MS = 5_000

/** How long an unused connection to a server is kept. Below what servers keep, so that we and not they end it. */
export const CLIENT_IDLE_MS = 30_000

/** How long a client's connection may be without a request. */
export const SERVER_IDLE_MS = 75_000

/**
 * Unused connections kept to one server: more than most workloads have requests under way, since whatever a burst needs beyond it
 * costs handshakes again and again. Each takes some 20 KB.
 */
export const MAX_IDLE_CONNECTIONS = 512

/** What is left of a connection that we have ended: the client gets so long to read and to end its half. */
export const PARTING_MS = 1_000
