import type { Connection } from '../../net/transport.ts'

/** A server that does not answer our close_notify keeps the next connection waiting no longer. */
const FAREWELL_MS = 1_000

/**
 * Ends a connection in order without a word: tickets come before the server's end. What else it sends is dropped.
 *
 * @throws HandfastError when the connection broke
 */
export async function collectTickets(connection: Connection, signal: AbortSignal): Promise<void> {
  const { promise: over, resolve, reject } = Promise.withResolvers<void>()
  const leave = (): void => connection.abort()
  const farewell = setTimeout(leave, FAREWELL_MS)
  connection.attach({
    data: () => {},
    end: () => {},
    drain: () => {},
    closed: (error) => (error === undefined ? resolve() : reject(error)),
  })
  connection.end()
  signal.addEventListener('abort', leave, { once: true })
  if (signal.aborted) leave()
  try {
    await over
  } finally {
    clearTimeout(farewell)
    signal.removeEventListener('abort', leave)
  }
}
