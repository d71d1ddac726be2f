/** How every transport uses TCP. */

/** Connections that wait to be accepted; more than the default, since a mesh sees bursts from many peers. */
export const BACKLOG = 1024

/** A peer that vanished without a word is noticed after about this and a few probes more. */
export const KEEP_ALIVE_MS = 30_000
